package journey

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

// PromotionBranch is where Mainstem puts what it promotes to main.
const PromotionBranch = "mainstem/" + Instance + "/main"

// declared applies the samples and waits until what is on the branches already runs.
func (j *Journey) declared(ctx context.Context) error {
	j.First = j.Team.Repository.Head("develop")
	if err := j.declare(ctx); err != nil {
		return err
	}
	j.act("config/samples applied: Environments develop → main → production, Application %s/%s", Namespace, ApplicationName)
	j.show("main takes what has proven itself in develop, after the checks %v and a soak of %s; production takes GitHub releases", checkNames, j.options.Soak)
	go j.summarize(ctx)
	for _, env := range []v1alpha1.EnvironmentName{develop, mainline} {
		if err := j.await(ctx, func(ctx context.Context) error { return j.deployed(ctx, env, j.First) }); err != nil {
			return err
		}
		if err := j.await(ctx, func(ctx context.Context) error { return j.runs(ctx, env, j.First) }); err != nil {
			return err
		}
	}
	if opened := len(j.Team.Repository.PullRequests()); opened != 0 {
		return fmt.Errorf("main had the commit already, and %d pull requests were opened", opened)
	}
	return nil
}

// pushed pushes a commit to develop, with git, and has its checks begin.
func (j *Journey) pushed(ctx context.Context) error {
	var err error
	if j.Change, err = j.Team.greet(ctx, "bonjour"); err != nil {
		return err
	}
	j.act("%s commits %q and runs: git push origin HEAD:develop", author, "Say bonjour")
	j.show("%s..%s  develop; CI begins %v", short(j.First), short(j.Change), checkNames)
	return j.Team.CI(j.Change, "in_progress")
}

func (j *Journey) found(ctx context.Context) error {
	return j.await(ctx, func(ctx context.Context) error {
		release, err := j.releaseOf(ctx, j.Change, "")
		if err != nil {
			return err
		}
		j.see("Mainstem has found the release: Release %s, number %d, %q by %s", release.Name, release.Spec.Sequence, release.Spec.Message, release.Spec.Author)
		return nil
	})
}

func (j *Journey) deployedToDevelop(ctx context.Context) error {
	if err := j.await(ctx, func(ctx context.Context) error { return j.deployed(ctx, develop, j.Change) }); err != nil {
		return err
	}
	return j.await(ctx, func(ctx context.Context) error {
		release, err := j.releaseOf(ctx, j.Change, "")
		if err != nil {
			return err
		}
		promotion, err := j.succeeded(ctx, develop, release.Name)
		if err != nil {
			return err
		}
		if err := j.runs(ctx, develop, j.Change); err != nil {
			return err
		}
		j.Promotions = append(j.Promotions, promotion.Name)
		return nil
	})
}

func (j *Journey) pullRequestOpened(ctx context.Context) error {
	return j.await(ctx, func(ctx context.Context) error {
		pulls := j.Team.Repository.PullRequests()
		if len(pulls) == 0 {
			return errors.New("there is no pull request yet")
		}
		pull := pulls[0]
		if len(pulls) > 1 || pull.State != "open" || pull.BaseRef != "main" || pull.HeadRef != PromotionBranch || pull.HeadSHA != j.Change {
			return fmt.Errorf("instead of one open pull request from %s at %s to main: %+v", PromotionBranch, short(j.Change), pulls)
		}
		state, err := j.state(ctx, mainline)
		if err != nil {
			return err
		}
		if state.PullRequest == nil || state.PullRequest.Number != int64(pull.Number) {
			return errors.New("the Application's status does not show the pull request yet")
		}
		j.PullRequest = pull.Number
		j.see("pull request #%d is open: %q, %s → %s", pull.Number, pull.Title, pull.HeadRef, pull.BaseRef)
		j.show("head %s, labels %v, by %s", short(pull.HeadSHA), pull.Labels, pull.Author)
		return nil
	})
}

// toMain finds the Promotion that carries the change into main.
func (j *Journey) toMain(ctx context.Context) (*v1alpha1.Promotion, error) {
	release, err := j.releaseOf(ctx, j.Change, "")
	if err != nil {
		return nil, err
	}
	return j.promotionOf(ctx, mainline, release.Name)
}

// checksGreen sees the gate wait for the checks, lets them succeed and sees it pass.
func (j *Journey) checksGreen(ctx context.Context) error {
	awaitGate := func(outcome v1alpha1.GateOutcome) error {
		return j.await(ctx, func(ctx context.Context) error {
			promotion, err := j.toMain(ctx)
			if err != nil {
				return err
			}
			ci := gate(promotion, "environment/ci")
			if ci.Outcome != outcome {
				return fmt.Errorf("gate ci is %s: %s", ci.Outcome, ci.Message)
			}
			j.see("gate ci is %s: %s", ci.Outcome, ci.Message)
			return nil
		})
	}
	if err := awaitGate(v1alpha1.GateWaiting); err != nil {
		return err
	}
	if err := j.Team.CI(j.Change, "success"); err != nil {
		return err
	}
	j.act("CI reports success for %v of %s", checkNames, short(j.Change))
	return awaitGate(v1alpha1.GatePassed)
}

