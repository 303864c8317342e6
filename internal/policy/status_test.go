// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// reported is what status says about an environment, once it was written and looked at again.
func reported(s *scene, env v1alpha1.EnvironmentName) v1alpha1.EnvironmentState {
	s.Application.Status, _ = Report(s.State)
	status, _ := Report(s.State)
	s.Application.Status = status
	return *s.statusOf(env)
}

func condition(conditions []metav1.Condition, kind string) string {
	c := meta.FindStatusCondition(conditions, kind)
	if c == nil {
		return ""
	}
	return string(c.Status) + " " + c.Reason
}

func TestEnvironmentStatus(t *testing.T) {
	running := func() *scene { return ready().promotion("develop", "d1", succeeded("-1h")) }
	tests := map[string]struct {
		given *scene
		env   v1alpha1.EnvironmentName
		phase v1alpha1.EnvironmentPhase
		// current and next are "release healthy" and "release".
		current, next string
		waitingFor    string
		accepted      string
		ready         string
	}{
		"nothing yet":                  {standard(), "develop", v1alpha1.EnvironmentIdle, "", "", "", "True Accepted", "Unknown NotDeployed"},
		"runs the newest":              {running(), "develop", v1alpha1.EnvironmentIdle, "d1 True", "", "", "True Accepted", "True Healthy"},
		"a candidate, not started yet": {running().with("main", guarded(approvedBy(1))), "main", v1alpha1.EnvironmentWaiting, "", "d1", "approval (0 of 1)", "True Accepted", "Unknown NotDeployed"},
		"waits for gates":              {running().hold("main").promotion("main", "d1").do(advance), "main", v1alpha1.EnvironmentWaiting, "", "d1", "hold: incident 7", "True Accepted", "Unknown NotDeployed"},
		"waits for a person to start":  {running().with("main", startedByPeople), "main", v1alpha1.EnvironmentWaiting, "", "d1", "a person starts promotions into this environment: create a Promotion", "True Accepted", "Unknown NotDeployed"},
		"merging":                      {running().promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestOpen, "d1").do(advance), "main", v1alpha1.EnvironmentMerging, "", "d1", "merging pull request #4", "True Accepted", "Unknown NotDeployed"},
		"deploying":                    {running().head("main", "d1").promotion("main", "d1").do(advance), "main", v1alpha1.EnvironmentDeploying, "", "d1", "deploying d1", "True Accepted", "Unknown NotDeployed"},
		"failed":                       {running().head("main", "d1").runs("main", "d1").fails("main", "d1", "-1m").promotion("main", "d1", failed("-1m")), "main", v1alpha1.EnvironmentFailed, "d1 False", "", "Flux failed", "True Accepted", "False NotHealthy"},
		"failed, and a newer one was declined since": {running().release("d2", "develop").head("main", "d1").promotion("main", "d1", failed("-9m")).promotion("main", "d2", ended(v1alpha1.PromotionCancelled, "-1m"), because(v1alpha1.DeclinedReason)),
			"main", v1alpha1.EnvironmentFailed, "", "", "Flux failed", "True Accepted", "Unknown NotDeployed"},
		"declined":     {running().promotion("main", "d1", ended(v1alpha1.PromotionCancelled, "-1m"), because(v1alpha1.DeclinedReason)), "main", v1alpha1.EnvironmentIdle, "", "", "d1 was rejected here (Declined): only a newer release goes in by itself, or this one when a person promotes it", "True Accepted", "Unknown NotDeployed"},
		"not accepted": {running().with("main", after("qa")), "main", v1alpha1.EnvironmentWaiting, "", "", "Environment main comes after qa, which does not exist: create Environment qa, or take it out of spec.after of main", "False UpstreamNotFound", "Unknown NotDeployed"},
		"what Flux reports, whatever was asked for": {running().release("d2", "develop").promotion("develop", "d2", toldFlux("-1m")), "develop", v1alpha1.EnvironmentDeploying, "d1 True", "d2", "", "True Accepted", "True Healthy"},
		"what runs has no Release":                  {standard().release("d1", "develop").runs("develop", "d1").do(func(s *State) { s.Releases = nil }), "develop", v1alpha1.EnvironmentIdle, " True", "", "", "True Accepted", "True Healthy"},
		"a release lacks what is used": {empty().environment("prod").lists("prod", fromReleases("")).release("c1", "", tagged("1.0.0")).do(needing("prod", "branch")),
			"prod", v1alpha1.EnvironmentWaiting, "", "c1-v1.0.0", "deploy uses ${branch}, which c1-v1.0.0 does not have: push it to a branch", "True VersionMissing", "Unknown NotDeployed"},
		"a person asks for what lacks it": {empty().environment("prod").lists("prod", fromReleases("")).release("c1", "", tagged("1.0.0")).promotion("prod", "c1-v1.0.0", by(alice)).do(needing("prod", "branch")).do(advance),
			"prod", v1alpha1.EnvironmentWaiting, "", "c1-v1.0.0", "deploy uses ${branch}, which c1-v1.0.0 does not have: push it to a branch", "True VersionMissing", "Unknown NotDeployed"},
		"no release can have what is used": {running().do(needing("main", "version")), "main", v1alpha1.EnvironmentWaiting, "", "", "deploy uses ${version} in environment main", "False VersionMissing", "Unknown NotDeployed"},
		"diverged":                         {mergedByPeople().release("m1", "main").head("main", "m1"), "main", v1alpha1.EnvironmentWaiting, "", "m1", "m100000 is not proven in develop, neither", "True Accepted", "Unknown NotDeployed"},
		"a hotfix on the branch, and nothing to promote": {running().runs("main", "d1").promotion("main", "d1", succeeded("-1h")).release("h1", "main").head("main", "h1"),
			"main", v1alpha1.EnvironmentWaiting, "d1 True", "h1", "branch main, which is at h100000 without proof in develop", "True Accepted", "True Healthy"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			state := reported(test.given, test.env)
			if state.Phase != test.phase {
				t.Errorf("the phase is %s, want %s", state.Phase, test.phase)
			}
			current, next := "", ""
			if state.Current != nil {
				current = state.Current.Release + " " + string(state.Current.Healthy)
			}
			if state.Next != nil {
				next = state.Next.Release
			}
			if current != test.current || next != test.next {
				t.Errorf("it runs %q and next is %q, want %q and %q", current, next, test.current, test.next)
			}
			if !strings.HasPrefix(state.WaitingFor, test.waitingFor) || (test.waitingFor == "") != (state.WaitingFor == "") {
				t.Errorf("it waits for %q, want %q", state.WaitingFor, test.waitingFor)
			}
			if got := condition(state.Conditions, v1alpha1.AcceptedCondition); got != test.accepted {
				t.Errorf("Accepted is %s, want %s", got, test.accepted)
			}
			if got := condition(state.Conditions, v1alpha1.ReadyCondition); got != test.ready {
				t.Errorf("Ready is %s, want %s", got, test.ready)
			}
		})
	}
}

