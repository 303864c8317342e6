// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// defaultDeployTimeout is how long a deploy may take where the Environment does not say.
const defaultDeployTimeout = 10 * time.Minute

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
	case !s.Application.DeletionTimestamp.IsZero():
		return cancel(v1alpha1.ApplicationGoneReason, "the Application is being deleted"), true
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

// deploying waits for Flux, which says healthy, failed, or nothing until the deadline.
func deploying(s *State, p *v1alpha1.Promotion) Step {
	env := p.Spec.Environment
	release := s.release(p.Status.DeployedRelease)
	step := Step{Phase: v1alpha1.PromotionDeploying, Reason: v1alpha1.DeployingReason, Message: p.Status.Message}
	if release == nil || p.Status.DeployStartedAt == nil {
		step.Phase, step.Reason = v1alpha1.PromotionFailed, v1alpha1.ReleaseNotFoundReason
		step.Message = fmt.Sprintf("Release %s is gone: promote another one", p.Status.DeployedRelease)
		return step
	}
	flux, commit, since := s.Flux[env], release.Spec.Commit, p.Status.DeployStartedAt.Time
	deadline := since.Add(deployTimeout(s.Environments[env]))
	switch {
	case flux.healthyAt(commit) && flux.Release == release.Name:
		step.Phase, step.Reason = v1alpha1.PromotionSucceeded, v1alpha1.SucceededReason
		step.Message = fmt.Sprintf("%s is applied and healthy", release.Name)
	case flux.Release == release.Name && flux.failedAt(commit, s.failuresCountFrom(p, commit)):
		step.Phase, step.Reason = v1alpha1.PromotionFailed, v1alpha1.FluxFailedReason
		step.Message = cut(fmt.Sprintf("Flux failed at %s: %s: %s", release.Name, flux.Reason, flux.Message), 1024)
	case unreachable(s, release) != nil:
		problem := unreachable(s, release)
		return cancel(problem.Reason, problem.Message)
	case !s.Now.Before(deadline):
		step.Phase, step.Reason = v1alpha1.PromotionFailed, v1alpha1.DeadlineExceededReason
		step.Message = cut(fmt.Sprintf("%s was not healthy by %s; Flux said last: %s", release.Name, instant(deadline), lastWords(s, env, commit)), 1024)
	default:
		if back := rollbackOf(s, p); back != nil {
			return superseded(back.Spec.Release, back.Name)
		}
		if next := overtakesDeploy(s, p); next != nil {
			return superseded(next.Name, "")
		}
		step.Message = cut(fmt.Sprintf("deploying %s: %s", release.Name, progress(s, p, commit)), 1024)
		step.RecheckAt = deadline
	}
	return step
}

// failuresCountFrom is the moment from which a failure of Flux at a commit is about this Promotion: the beginning of its deploy. What is
// recorded may be later than that by as many seconds as there were deploys right before (see beginsAt). One of the same commit may
// have left a failure behind that is its own.
func (s *State) failuresCountFrom(p *v1alpha1.Promotion, commit string) time.Time {
	from := p.Status.DeployStartedAt.Time
	for _, other := range slices.Backward(inOrderOfDeploys(s.promotionsInto(p.Spec.Environment))) {
		deployed := s.release(other.Status.DeployedRelease)
		if other.Status.DeployStartedAt.Add(time.Second).Equal(from) && deployed != nil && deployed.Spec.Commit != commit {
			from = other.Status.DeployStartedAt.Time
		}
	}
	return from
}

// inOrderOfDeploys are the Promotions whose deploy has begun, by when it did.
func inOrderOfDeploys(promotions []*v1alpha1.Promotion) []*v1alpha1.Promotion {
	begun := slices.DeleteFunc(slices.Clone(promotions), func(p *v1alpha1.Promotion) bool { return p.Status.DeployStartedAt == nil })
	slices.SortFunc(begun, func(a, b *v1alpha1.Promotion) int {
		return a.Status.DeployStartedAt.Compare(b.Status.DeployStartedAt.Time)
	})
	return begun
}

func deployTimeout(environment *v1alpha1.Environment) time.Duration {
	if environment == nil || environment.Spec.Timeouts == nil || environment.Spec.Timeouts.Deploy == nil {
		return defaultDeployTimeout
	}
	return environment.Spec.Timeouts.Deploy.Duration
}

// fetching is where a deploy is until its source is at the commit, and fluxSays begins what Flux says from then on.
const (
	fetching = "fetching the source"
	fluxSays = "Flux says: "
)

// progress says where a deploy is, in words that do not change while nothing happens: what Flux said last stands while it looks again.
func progress(s *State, p *v1alpha1.Promotion, commit string) string {
	env := p.Spec.Environment
	source, flux := s.Sources[env], s.Flux[env]
	_, said, _ := strings.Cut(p.Status.Message, fluxSays)
	switch {
	case source.Commit == "" && source.Message != "":
		return fetching + ": " + source.Message
	case source.Commit != commit:
		return fetching
	case flux.Release == p.Status.DeployedRelease && flux.waits() && flux.Message != "":
		return fluxSays + flux.Message + mendPath(flux.Message)
	case flux.Release == p.Status.DeployedRelease && flux.Ready == string(metav1.ConditionUnknown) && said != "":
		return fluxSays + said
	}
	return "waiting for Flux to apply it and for its health"
}

