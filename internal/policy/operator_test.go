// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"fmt"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// observe reads the world into a State, as the operator does: all of the API server and of Flux, and of GitHub what the engine
// asks for.
func (w *world) observe() *State {
	s := &State{Now: w.now.Truncate(time.Second), Operator: operator, SystemNamespace: system, Application: w.api.application.DeepCopy(), Environments: w.api.environments}
	for _, r := range w.api.releases {
		s.Releases = append(s.Releases, r.DeepCopy())
	}
	for _, p := range w.api.promotions {
		s.Promotions = append(s.Promotions, p.DeepCopy())
	}
	s.Approvals, s.Holds = w.api.approvals, w.api.holds
	s.Flux, s.Sources = map[v1alpha1.EnvironmentName]Flux{}, map[v1alpha1.EnvironmentName]FluxSource{}
	for env, k := range w.flux {
		report := k.report
		report.Exists, report.Release, report.ChecksHealth = k.exists, k.release, k.exists
		if w.ready[k.commit] {
			report.SourceCommit = k.commit
		}
		s.Flux[env] = report
	}
	for i := range s.Application.Spec.Environments {
		env := s.Application.Spec.Environments[i].Name
		if r := Pinned(s, env); r != nil && w.asked[r.Spec.Commit] {
			s.Sources[env] = FluxSource{Exists: true}
			if w.ready[r.Spec.Commit] {
				s.Sources[env] = FluxSource{Exists: true, Commit: r.Spec.Commit}
			}
		}
	}
	if w.hub.down {
		s.GitHub.Problem = &Problem{Reason: v1alpha1.UnreachableReason, Message: "GitHub does not answer", RetryAt: s.Now.Add(30 * time.Second)}
		return s
	}
	s.GitHub = GitHub{Branches: map[string]Branch{}, Commits: map[string]Commit{}, Merges: map[string]Merge{}, Checks: map[string]Checks{},
		Distances: map[Span]Distance{}, PullRequests: map[string]PullRequest{}}
	for _, branch := range BranchNeeds(s.Application).Branches {
		s.GitHub.Branches[branch] = Branch{Found: true, Head: w.git.commits[w.git.branches[branch]]}
	}
	if BranchNeeds(s.Application).Published {
		s.GitHub.Published = w.hub.published
	}
	w.evidence(s)
	return s
}

// evidence answers what the engine asks GitHub, until it asks for nothing new.
func (w *world) evidence(s *State) {
	if w.hub.down {
		return
	}
	for range 4 {
		needs := EvidenceNeeds(s)
		for _, commit := range needs.Commits {
			s.GitHub.Commits[commit] = w.git.commits[commit]
		}
		for _, commit := range needs.Merges {
			if merge, is := w.hub.merges[commit]; is {
				s.GitHub.Merges[commit] = merge
			}
		}
		for _, commit := range needs.Checks {
			s.GitHub.Checks[commit] = Checks{}
			if state, reported := w.hub.checks[commit]; reported {
				s.GitHub.Checks[commit] = Checks{Runs: []Check{{Name: "build", State: state}}}
			}
		}
		for _, span := range needs.Distances {
			s.GitHub.Distances[span] = w.git.distance(span)
		}
		for _, p := range needs.PullRequests {
			if pull := w.hub.pulls[p.Status.PullRequest.Number]; pull != nil {
				s.GitHub.PullRequests[p.Name] = *pull
			}
		}
	}
}

// reconcile is one round of the operator: it observes, asks the engine, and does what it says. It is here what the controllers are
// in the product; it dies at any write that the world wants it to die at.
func (w *world) reconcile() (time.Time, error) {
	s := w.observe()
	for _, do := range []func(*State) error{w.follow, w.discover, w.advance, w.start, w.enterLedger, w.deploy, w.forget} {
		if err := do(s); err != nil {
			return time.Time{}, err
		}
	}
	status, recheck := Report(s)
	if !equality.Semantic.DeepEqual(w.api.application.Status, status) {
		if err := w.wrote(); err != nil {
			return time.Time{}, err
		}
		w.api.application.Status = status
	}
	return recheck, nil
}

func (w *world) follow(s *State) error {
	for _, p := range s.Promotions {
		FollowPullRequest(s, p)
	}
	w.evidence(s)
	return nil
}

func (w *world) discover(s *State) error {
	for _, spec := range Discover(s) {
		if err := w.wrote(); err != nil {
			return err
		}
		name := "web-" + spec.Commit[:8]
		if spec.Tag != "" {
			name += "-" + spec.Tag
		}
		r := &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: team, CreationTimestamp: metav1.NewTime(w.now)}, Spec: spec}
		w.api.releases = append(w.api.releases, r)
		s.Releases = append(s.Releases, r.DeepCopy())
		w.say("release %s of %s", name, spec.Branch)
	}
	w.evidence(s)
	return nil
}

func (w *world) advance(s *State) error {
	for _, p := range s.Promotions {
		if phase(p).Terminal() {
			continue
		}
		step := Next(s, p)
		if err := w.act(s, p, &step); err != nil {
			return err
		}
		Record(s, p, step)
		stored := w.api.named(p.Name)
		if equality.Semantic.DeepEqual(stored.Status, p.Status) {
			continue
		}
		if err := w.wrote(); err != nil {
			return err
		}
		if stored.Status.Phase != p.Status.Phase || stored.Status.Reason != p.Status.Reason {
			w.say("%s: %s %s: %s", p.Name, p.Status.Phase, p.Status.Reason, p.Status.Message)
		}
		if step.Deploy != nil {
			commit := step.Deploy.Spec.Commit
			w.record.began = append(w.record.began, beginning{promotion: p.Name, env: p.Spec.Environment, commit: commit, objection: w.objection(p, commit)})
		}
		stored.Status = *p.Status.DeepCopy()
	}
	return nil
}