// advance records the next step of every Promotion, as the operator does.
func advance(s *State) {
	for _, p := range s.Promotions {
		if !phase(p).Terminal() {
			FollowPullRequest(s, p)
			Record(s, p, Next(s, p))
		}
	}
}

func TestApplicationConditions(t *testing.T) {
	running := func() *scene {
		return ready().promotion("develop", "d1", succeeded("-1h")).runs("main", "d1").promotion("main", "d1", succeeded("-1h"))
	}
	trouble := func(reason string) func(*State) {
		return func(s *State) { s.GitHub = GitHub{Problem: &Problem{Reason: reason, Message: "what is wrong"}} }
	}
	tests := map[string]struct {
		given                                  *scene
		ready, reconciling, stalled, reachable string
	}{
		"well":                     {running(), "True Healthy", "", "", "True Observed"},
		"nothing deployed":         {standard(), "Unknown NotDeployed", "", "", "True Observed"},
		"moving":                   {running().release("d2", "develop", ranIn("develop", "-1m")).head("main", "d2").promotion("main", "d2").do(advance), "Unknown Progressing", "True Progressing", "", "True Observed"},
		"not healthy":              {running().fails("main", "d1", "-1m"), "False NotHealthy", "", "", "True Observed"},
		"failed":                   {running().release("d2", "develop").promotion("main", "d2", failed("-1m")), "False PromotionFailed", "", "", "True Observed"},
		"an entry is not accepted": {running().with("main", after("qa")), "False NotAccepted", "", "True NotAccepted", "True Observed"},
		"GitHub does not answer":   {running().do(trouble(v1alpha1.UnreachableReason)), "False Unreachable", "", "", "False Unreachable"},
		"the credential is wrong":  {running().do(trouble(v1alpha1.UnauthorizedReason)), "False Unauthorized", "", "True Unauthorized", "False Unauthorized"},
		"archived":                 {running().do(archive), "True Healthy", "", "", "True RepositoryArchived"},
		"renamed":                  {running().do(func(s *State) { s.GitHub.MovedTo = "acme/site" }), "True Healthy", "", "", "True RepositoryMoved"},
		"transferred and archived": {running().do(archive).do(func(s *State) { s.GitHub.MovedTo, s.GitHub.Transferred = "other/web", true }), "True Healthy", "", "", "True RepositoryArchived"},
		"suspended":                {running().do(func(s *State) { s.Application.Spec.Suspend = true }), "Unknown Suspended", "", "", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			reported(test.given, "main")
			conditions := test.given.Application.Status.Conditions
			for kind, want := range map[string]string{
				v1alpha1.ReadyCondition: test.ready, v1alpha1.ReconcilingCondition: test.reconciling,
				v1alpha1.StalledCondition: test.stalled, v1alpha1.RepositoryReachableCondition: test.reachable,
			} {
				if got := condition(conditions, kind); got != want {
					t.Errorf("%s is %q, want %q", kind, got, want)
				}
			}
		})
	}
}