// mendPath says how to mend a directory that the release does not have. Flux has no reason of its own for it, and tries again: as soon
// as deploy.kustomize.path is corrected, the deploy goes on.
func mendPath(message string) string {
	if strings.HasPrefix(message, "kustomization path not found") {
		return ": correct deploy.kustomize.path, or push the directory"
	}
	return ""
}

func lastWords(s *State, env v1alpha1.EnvironmentName, commit string) string {
	flux, source := s.Flux[env], s.Sources[env]
	switch {
	case source.Commit != commit:
		return cmp.Or(source.Message, "the source is not fetched yet")
	case source.Commit == commit && flux.Attempted != commit:
		return cmp.Or(flux.Message, "nothing about this release") + mendPath(flux.Message)
	}
	return cmp.Or(flux.Message, "nothing")
}

// rollbackOf returns the rollback that waits for a deploy to end, or nil. Nobody who wants to go back waits for a deadline first.
func rollbackOf(s *State, p *v1alpha1.Promotion) *v1alpha1.Promotion {
	env := p.Spec.Environment
	if s.Application.Spec.Suspend || Accept(s, env) != nil {
		return nil
	}
	for _, back := range slices.Backward(s.promotionsInto(env)) {
		target := s.release(back.Spec.Release)
		if back.Name == p.Name || !back.Spec.Rollback || phase(back).Terminal() || target == nil || unreachable(s, target) != nil {
			continue
		}
		if passed(gates(s, entrance{env: env, candidate: target, deployed: target, promotion: back})) {
			return back
		}
	}
	return nil
}

// overtakesDeploy returns the newer candidate that takes the place of a deploy without a pull request. Only every second one can
// be overtaken: under commits that arrive faster than deploys end, none would ever be proven otherwise.
func overtakesDeploy(s *State, p *v1alpha1.Promotion) *v1alpha1.Release {
	entry := s.entry(p.Spec.Environment)
	if entry == nil || routeOf(entry) == routePullRequest || p.Spec.Rollback || s.byHand(p) || standstill(s, p.Spec.Environment) != nil {
		return nil
	}
	var before *v1alpha1.Promotion
	for _, other := range s.promotionsInto(p.Spec.Environment) {
		started := other.Status.DeployStartedAt
		if other.Name != p.Name && started != nil && !p.Status.DeployStartedAt.Before(started) && (before == nil || before.Status.DeployStartedAt.Before(started)) {
			before = other
		}
	}
	if before != nil && phase(before) == v1alpha1.PromotionSuperseded {
		return nil
	}
	release, next := s.release(p.Spec.Release), newestEligible(s, p.Spec.Environment)
	if release == nil || next == nil || next.Name == release.Name || !takesOver(s, entry, next, release) {
		return nil
	}
	if !passed(gates(s, entrance{env: p.Spec.Environment, candidate: next})) {
		return nil
	}
	return next
}

// Record writes a Step into a Promotion's status. It changes nothing where the step is what is so already.
func Record(s *State, p *v1alpha1.Promotion, step Step) {
	now := metav1.NewTime(s.Now)
	status := &p.Status
	status.ObservedGeneration = p.Generation
	status.Phase, status.Reason, status.Message = step.Phase, step.Reason, cut(step.Message, 1024)
	if step.Gates != nil {
		status.Gates = gateStatuses(step.Gates)
	}
	if step.Deploy != nil {
		started := beginsAt(s, p)
		status.DeployedRelease, status.Proof, status.DeployStartedAt = step.Deploy.Name, step.Proof, &started
	}
	if step.Phase.Terminal() && status.FinishedAt == nil {
		ended := endsAt(s, p)
		status.FinishedAt = &ended
	}
	recordConditions(p, step, now)
}

// beginsAt is when a deploy begins: now, and at least a second after every other one into the environment. Which one was the last is
// told by these times, and they are stored in whole seconds.
func beginsAt(s *State, p *v1alpha1.Promotion) metav1.Time {
	began := s.Now
	for _, other := range s.promotionsInto(p.Spec.Environment) {
		if before := other.Status.DeployStartedAt; other.Name != p.Name && before != nil && !before.Time.Before(began.Truncate(time.Second)) {
			began = before.Add(time.Second)
		}
	}
	return metav1.NewTime(began)
}

// endsAt is when a Promotion ended: now, and not before its deploy began. A success is also at least a second after the rejection that
// it lifts: which one came last is told by these times.
func endsAt(s *State, p *v1alpha1.Promotion) metav1.Time {
	ended := s.Now
	if began := p.Status.DeployStartedAt; began != nil && ended.Before(began.Time) {
		ended = began.Time
	}
	if phase(p) != v1alpha1.PromotionSucceeded {
		return metav1.NewTime(ended)
	}
	before := withLedgers(s)
	for _, r := range []*v1alpha1.Release{before.release(p.Spec.Release), before.release(p.Status.DeployedRelease)} {
		if r == nil {
			continue
		}
		if entry := ledgerOf(r, p.Spec.Environment); entry != nil && entry.RejectedAt != nil && !entry.RejectedAt.Time.Before(ended.Truncate(time.Second)) {
			ended = entry.RejectedAt.Add(time.Second)
		}
	}
	return metav1.NewTime(ended)
}
