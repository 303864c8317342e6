// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// Health says what an environment runs and how that is doing: what Flux reports, never what was asked for. While Flux is
// looking, what it said last stands.
func Health(s *State, env v1alpha1.EnvironmentName) v1alpha1.CurrentRelease {
	flux := s.Flux[env]
	if !flux.Exists || flux.Applied == "" {
		return v1alpha1.CurrentRelease{}
	}
	now := metav1.NewTime(s.Now)
	current := v1alpha1.CurrentRelease{Commit: flux.Applied, Since: &now, Healthy: flux.health()}
	if r := currentRelease(s, env); r != nil {
		current.Release, current.Version = r.Name, cmp.Or(r.Spec.Version, r.Spec.Tag)
	}
	var before v1alpha1.CurrentRelease
	if status := s.statusOf(env); status != nil && status.Current != nil {
		before = *status.Current
	}
	if before.Commit == current.Commit && before.Since != nil {
		current.Since = before.Since
	}
	if current.Healthy == metav1.ConditionUnknown && before.Healthy != "" {
		current.Healthy = before.Healthy
	}
	switch {
	case current.Healthy == metav1.ConditionFalse:
	case before.HealthySince != nil && before.Healthy != metav1.ConditionFalse:
		current.HealthySince = before.HealthySince
	case current.Healthy == metav1.ConditionTrue:
		current.HealthySince = &now
	}
	return current
}

// currentRelease is the Release that Flux has applied: the one that the Kustomization names, where that is the applied commit.
func currentRelease(s *State, env v1alpha1.EnvironmentName) *v1alpha1.Release {
	flux := s.Flux[env]
	if r := s.release(flux.Release); r != nil && r.Spec.Commit == flux.Applied {
		return r
	}
	return s.releaseAt(flux.Applied)
}

// Report says everything about an Application in its status, and when time alone may change it. Conditions keep their transition
// times where nothing changed.
func Report(s *State) (v1alpha1.ApplicationStatus, time.Time) {
	s = withLedgers(s)
	status := *s.Application.Status.DeepCopy()
	status.ObservedGeneration = s.Application.Generation
	var environments []v1alpha1.EnvironmentState
	var again time.Time
	if s.GitHub.Problem != nil {
		again = s.GitHub.Problem.RetryAt
	}
	for i := range s.Application.Spec.Environments {
		entry := &s.Application.Spec.Environments[i]
		if s.Application.Spec.Suspend {
			environments = append(environments, reportSuspended(s, entry))
			continue
		}
		state, recheck := reportEnvironment(s, entry)
		environments = append(environments, state)
		again = earliest(again, recheck)
	}
	status.Environments = slices.Concat(environments, reportLeft(s))
	status.Summary = cut(summary(s, environments), 1024)
	reportConditions(s, &status)
	return status, again
}

// reportSuspended keeps what was known when the Application was suspended, and follows only what Flux says.
func reportSuspended(s *State, entry *v1alpha1.ApplicationEnvironment) v1alpha1.EnvironmentState {
	state := v1alpha1.EnvironmentState{Name: entry.Name}
	if before := s.statusOf(entry.Name); before != nil {
		state = *before.DeepCopy()
	}
	state.DeletionPolicy = cmp.Or(entry.DeletionPolicy, v1alpha1.DeletionOrphan)
	state.Current = nil
	if current := Health(s, entry.Name); current.Commit != "" {
		state.Current = &current
	}
	setEnvironmentReady(s, &state)
	return state
}

// reportLeft keeps what is known of the entries that were taken out of a suspended Application and that still run: what is to become
// of them is acted on when it is resumed.
func reportLeft(s *State) []v1alpha1.EnvironmentState {
	if !s.Application.Spec.Suspend {
		return nil
	}
	var left []v1alpha1.EnvironmentState
	for i := range s.Application.Status.Environments {
		if before := &s.Application.Status.Environments[i]; s.entry(before.Name) == nil && s.Flux[before.Name].Exists {
			left = append(left, *before.DeepCopy())
		}
	}
	return left
}