// TestRemarksSayHowToMendThem : all of them, each once.
func TestRemarksSayHowToMendThem(t *testing.T) {
	for what, test := range map[string]struct {
		given GitHub
		words []string
	}{
		"archived":    {GitHub{Archived: true}, []string{"archived", "unarchive it on GitHub"}},
		"renamed":     {GitHub{MovedTo: "acme/site"}, []string{"was renamed", "acme/site", "spec.repository.url"}},
		"transferred": {GitHub{MovedTo: "other/web", Transferred: true}, []string{"was transferred", "other/web", "spec.repository.url"}},
		"both":        {GitHub{MovedTo: "other/web", Transferred: true, Archived: true}, []string{"unarchive it on GitHub", "was transferred", "spec.repository.url"}},
	} {
		_, message := answers(&test.given)
		for _, words := range append(test.words, "GitHub answers, but ") {
			if strings.Count(message, words) != 1 {
				t.Errorf("%s: %q does not say %q once", what, message, words)
			}
		}
	}
}

// TestWhatIsTrueOfSeveralIsToldOnce : a circle of Environments is one mistake, however many entries are on it.
func TestWhatIsTrueOfSeveralIsToldOnce(t *testing.T) {
	status, _ := Report(standard().environment("qa", after("main")).lists("qa").with("develop", after("main")).State)
	for _, c := range status.Conditions {
		if c.Type != v1alpha1.ReadyCondition {
			continue
		}
		want := "develop, main, qa: the Environments lead round in a circle: develop → main → develop; take one of them out of another's spec.after"
		if c.Message != want {
			t.Errorf("Ready says\n%s\nwant\n%s", c.Message, want)
		}
	}
}

func TestPromotionConditions(t *testing.T) {
	tests := map[string]struct {
		given                                             *scene
		ready, reconciling, stalled, gatesPassed, healthy string
	}{
		"waiting":   {opened().hold("main"), "Unknown GatesWaiting", "True GatesWaiting", "", "False Held", ""},
		"merging":   {opened(), "Unknown Merging", "True Merging", "", "True Passed", ""},
		"stalled":   {ready().promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestOpen, "x1"), "Unknown BranchMoved", "", "True BranchMoved", "True Passed", ""},
		"cancelled": {ready().promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestClosed, "d1"), "False Declined", "", "", "", ""},
		"failed":    {ready().promotion("main", "d1", toldFlux("-1m")).fails("main", "d1", "-30s"), "False FluxFailed", "", "True FluxFailed", "", "False FluxFailed"},
		"succeeded": {ready().promotion("main", "d1", toldFlux("-1m")).runs("main", "d1"), "True Succeeded", "", "", "", "True Succeeded"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			advance(test.given.State)
			conditions := test.given.Promotions[0].Status.Conditions
			for kind, want := range map[string]string{
				v1alpha1.ReadyCondition: test.ready, v1alpha1.ReconcilingCondition: test.reconciling, v1alpha1.StalledCondition: test.stalled,
				v1alpha1.GatesPassedCondition: test.gatesPassed, v1alpha1.HealthyCondition: test.healthy,
			} {
				if got := condition(conditions, kind); got != want {
					t.Errorf("%s is %q, want %q", kind, got, want)
				}
			}
		})
	}
}

