// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// reportConditions writes Ready, Reconciling, Stalled and RepositoryReachable of an Application as kstatus reads them.
func reportConditions(s *State, status *v1alpha1.ApplicationStatus) {
	set := func(kind string, value metav1.ConditionStatus, reason, message string) {
		setCondition(&status.Conditions, metav1.Condition{Type: kind, Status: value, Reason: reason, Message: message,
			ObservedGeneration: s.Application.Generation, LastTransitionTime: metav1.NewTime(s.Now)})
	}
	if s.Application.Spec.Suspend {
		set(v1alpha1.ReadyCondition, metav1.ConditionUnknown, v1alpha1.SuspendedReason, "suspended: set spec.suspend to false to resume")
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ReconcilingCondition)
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.StalledCondition)
		return
	}
	if problem := s.GitHub.Problem; problem != nil {
		set(v1alpha1.RepositoryReachableCondition, metav1.ConditionFalse, problem.Reason, problem.Message)
	} else {
		reason, message := answers(&s.GitHub)
		set(v1alpha1.RepositoryReachableCondition, metav1.ConditionTrue, reason, message)
	}
	reason, message := wrong(s, status)
	moving := movingIn(status.Environments)
	stalled := reason == v1alpha1.NotAcceptedReason || isConfiguration(s.GitHub.Problem)
	switch {
	case reason != "":
		set(v1alpha1.ReadyCondition, metav1.ConditionFalse, reason, message)
	case moving != "":
		set(v1alpha1.ReadyCondition, metav1.ConditionUnknown, v1alpha1.ProgressingReason, moving)
	case !slices.ContainsFunc(status.Environments, func(e v1alpha1.EnvironmentState) bool { return e.Current != nil }):
		set(v1alpha1.ReadyCondition, metav1.ConditionUnknown, v1alpha1.NotDeployedReason, "nothing is deployed yet")
	default:
		set(v1alpha1.ReadyCondition, metav1.ConditionTrue, v1alpha1.HealthyReason, "what runs is healthy")
	}
	if moving != "" {
		set(v1alpha1.ReconcilingCondition, metav1.ConditionTrue, v1alpha1.ProgressingReason, moving)
	} else {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.ReconcilingCondition)
	}
	if stalled && moving == "" {
		set(v1alpha1.StalledCondition, metav1.ConditionTrue, reason, message)
	} else {
		meta.RemoveStatusCondition(&status.Conditions, v1alpha1.StalledCondition)
	}
}

// answers says what people should know of a repository that can be read.
func answers(github *GitHub) (reason, message string) {
	var remarks []string
	if github.Archived {
		reason = v1alpha1.RepositoryArchivedReason
		remarks = append(remarks, "the repository is archived and so read-only, nothing can be merged or told there: unarchive it on GitHub, or suspend the Application")
	}
	if github.MovedTo != "" {
		reason = cmp.Or(reason, v1alpha1.RepositoryMovedReason)
		how := "renamed"
		if github.Transferred {
			how = "transferred"
		}
		remarks = append(remarks, fmt.Sprintf(
			"the repository was %s and is %s now, and webhooks about it come under that name: write its new address into spec.repository.url", how, github.MovedTo))
	}
	if reason == "" {
		return v1alpha1.ObservedReason, "GitHub answers"
	}
	return reason, "GitHub answers, but " + strings.Join(remarks, "; ")
}

// isConfiguration says that a problem with GitHub will not go away by itself.
func isConfiguration(problem *Problem) bool {
	if problem == nil {
		return false
	}
	return problem.Reason == v1alpha1.PermissionDeniedReason || unfetchable(problem.Reason)
}

// Unfetchable says that the Application names a repository or a credential with which Flux could fetch nothing: somebody has to correct
// it first. What GitHub denies an App, it may let Flux fetch all the same.
func Unfetchable(s *State) bool {
	return s.GitHub.Problem != nil && unfetchable(s.GitHub.Problem.Reason)
}

func unfetchable(reason string) bool {
	switch reason {
	case v1alpha1.SecretNotFoundReason, v1alpha1.SecretInvalidReason, v1alpha1.UnauthorizedReason,
		v1alpha1.RepositoryInvalidReason, v1alpha1.RepositoryNotFoundReason:
		return true
	}
	return false
}

// wrong says what keeps an Application from being Ready, or nothing.
func wrong(s *State, status *v1alpha1.ApplicationStatus) (reason, message string) {
	if problem := s.GitHub.Problem; problem != nil {
		return problem.Reason, problem.Message
	}
	var not sayings
	worst := ""
	note := func(r string, env v1alpha1.EnvironmentName, words string) {
		worst = cmp.Or(worst, r)
		not.add(env, words)
	}
	for i := range status.Environments {
		env := &status.Environments[i]
		if accepted := meta.FindStatusCondition(env.Conditions, v1alpha1.AcceptedCondition); accepted != nil && accepted.Status == metav1.ConditionFalse {
			note(v1alpha1.NotAcceptedReason, env.Name, accepted.Message)
		}
	}
	for i := range status.Environments {
		env := &status.Environments[i]
		ready := meta.FindStatusCondition(env.Conditions, v1alpha1.ReadyCondition)
		switch {
		case env.Phase == v1alpha1.EnvironmentFailed:
			note(v1alpha1.PromotionFailedReason, env.Name, env.WaitingFor)
		case ready != nil && ready.Status == metav1.ConditionFalse && env.Phase != v1alpha1.EnvironmentDeploying:
			note(v1alpha1.NotHealthyReason, env.Name, ready.Message)
		}
	}
	return worst, strings.Join(not.told(func(envs, words string) string { return envs + ": " + words }), "; ")
}