// act does on GitHub what a step asks for.
func (w *world) act(s *State, p *v1alpha1.Promotion, step *Step) error {
	if step.Effect == EffectNone || w.hub.down {
		return nil
	}
	if step.Effect == EffectWithdraw {
		if pull := w.hub.pulls[p.Status.PullRequest.Number]; pull.State == v1alpha1.PullRequestOpen && s.releaseAt(pull.Head) != nil {
			if err := w.wrote(); err != nil {
				return err
			}
			pull.State = v1alpha1.PullRequestClosed
			w.say("withdrew #%d", pull.Number)
		}
		return nil
	}
	base, candidate := s.Entry(p.Spec.Environment).Source.Branch, s.Release(p.Spec.Release).Spec.Commit
	if step.Effect == EffectPullRequest {
		return w.ensurePull(s, p, base, candidate)
	}
	pull := w.hub.pulls[p.Status.PullRequest.Number]
	if pull.State != v1alpha1.PullRequestOpen || pull.Head != candidate || w.git.branches[base] != step.Base {
		step.Phase, step.Reason, step.Message = v1alpha1.PromotionPending, v1alpha1.MergeWaitingReason, "it changed: deciding again"
		return nil
	}
	if err := w.wrote(); err != nil {
		return err
	}
	if !slices.Contains(p.Spec.Bypass, GateProven) && !w.contains(candidate, step.Base) && !w.known(step.Base) {
		w.record.mistakes = append(w.record.mistakes, fmt.Sprintf("#%d was merged onto %s, which nobody has proven or let in", pull.Number, short(step.Base)))
	}
	w.mergePull(pull, "mainstem")
	w.say("merged #%d at %s as %s", pull.Number, short(candidate), short(pull.MergeCommit))
	return nil
}

// ensurePull opens the promotion pull request, or moves the one that is open, unless a stranger pushed to it.
func (w *world) ensurePull(s *State, p *v1alpha1.Promotion, base, candidate string) error {
	open := w.hub.open(base)
	if len(open) == 0 {
		if err := w.wrote(); err != nil {
			return err
		}
		number := int64(len(w.hub.pulls) + 1)
		w.hub.pulls[number] = &PullRequest{Number: number, URL: fmt.Sprintf("https://github.com/acme/web/pull/%d", number), State: v1alpha1.PullRequestOpen, Head: candidate}
		w.hub.base[number] = base
		w.say("opened #%d at %s", number, short(candidate))
		open = w.hub.open(base)
	}
	pull := open[0]
	if pull.Head != candidate {
		if s.releaseAt(pull.Head) == nil {
			return nil
		}
		if err := w.wrote(); err != nil {
			return err
		}
		pull.Head = candidate
		w.say("moved #%d to %s", pull.Number, short(candidate))
	}
	p.Status.PullRequest = &v1alpha1.PullRequestStatus{Number: pull.Number, URL: pull.URL, State: v1alpha1.PullRequestOpen}
	return nil
}

func (w *world) start(s *State) error {
	for i := range s.Application.Spec.Environments {
		env := s.Application.Spec.Environments[i].Name
		decision := Decide(s, env)
		if decision.Action != ActionStart || len(w.api.promotions) != len(s.Promotions) {
			continue
		}
		if err := w.wrote(); err != nil {
			return err
		}
		p := &v1alpha1.Promotion{Spec: v1alpha1.PromotionSpec{Application: "web", Environment: env, Release: decision.Release.Name, Attempt: decision.Attempt, RequestedBy: operator}}
		w.create(p)
		s.Promotions = append(s.Promotions, p.DeepCopy())
		w.say("started %s", p.Name)
	}
	return nil
}

func (w *world) enterLedger(s *State) error {
	for _, r := range Ledger(s) {
		if err := w.wrote(); err != nil {
			return err
		}
		w.api.releaseNamed(r.Name).Status = *r.Status.DeepCopy()
	}
	return nil
}

// deploy makes Flux run what is pinned: first the source, then the one write that flips the Kustomization.
func (w *world) deploy(s *State) error {
	for i := range s.Application.Spec.Environments {
		env := s.Application.Spec.Environments[i].Name
		pinned := Pinned(s, env)
		if pinned == nil || Accept(s, env) != nil || s.Application.Spec.Suspend {
			continue
		}
		if !w.asked[pinned.Spec.Commit] {
			if err := w.wrote(); err != nil {
				return err
			}
			w.asked[pinned.Spec.Commit] = true
		}
		k, by := w.flux[env], Deployed(s, env)
		if !w.ready[pinned.Spec.Commit] || (k.exists && k.release == pinned.Name && (k.promotion == by.Name || phase(by) != v1alpha1.PromotionDeploying)) {
			continue
		}
		if err := w.wrote(); err != nil {
			return err
		}
		k.exists, k.commit, k.release, k.promotion = true, pinned.Spec.Commit, pinned.Name, by.Name
		k.report.GenerationObserved = false
		w.say("%s is told to run %s", env, pinned.Name)
	}
	return nil
}

// forget deletes what has had its time.
func (w *world) forget(s *State) error {
	promotions, releases := Expired(s)
	for _, p := range promotions {
		if err := w.wrote(); err != nil {
			return err
		}
		w.api.promotions = slices.DeleteFunc(w.api.promotions, func(other *v1alpha1.Promotion) bool { return other.Name == p.Name })
		w.say("forgot %s", p.Name)
	}
	for _, r := range releases {
		if err := w.wrote(); err != nil {
			return err
		}
		w.api.releases = slices.DeleteFunc(w.api.releases, func(other *v1alpha1.Release) bool { return other.Name == r.Name })
		w.say("forgot %s", r.Name)
	}
	return nil
}