// still are scenes in which nothing is due for a while.
var still = map[string]func() *scene{
	"nothing":          standard,
	"running":          func() *scene { return ready().promotion("develop", "d1", succeeded("-1h")) },
	"soaking":          func() *scene { return opened(soaking(2 * time.Hour)) },
	"held for a while": func() *scene { return opened().hold("main", until("1h")) },
	"approved":         func() *scene { return opened(approvedBy(2)).approval("main-d1-1", bob, v1alpha1.DecisionApprove) },
	"checks":           func() *scene { return opened(checking()).checks("d1", Check{"build", CheckPending}) },
	"deploying": func() *scene {
		return ready().runs("main", "d1").promotion("main", "d1", toldFlux("-1m", "d1")).flux("main", func(f *Flux) { f.Ready = "Unknown" })
	},
	"failed":         func() *scene { return ready().fails("develop", "d1", "-1h").promotion("develop", "d1", failed("-1h")) },
	"unhealthy":      func() *scene { return opened(soaking(time.Hour)).fails("develop", "d1", "-1h") },
	"GitHub is away": func() *scene { return opened(checking()).outage("1h") },
	"stalled": func() *scene {
		return ready().promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestOpen, "x1")
	},
	"diverged":         func() *scene { return mergedByPeople().release("m1", "main").head("main", "m1") },
	"suspended":        func() *scene { return opened().do(func(s *State) { s.Application.Spec.Suspend = true }) },
	"not accepted":     func() *scene { return opened().with("main", after("qa")) },
	"merged by people": func() *scene { return mergedPull(soaking(2 * time.Hour)) },
}

// TestIdleIsNeverRewritten looks at every one of these scenes again a second and a minute later: status must be the same, byte for
// byte, and so must every Promotion's.
func TestIdleIsNeverRewritten(t *testing.T) {
	for name, given := range still {
		t.Run(name, func(t *testing.T) {
			s := given()
			look := func() (string, time.Time) {
				advance(s.State)
				Ledger(s.State)
				status, recheck := Report(s.State)
				s.Application.Status = status
				words := marshal(status)
				for _, p := range s.Promotions {
					words += marshal(p.Status)
				}
				return words, recheck
			}
			look() // The first look learns; what it learned is in the second.
			before, recheck := look()
			for _, after := range []time.Duration{time.Second, time.Minute} {
				s.Now = noon.Add(after)
				if !recheck.IsZero() && !s.Now.Before(recheck) {
					t.Fatalf("it is due at %s: this proves nothing", recheck)
				}
				now, again := look()
				if now != before {
					t.Errorf("%s later status is another one:\n%s\n\n%s", after, before, now)
				}
				if !again.Equal(recheck) {
					t.Errorf("%s later it looks again at %s, and before at %s", after, again, recheck)
				}
			}
		})
	}
}

func TestReportLooksAgainExactly(t *testing.T) {
	tests := map[string]struct {
		given *scene
		want  string
	}{
		"never":                {standard(), ""},
		"at the end of a soak": {opened(soaking(90 * time.Minute)), "30m"},
		"at the end of a hold": {opened().hold("main", until("20m")), "20m"},
		"at the end of a hold that nothing waits for": {standard().hold("main", until("20m")).hold("main"), "20m"},
		"at the earlier of the two":                   {opened(soaking(90*time.Minute)).hold("main", until("20m")), "20m"},
		"at the deadline":                             {ready().promotion("main", "d1", toldFlux("-1m", "d1")), "9m"},
		"when GitHub may answer":                      {standard().outage("3m"), "3m"},
		"when GitHub may be asked": {opened().do(func(s *State) {
			s.GitHub.PullRequests["main-d1-1"] = PullRequest{Problem: &Problem{RetryAt: at("4m").Time}}
		}), "4m"},
		"when the target may be there": {standard().do(func(s *State) {
			s.Targets["main"] = &Problem{Reason: v1alpha1.TargetMissingReason, RetryAt: at("5m").Time}
		}), "5m"},
		"before it was started, a soak":   {ready(soaking(90 * time.Minute)), "30m"},
		"not for what only people can do": {opened(approvedBy(1)), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, got := Report(test.given.State)
			want := time.Time{}
			if test.want != "" {
				want = at(test.want).Time
			}
			if !got.Equal(want) {
				t.Errorf("it looks again at %s, want %s", got, want)
			}
		})
	}
}