func reportEnvironment(s *State, entry *v1alpha1.ApplicationEnvironment) (v1alpha1.EnvironmentState, time.Time) {
	state := v1alpha1.EnvironmentState{Name: entry.Name, DeletionPolicy: cmp.Or(entry.DeletionPolicy, v1alpha1.DeletionOrphan)}
	if before := s.statusOf(entry.Name); before != nil {
		state.Conditions = before.DeepCopy().Conditions
	}
	if current := Health(s, entry.Name); current.Commit != "" {
		state.Current = &current
	}
	state.Failed = failedIn(s, entry.Name)
	state.Behind = behind(s, entry)
	problem := Accept(s, entry.Name)
	// Where nothing waits, the end of a Hold lets a change of what is deployed go in.
	recheck := earliest(reportNext(s, entry, &state), HoldEnds(s, entry.Name))
	if problem != nil {
		state.Phase, state.WaitingFor = v1alpha1.EnvironmentWaiting, cut(problem.Message, 512)
		recheck = earliest(recheck, problem.RetryAt)
	}
	var remark *Problem
	if problem == nil {
		remark = nextLacks(s, entry)
	}
	setAccepted(s, &state, problem, remark)
	setEnvironmentReady(s, &state)
	return state, recheck
}

// reportNext says what comes next in an environment, and what it waits for.
func reportNext(s *State, entry *v1alpha1.ApplicationEnvironment, state *v1alpha1.EnvironmentState) time.Time {
	state.Phase = v1alpha1.EnvironmentIdle
	if active := Active(s, entry.Name); active != nil {
		return reportActive(s, active, state)
	}
	if last := Deployed(s, entry.Name); last != nil && phase(last) == v1alpha1.PromotionFailed {
		state.Phase, state.WaitingFor = v1alpha1.EnvironmentFailed, cut(last.Status.Message, 512)
	}
	decision := decide(s, entry.Name)
	if decision.Release == nil {
		if decision.Reason == ReasonRejected && state.WaitingFor == "" {
			state.WaitingFor = cut(decision.Message, 512)
		}
		return decision.RecheckAt
	}
	state.Phase = v1alpha1.EnvironmentWaiting
	state.Next = nextRelease(decision.Release, "")
	state.Gates = gateStatuses(decision.Gates)
	state.WaitingFor = cut(cmp.Or(decision.Message, unmet(decision.Gates)), 512)
	return decision.RecheckAt
}

func reportActive(s *State, active *v1alpha1.Promotion, state *v1alpha1.EnvironmentState) time.Time {
	if r := s.release(active.Spec.Release); r != nil {
		state.Next = nextRelease(r, active.Name)
	}
	state.Gates = active.DeepCopy().Status.Gates
	state.PullRequest = active.DeepCopy().Status.PullRequest
	state.WaitingFor = cut(strings.TrimPrefix(active.Status.Message, "waiting for "), 512)
	switch phase(active) {
	case v1alpha1.PromotionMerging:
		state.Phase = v1alpha1.EnvironmentMerging
	case v1alpha1.PromotionDeploying:
		state.Phase = v1alpha1.EnvironmentDeploying
	case v1alpha1.PromotionPending, v1alpha1.PromotionSucceeded, v1alpha1.PromotionFailed, v1alpha1.PromotionSuperseded, v1alpha1.PromotionCancelled:
		state.Phase = v1alpha1.EnvironmentWaiting
	}
	return nextStep(s, active).RecheckAt
}

func nextRelease(r *v1alpha1.Release, promotion string) *v1alpha1.NextRelease {
	return &v1alpha1.NextRelease{Release: r.Name, Commit: r.Spec.Commit, Version: cmp.Or(r.Spec.Version, r.Spec.Tag), Promotion: promotion}
}

// failedIn is the deploy that ended badly and has nothing newer in its place, or nil.
func failedIn(s *State, env v1alpha1.EnvironmentName) *v1alpha1.FailedRelease {
	last := lastFinished(s, env)
	if last == nil || phase(last) != v1alpha1.PromotionFailed || Active(s, env) != nil {
		return nil
	}
	r := s.release(last.Status.DeployedRelease)
	if r == nil || r.Spec.Commit == s.Flux[env].Applied {
		return nil
	}
	return &v1alpha1.FailedRelease{Release: r.Name, Commit: r.Spec.Commit, Promotion: last.Name, Message: cut(last.Status.Message, 512)}
}

