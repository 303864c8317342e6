// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// mergeRetry is how long after a refused merge GitHub is asked again when no event says that something changed.
const mergeRetry = time.Minute

// Effect is what is to be done in the world for a Promotion, besides recording its status.
type Effect string

const (
	// EffectNone : nothing but the record.
	EffectNone Effect = ""
	// EffectPullRequest : see that the promotion branch is at the candidate's commit, and that its pull request is open and
	// says what is so.
	EffectPullRequest Effect = "PullRequest"
	// EffectMerge : merge the pull request at exactly the candidate's commit, onto exactly Base.
	EffectMerge Effect = "Merge"
	// EffectWithdraw : take the pull request and its branch back, where they are Mainstem's and nobody else's. The Promotion is over
	// whether that works or not.
	EffectWithdraw Effect = "Withdraw"
)

// Step is the one next step of one Promotion: what its record should say, and what is to be done for it.
type Step struct {
	// Phase, Reason and Message are what the Promotion's status should say.
	Phase   v1alpha1.PromotionPhase
	Reason  string
	Message string
	// Stalled says that only a person can help.
	Stalled bool
	// Gates are how the gates stand; nil where they are not asked any more.
	Gates []GateResult
	// Deploy is the Release whose deploy begins with this step, and Proof how it is proven.
	Deploy *v1alpha1.Release
	Proof  string
	// Effect is what is to be done.
	Effect Effect
	// Base is the head of the base branch that the decision to merge was made on.
	Base string
	// RecheckAt is when time alone may lead to another step.
	RecheckAt time.Time
}

// Next says what the next step of a Promotion is. For one that is over, or that has nothing to do, it is what is so already.
func Next(s *State, p *v1alpha1.Promotion) Step {
	return nextStep(withLedgers(s), p)
}

func nextStep(s *State, p *v1alpha1.Promotion) Step {
	if phase(p).Terminal() {
		return Step{Phase: phase(p), Reason: p.Status.Reason, Message: p.Status.Message}
	}
	step, gone := cancelled(s, p)
	switch {
	case gone:
	case phase(p) == v1alpha1.PromotionDeploying:
		step = deploying(s, p)
	default:
		step = pending(s, p)
	}
	if step.Phase == v1alpha1.PromotionCancelled && leavesPullRequest(s, p) {
		step.Effect = EffectWithdraw
	}
	return step
}

// leavesPullRequest says that a Promotion has a pull request that is not merged, and that no other one goes on with.
func leavesPullRequest(s *State, p *v1alpha1.Promotion) bool {
	pull := p.Status.PullRequest
	return pull != nil && pull.State != v1alpha1.PullRequestMerged && !slices.ContainsFunc(s.Promotions, func(other *v1alpha1.Promotion) bool {
		return other.Name != p.Name && !phase(other).Terminal() && other.Status.PullRequest != nil && other.Status.PullRequest.Number == pull.Number
	})
}

// cancelled ends a Promotion whose Application, Environment, entry or Release is not there, and one that asks for what cannot be: to
// bypass a gate that there is not, or to go back to what was never proven where it goes.
func cancelled(s *State, p *v1alpha1.Promotion) (Step, bool) {
	begun := phase(p) == v1alpha1.PromotionDeploying
	switch {
	case s.entry(p.Spec.Environment) == nil:
		return cancel(v1alpha1.EnvironmentGoneReason, fmt.Sprintf("the Application does not list Environment %s", p.Spec.Environment)), true
	case s.Environments[p.Spec.Environment] == nil:
		return cancel(v1alpha1.EnvironmentGoneReason, fmt.Sprintf("there is no Environment %s", p.Spec.Environment)), true
	case s.release(p.Spec.Release) == nil && !begun:
		return cancel(v1alpha1.ReleaseNotFoundReason, fmt.Sprintf(
			"Application %s has no Release %s: see kubectl get releases, and create a Promotion of one of them", p.Spec.Application, p.Spec.Release)), true
	case strangeGate(s, p) != "" && !begun:
		return cancel(v1alpha1.GateNotFoundReason, fmt.Sprintf("bypass names %s, which is no gate of %s for this Application: create a Promotion that names one of %s",
			strangeGate(s, p), p.Spec.Environment, list(gateKeys(s, p.Spec.Environment)))), true
	case s.byHand(p) && !begun && unreachable(s, toDeploy(s, p)) != nil:
		problem := unreachable(s, toDeploy(s, p))
		return cancel(problem.Reason, problem.Message), true
	case p.Spec.Rollback && !begun:
		e := entrance{env: p.Spec.Environment, candidate: s.release(p.Spec.Release), promotion: p}
		if g := provenHere(e); !g.Passed() && !e.bypassed(GateProven) {
			return cancel(g.Reason, g.Message), true
		}
	}
	return Step{}, false
}