func TestSummary(t *testing.T) {
	tests := map[string]struct {
		given *scene
		want  string
	}{
		"nothing":   {standard(), "develop – → main –"},
		"suspended": {standard().do(func(s *State) { s.Application.Spec.Suspend = true }), "develop – → main –: suspended"},
		"GitHub away": {
			standard().do(func(s *State) {
				s.GitHub.Problem = &Problem{Reason: v1alpha1.SecretNotFoundReason, Message: "Secret github is missing"}
			}),
			"develop – → main –: GitHub (SecretNotFound): Secret github is missing"},
		"soaking": {
			opened(soaking(90 * time.Minute)).do(advance), "develop d100000 → main –: main waiting for soak until 2026-03-02 12:30:00Z"},
		"behind": {
			opened(soaking(90*time.Minute)).release("m0", "main").runs("main", "m0").distance("m0", "d1", 7, 0).do(advance),
			"develop d100000 → main m000000: main 7 commits behind, waiting for soak until 2026-03-02 12:30:00Z"},
		"a circle, which is told once": {
			standard().with("develop", after("main")),
			"develop – → main –: develop, main waiting: the Environments lead round in a circle: develop → main → develop; take one of them out of another's spec.after"},
		"one that is not accepted, and one that waits": {
			opened(soaking(90 * time.Minute)).lists("prod").do(advance),
			"develop d100000 → main – → prod –: prod waiting: there is no Environment prod: create it, or write one that exists (develop, main); main waiting for soak until 2026-03-02 12:30:00Z"},
		"a version": {
			empty().environment("prod").lists("prod", fromReleases("")).release("c1", "", tagged("1.2.0")).runs("prod", "c1-v1.2.0"), "prod 1.2.0"},
		"not healthy": {
			ready().fails("develop", "d1", "-1m").promotion("develop", "d1", succeeded("-1h")).hold("main"), "develop d100000 (not healthy) → main –: main waiting for hold: incident 7"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			status, _ := Report(test.given.State)
			if status.Summary != test.want {
				t.Errorf("the summary is\n%s\nwant\n%s", status.Summary, test.want)
			}
		})
	}
}

func TestBehindOutlastsAnOutage(t *testing.T) {
	s := ready().release("m0", "main").runs("main", "m0").distance("m0", "d1", 7, 0)
	if got := reported(s, "main").Behind; got == nil || got.Commits != 7 {
		t.Fatalf("main is %v behind", got)
	}
	if got := reported(s.outage("1m"), "main").Behind; got == nil || got.Commits != 7 {
		t.Errorf("without GitHub, main is %v behind", got)
	}
	if got := reported(s.runs("main", "d1"), "main").Behind; got != nil {
		t.Errorf("what runs the same is %v behind", got)
	}
}

// TestDeletionPolicyOutlastsASuspension takes an entry out of a suspended Application: what is to become of what it runs is acted on when
// the Application is resumed, so it must still be known then.
func TestDeletionPolicyOutlastsASuspension(t *testing.T) {
	s := ready().runs("main", "d1")
	s.entry("main").DeletionPolicy = v1alpha1.DeletionDelete
	s.Application.Status, _ = Report(s.State)
	s.Application.Spec.Suspend = true
	s.Application.Spec.Environments = s.Application.Spec.Environments[:1]
	for range 2 {
		s.Application.Status, _ = Report(s.State)
	}
	if left := s.statusOf("main"); left == nil || left.DeletionPolicy != v1alpha1.DeletionDelete {
		t.Fatalf("of main is left %+v", left)
	}
	s.Flux["main"] = Flux{}
	if s.Application.Status, _ = Report(s.State); s.statusOf("main") != nil {
		t.Error("main runs nothing, and is still told of")
	}
}