// lastFinished is the Promotion into an environment that ended last, or nil.
func lastFinished(s *State, env v1alpha1.EnvironmentName) *v1alpha1.Promotion {
	var last *v1alpha1.Promotion
	for _, p := range s.promotionsInto(env) {
		if p.Status.FinishedAt != nil && (last == nil || !p.Status.FinishedAt.Before(last.Status.FinishedAt)) {
			last = p
		}
	}
	return last
}

// behind counts the commits that an environment lacks. What could not be counted is left out.
func behind(s *State, entry *v1alpha1.ApplicationEnvironment) *v1alpha1.Behind {
	base, head := behindSpan(s, entry)
	distance, known := s.GitHub.Distances[Span{Base: base, Head: head}]
	if !known || distance.Ahead == 0 {
		if before := s.statusOf(entry.Name); before != nil && !known && base != "" && head != "" && base != head {
			return before.Behind.DeepCopy()
		}
		return nil
	}
	result := &v1alpha1.Behind{Commits: int32(min(distance.Ahead, 1<<30))} //nolint:gosec // It is bounded.
	running, target := s.releaseAt(base), s.releaseAt(head)
	if running == nil || target == nil {
		return result
	}
	for _, r := range s.Releases {
		if r.Spec.Branch != target.Spec.Branch || r.Spec.Sequence <= running.Spec.Sequence || r.Spec.Sequence > target.Spec.Sequence {
			continue
		}
		if created := r.CreationTimestamp; result.Since == nil || created.Before(result.Since) {
			result.Since = &created
		}
	}
	return result
}

// setAccepted says whether an entry can be used. A remark is about what comes next, which the entry keeps out although others may enter.
func setAccepted(s *State, state *v1alpha1.EnvironmentState, problem, remark *Problem) {
	condition := metav1.Condition{Type: v1alpha1.AcceptedCondition, Status: metav1.ConditionTrue, Reason: v1alpha1.AcceptedReason,
		Message: "the Application may use this Environment", ObservedGeneration: s.Application.Generation, LastTransitionTime: metav1.NewTime(s.Now)}
	switch {
	case problem != nil:
		condition.Status, condition.Reason, condition.Message = metav1.ConditionFalse, problem.Reason, problem.Message
	case remark != nil:
		condition.Reason, condition.Message = remark.Reason, condition.Message+", but "+remark.Message
	}
	setCondition(&state.Conditions, condition)
}

func setEnvironmentReady(s *State, state *v1alpha1.EnvironmentState) {
	condition := metav1.Condition{Type: v1alpha1.ReadyCondition, Status: metav1.ConditionUnknown, Reason: v1alpha1.NotDeployedReason,
		Message: "nothing is deployed yet", ObservedGeneration: s.Application.Generation, LastTransitionTime: metav1.NewTime(s.Now)}
	if state.Current != nil {
		switch state.Current.Healthy {
		case metav1.ConditionTrue:
			condition.Status, condition.Reason, condition.Message = metav1.ConditionTrue, v1alpha1.HealthyReason, fmt.Sprintf("%s is applied and healthy", short(state.Current.Commit))
		case metav1.ConditionFalse:
			condition.Status, condition.Reason = metav1.ConditionFalse, v1alpha1.NotHealthyReason
			condition.Message = cut(fmt.Sprintf("Flux says %s: %s", s.Flux[state.Name].Reason, s.Flux[state.Name].Message), 1024)
		case metav1.ConditionUnknown:
			condition.Reason, condition.Message = v1alpha1.ProgressingReason, "Flux has not said yet whether it is healthy"
		}
	}
	if condition.Status == metav1.ConditionFalse && s.Flux[state.Name].Ready != string(metav1.ConditionFalse) {
		// Flux is looking again: its last words stand, so that the message does not come and go with every look.
		if before := meta.FindStatusCondition(state.Conditions, v1alpha1.ReadyCondition); before != nil && before.Status == metav1.ConditionFalse {
			return
		}
	}
	setCondition(&state.Conditions, condition)
}

// setCondition sets a condition and keeps its transition time unless its status changed.
func setCondition(conditions *[]metav1.Condition, condition metav1.Condition) {
	condition.Message = cut(condition.Message, 1024)
	meta.SetStatusCondition(conditions, condition)
}