func cancel(reason, message string) Step {
	return Step{Phase: v1alpha1.PromotionCancelled, Reason: reason, Message: message}
}

// pending covers Pending and Merging: gates are asked until the deploy begins.
func pending(s *State, p *v1alpha1.Promotion) Step {
	if step, over := yields(s, p); over {
		return step
	}
	env := p.Spec.Environment
	e := entrance{env: env, candidate: s.release(p.Spec.Release), promotion: p}
	way := wayIn(s, p, e.candidate)
	e.deployed = way.deploy
	results := gates(s, e)
	step := Step{Phase: v1alpha1.PromotionPending, Reason: v1alpha1.GatesWaitingReason, Gates: results, RecheckAt: recheck(results)}

	if problem := blocked(s, p, way); problem != nil {
		step.Reason, step.Message, step.Stalled = problem.Reason, problem.Message, Stalls(problem.Reason)
		step.RecheckAt = earliest(step.RecheckAt, problem.RetryAt)
		return step
	}
	if way.ended != nil {
		return *way.ended
	}
	if !passed(results) {
		step.Message = "waiting for " + unmet(results)
		step.Effect = way.open
		return step
	}
	if way.deploy != nil {
		return begin(s, step, way.deploy, results)
	}
	return merge(s, p, step, way)
}

// begin starts the deploy: from here on gates are not asked again.
func begin(s *State, step Step, release *v1alpha1.Release, results []GateResult) Step {
	step.Phase, step.Reason = v1alpha1.PromotionDeploying, v1alpha1.DeployingReason
	// What the next look will find, so that it need not be written twice.
	step.Message = fmt.Sprintf("deploying %s: %s", release.Name, fetching)
	step.Deploy, step.Proof = release, ""
	for _, g := range results {
		if g.Name == GateProven {
			step.Proof = proofWord(g)
		}
	}
	step.RecheckAt = s.Now
	return step
}

func proofWord(g GateResult) string {
	switch kind := v1alpha1.ProofKind(g.Reason); kind {
	case v1alpha1.ProofCommit, v1alpha1.ProofContent, v1alpha1.ProofLineage:
		return string(kind)
	}
	if g.Reason == "Bypassed" {
		return ProofNone
	}
	return ""
}

// merge carries a Promotion whose gates have passed through its pull request.
func merge(s *State, p *v1alpha1.Promotion, step Step, way way) Step {
	entry := s.entry(p.Spec.Environment)
	switch {
	case way.open == EffectPullRequest && way.pull == nil:
		step.Reason, step.Message, step.Effect = v1alpha1.MergeWaitingReason, "opening the pull request", way.open
		return step
	case entry.PullRequest.Merge == v1alpha1.MergeManual:
		step.Reason, step.Effect = v1alpha1.MergeWaitingReason, way.open
		step.Message = fmt.Sprintf("the gates have passed: waiting for a person to merge pull request #%d", p.Status.PullRequest.Number)
		return step
	}
	step.Phase, step.Reason = v1alpha1.PromotionMerging, v1alpha1.MergingReason
	step.Message = fmt.Sprintf("merging pull request #%d", p.Status.PullRequest.Number)
	step.Effect, step.Base = EffectMerge, s.GitHub.Branches[entry.Source.Branch].Head.SHA
	step.RecheckAt = s.Now.Add(mergeRetry)
	return step
}