func (j *Journey) merged(ctx context.Context) error {
	err := j.await(ctx, func(ctx context.Context) error {
		promotion, err := j.toMain(ctx)
		if err != nil {
			return err
		}
		soak := gate(promotion, "environment/soak")
		if soak.Outcome != v1alpha1.GatePassed {
			return fmt.Errorf("gate soak is %s: %s", soak.Outcome, soak.Message)
		}
		if waited := soak.Until.Sub(soak.Since.Time); waited != j.options.Soak {
			return fmt.Errorf("the soak was to take %s and took %s", j.options.Soak, waited)
		}
		j.see("gate soak is %s: %s", soak.Outcome, soak.Message)
		return nil
	})
	if err != nil {
		return err
	}
	return j.await(ctx, func(context.Context) error {
		pull, _ := j.Team.Repository.PullRequest(j.PullRequest)
		if !pull.Merged {
			return fmt.Errorf("pull request #%d is %s", j.PullRequest, pull.State)
		}
		commit, err := j.Team.Repository.CommitInfo(pull.MergeSHA)
		if err != nil {
			return fmt.Errorf("reading the merge commit: %w", err)
		}
		if want := []string{j.First, j.Change}; !slices.Equal(commit.Parents, want) {
			return fmt.Errorf("the merge commit has the parents %v and not %v", commit.Parents, want)
		}
		j.Merge = pull.MergeSHA
		j.see("pull request #%d is merged by %s: %s = %s + %s", pull.Number, pull.MergedBy, short(j.Merge), short(j.First), short(j.Change))
		return nil
	})
}

func (j *Journey) deployedToMain(ctx context.Context) error {
	if err := j.await(ctx, func(ctx context.Context) error { return j.deployed(ctx, mainline, j.Merge) }); err != nil {
		return err
	}
	return j.await(ctx, func(ctx context.Context) error {
		release, err := j.releaseOf(ctx, j.Change, "")
		if err != nil {
			return err
		}
		promotion, err := j.succeeded(ctx, mainline, release.Name)
		if err != nil {
			return err
		}
		merge, err := j.releaseOf(ctx, j.Merge, "")
		if err != nil {
			return err
		}
		if promotion.Status.DeployedRelease != merge.Name {
			return fmt.Errorf("the Promotion %s deployed %s, not the merge %s", promotion.Name, promotion.Status.DeployedRelease, merge.Name)
		}
		if err := j.runs(ctx, mainline, j.Merge); err != nil {
			return err
		}
		j.Promotions = append(j.Promotions, promotion.Name)
		j.see("Promotion %s is %s: it carried %s, and deployed its merge, %s", promotion.Name, promotion.Status.Phase, release.Name, merge.Name)
		return nil
	})
}

func (j *Journey) statusShown(ctx context.Context) error {
	return j.await(ctx, func(context.Context) error {
		latest := j.latestStatus(j.Merge, "mainstem/main")
		if latest.State != "success" {
			return fmt.Errorf("commit status mainstem/main of %s is %q", short(j.Merge), latest.State)
		}
		j.see("GitHub shows on %s: %s %s (%s), by %s", short(j.Merge), latest.Context, latest.State, latest.Description, latest.Creator)
		return nil
	})
}

// latestStatus is the newest commit status of a context, which is the one that GitHub shows.
func (j *Journey) latestStatus(commit, name string) emulator.Status {
	for _, status := range slices.Backward(j.Team.Repository.Statuses(commit)) {
		if status.Context == name {
			return status
		}
	}
	return emulator.Status{}
}

func (j *Journey) released(context.Context) error {
	j.Tag = "v1.0.0"
	if _, err := j.Team.Repository.PublishRelease(emulator.ReleaseSpec{Tag: j.Tag, Target: "main", Name: "Bonjour", Body: "It says bonjour."}); err != nil {
		return fmt.Errorf("publishing the release: %w", err)
	}
	j.act("the team publishes the GitHub release %s on main, at %s", j.Tag, short(j.Merge))
	return nil
}

func (j *Journey) deployedToProduction(ctx context.Context) error {
	if err := j.await(ctx, func(ctx context.Context) error { return j.deployed(ctx, production, j.Merge) }); err != nil {
		return err
	}
	return j.await(ctx, func(ctx context.Context) error {
		release, err := j.releaseOf(ctx, j.Merge, j.Tag)
		if err != nil {
			return err
		}
		promotion, err := j.succeeded(ctx, production, release.Name)
		if err != nil {
			return err
		}
		if promotion.Status.Proof != string(v1alpha1.ProofCommit) {
			return fmt.Errorf("the Promotion %s was proven by %q and not by Commit", promotion.Name, promotion.Status.Proof)
		}
		if err := j.runs(ctx, production, j.Merge); err != nil {
			return err
		}
		j.Promotions = append(j.Promotions, promotion.Name)
		j.see("Promotion %s is %s, proof: %s, Release %s", promotion.Name, promotion.Status.Phase, promotion.Status.Proof, release.Name)
		return nil
	})
}