// movingIn says what is being merged or deployed, or nothing.
func movingIn(environments []v1alpha1.EnvironmentState) string {
	var moving []string
	for i := range environments {
		env := &environments[i]
		if env.Next != nil && (env.Phase == v1alpha1.EnvironmentDeploying || env.Phase == v1alpha1.EnvironmentMerging) {
			moving = append(moving, fmt.Sprintf("%s %s into %s", strings.ToLower(string(env.Phase)), short(env.Next.Commit), env.Name))
		}
	}
	return strings.Join(moving, "; ")
}

// summary is an Application's whole story in one line: what runs where, and what is waited for.
func summary(s *State, environments []v1alpha1.EnvironmentState) string {
	var runs, waits []string
	var refused sayings
	if problem := s.GitHub.Problem; problem != nil {
		waits = append(waits, fmt.Sprintf("GitHub (%s): %s", problem.Reason, cut(problem.Message, 256)))
	}
	if s.Application.Spec.Suspend {
		waits = append(waits, "suspended")
	}
	for i := range environments {
		env := &environments[i]
		words := string(env.Name) + " –"
		if env.Current != nil {
			words = fmt.Sprintf("%s %s", env.Name, cmp.Or(env.Current.Version, short(env.Current.Commit)))
			if env.Current.Healthy == metav1.ConditionFalse {
				words += " (not healthy)"
			}
		}
		runs = append(runs, words)
		switch {
		case env.WaitingFor == "" || s.Application.Spec.Suspend:
		case meta.IsStatusConditionFalse(env.Conditions, v1alpha1.AcceptedCondition):
			refused.add(env.Name, env.WaitingFor)
		default:
			waits = append(waits, waitsFor(env))
		}
	}
	// What only people can mend comes first.
	waits = append(refused.told(func(envs, words string) string { return envs + " waiting: " + words }), waits...)
	line := strings.Join(runs, " → ")
	if len(waits) > 0 {
		line += ": " + strings.Join(waits, "; ")
	}
	return line
}

// waitsFor says what an environment waits for, and how far it is behind.
func waitsFor(env *v1alpha1.EnvironmentState) string {
	does := "waiting for "
	if env.Phase != v1alpha1.EnvironmentWaiting {
		does = strings.ToLower(string(env.Phase)) + ": "
	}
	if env.Behind != nil {
		does = commits(int(env.Behind.Commits)) + " behind, " + does
	}
	return string(env.Name) + " " + does + strings.TrimPrefix(env.WaitingFor, strings.ToLower(string(env.Phase))+" ")
}

// recordConditions writes a Promotion's conditions from the Step that was decided.
func recordConditions(p *v1alpha1.Promotion, step Step, now metav1.Time) {
	set := func(kind string, value metav1.ConditionStatus, reason, message string) {
		setCondition(&p.Status.Conditions, metav1.Condition{Type: kind, Status: value, Reason: cmp.Or(reason, "Unknown"), Message: message, ObservedGeneration: p.Generation, LastTransitionTime: now})
	}
	remove := func(kinds ...string) {
		for _, kind := range kinds {
			meta.RemoveStatusCondition(&p.Status.Conditions, kind)
		}
	}
	if step.Gates != nil {
		value := metav1.ConditionFalse
		if passed(step.Gates) {
			value = metav1.ConditionTrue
		}
		set(v1alpha1.GatesPassedCondition, value, gatesReason(step.Gates), cmp.Or(unmet(step.Gates), "every gate has passed"))
	}
	switch step.Phase {
	case v1alpha1.PromotionSucceeded:
		set(v1alpha1.ReadyCondition, metav1.ConditionTrue, step.Reason, step.Message)
		set(v1alpha1.HealthyCondition, metav1.ConditionTrue, step.Reason, step.Message)
		remove(v1alpha1.ReconcilingCondition, v1alpha1.StalledCondition)
	case v1alpha1.PromotionFailed:
		set(v1alpha1.ReadyCondition, metav1.ConditionFalse, step.Reason, step.Message)
		set(v1alpha1.HealthyCondition, metav1.ConditionFalse, step.Reason, step.Message)
		set(v1alpha1.StalledCondition, metav1.ConditionTrue, step.Reason, step.Message)
		remove(v1alpha1.ReconcilingCondition)
	case v1alpha1.PromotionSuperseded, v1alpha1.PromotionCancelled:
		set(v1alpha1.ReadyCondition, metav1.ConditionFalse, step.Reason, step.Message)
		remove(v1alpha1.ReconcilingCondition, v1alpha1.StalledCondition)
	case v1alpha1.PromotionPending, v1alpha1.PromotionMerging, v1alpha1.PromotionDeploying:
		set(v1alpha1.ReadyCondition, metav1.ConditionUnknown, step.Reason, step.Message)
		if step.Stalled {
			set(v1alpha1.StalledCondition, metav1.ConditionTrue, step.Reason, step.Message)
			remove(v1alpha1.ReconcilingCondition)
		} else {
			set(v1alpha1.ReconcilingCondition, metav1.ConditionTrue, step.Reason, step.Message)
			remove(v1alpha1.StalledCondition)
		}
	}
}

func gatesReason(results []GateResult) string {
	for _, g := range results {
		if !g.Passed() {
			return cmp.Or(g.Reason, "Waiting")
		}
	}
	return "Passed"
}