// yields ends or stops a Promotion that is not the one to move, or that people or newer candidates have overtaken.
func yields(s *State, p *v1alpha1.Promotion) (Step, bool) {
	decisions := s.approvalsOf(p)
	for _, approver := range slices.Sorted(maps.Keys(decisions)) {
		if decision := decisions[approver]; decision.Spec.Decision == v1alpha1.DecisionReject {
			return cancel(v1alpha1.RejectedReason, cut(fmt.Sprintf("rejected by %s: %s", approver, cmp.Or(decision.Spec.Comment, "no comment")), 1024)), true
		}
	}
	active := Active(s, p.Spec.Environment)
	if active != nil && active.Name != p.Name {
		if s.byHand(active) && phase(active) != v1alpha1.PromotionDeploying {
			return superseded(active.Spec.Release, active.Name), true
		}
		return Step{Phase: phase(p), Reason: v1alpha1.QueuedReason, Message: fmt.Sprintf("Promotion %s goes first", active.Name)}, true
	}
	if next := overtakes(s, p); next != nil {
		return superseded(next.Name, ""), true
	}
	return Step{}, false
}

func superseded(release, promotion string) Step {
	message := fmt.Sprintf("%s took its place", release)
	if promotion != "" {
		message = fmt.Sprintf("%s took its place, by Promotion %s", release, promotion)
	}
	return Step{Phase: v1alpha1.PromotionSuperseded, Reason: v1alpha1.SupersededReason, Message: message}
}

// overtakes returns the newer candidate that takes a waiting Promotion's place, or nil. A promotion that a person asked for, that
// somebody has approved, or that waits for nothing but time or checks that are running, finishes first: otherwise a busy upstream
// would starve this one. For the same reason one whose gates have passed yields only to one whose gates have passed, too, and only
// once between two deploys: where commits arrive as fast as Mainstem looks, none would ever be deployed otherwise. None of this
// keeps a promotion that cannot finish.
func overtakes(s *State, p *v1alpha1.Promotion) *v1alpha1.Release {
	if s.byHand(p) || p.Spec.Rollback || standstill(s, p.Spec.Environment) != nil {
		return nil
	}
	release, next := s.release(p.Spec.Release), newestEligible(s, p.Spec.Environment)
	if next == nil || next.Name == release.Name {
		return nil
	}
	if !takesOver(s, s.entry(p.Spec.Environment), next, release) {
		return nil
	}
	way := wayIn(s, p, release)
	results := gates(s, entrance{env: p.Spec.Environment, candidate: release, deployed: way.deploy, promotion: p})
	switch {
	case hopeless(way, results) || unreachable(s, way.deploy) != nil:
		return next
	case len(s.approvalsOf(p)) > 0 || onlyComing(results):
		return nil
	case passed(results) && (yieldedSinceDeploy(s, p.Spec.Environment) || !passed(gates(s, entrance{env: p.Spec.Environment, candidate: next}))):
		return nil
	}
	return next
}

// yieldedSinceDeploy says whether a Promotion into an environment has been superseded since a deploy began there last.
func yieldedSinceDeploy(s *State, env v1alpha1.EnvironmentName) bool {
	var began time.Time
	if last := Deployed(s, env); last != nil {
		began = last.Status.DeployStartedAt.Time
	}
	return slices.ContainsFunc(s.promotionsInto(env), func(p *v1alpha1.Promotion) bool {
		return phase(p) == v1alpha1.PromotionSuperseded && p.Status.FinishedAt != nil && !p.Status.FinishedAt.Time.Before(began)
	})
}

// takesOver says that a candidate may take a Release's place: it is newer, or the Release is not on offer any more, because its branch
// has moved or an upstream has gone back from it.
func takesOver(s *State, entry *v1alpha1.ApplicationEnvironment, next, release *v1alpha1.Release) bool {
	onOffer := slices.ContainsFunc(pool(s, entry), func(r *v1alpha1.Release) bool { return r.Name == release.Name })
	return !onOffer || newerFor(s, entry, next, release)
}

// hopeless says that a promotion cannot finish as things are, whatever people say and time brings: a gate says no, what it would
// bring in is not proven, or its way is blocked for good.
func hopeless(found way, results []GateResult) bool {
	if found.problem != nil && (found.problem.Reason == ReasonContained || Stalls(found.problem.Reason)) {
		return true
	}
	return slices.ContainsFunc(results, func(g GateResult) bool {
		return g.Outcome == v1alpha1.GateFailed || (g.Name == GateProven && g.Outcome == v1alpha1.GateWaiting)
	})
}
