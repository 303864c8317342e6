// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// CommitState is the state of a commit status, from best to worst.
type CommitState string

const (
	// CommitSuccess : the gates have passed, or the commit is deployed and healthy.
	CommitSuccess CommitState = "success"
	// CommitPending : a gate waits, or Flux is at it.
	CommitPending CommitState = "pending"
	// CommitFailure : a gate says no, or the commit is deployed and not healthy.
	CommitFailure CommitState = "failure"
)

var commitStates = []CommitState{CommitSuccess, CommitPending, CommitFailure}

// CommitStatus is what people on GitHub are told about one commit and one environment.
type CommitStatus struct {
	Environment v1alpha1.EnvironmentName
	Commit      string
	State       CommitState
	// Description is the sentence beside it; GitHub shows 140 characters.
	Description string
}

// CommitStatuses says what people on GitHub are to be told. Where several Applications of the repository share a commit and an
// environment, there is one status for all: success only if all of them say so. It tells of the first by name of those that say
// the worst, so that all of them, each of which writes it, want to write the same.
func CommitStatuses(s *State, status v1alpha1.ApplicationStatus) []CommitStatus {
	statuses := statusesOf(status)
	for i := range statuses {
		statuses[i] = shared(s, statuses[i])
	}
	return statuses
}

// shared is what is told of a commit and an environment where this Application would tell own.
func shared(s *State, own CommitStatus) CommitStatus {
	told, by := own, nameOf(s.Application)
	alone := true
	for _, peer := range s.Peers {
		for _, other := range statusesOf(peer.Status) {
			if other.Environment != own.Environment || other.Commit != own.Commit {
				continue
			}
			alone = false
			if name := nameOf(peer); worse(other.State, told.State) || other.State == told.State && name < by {
				told, by = other, name
			}
		}
	}
	if !alone && told.State != CommitSuccess {
		told.Description = by + ": " + told.Description
	}
	return told
}

func nameOf(app *v1alpha1.Application) string { return app.Namespace + "/" + app.Name }

func worse(a, b CommitState) bool {
	return slices.Index(commitStates, a) > slices.Index(commitStates, b)
}

// statusesOf reads what an Application's status says about commits: what runs, what failed, and what is on its way in.
func statusesOf(status v1alpha1.ApplicationStatus) []CommitStatus {
	var statuses []CommitStatus
	for i := range status.Environments {
		env := &status.Environments[i]
		if env.Current != nil && env.Current.Healthy != metav1.ConditionUnknown {
			found := CommitStatus{Environment: env.Name, Commit: env.Current.Commit, State: CommitSuccess, Description: "deployed and healthy"}
			if env.Current.Healthy == metav1.ConditionFalse {
				found.State, found.Description = CommitFailure, "deployed and not healthy"
			}
			statuses = append(statuses, found)
		}
		if env.Failed != nil {
			statuses = append(statuses, CommitStatus{Environment: env.Name, Commit: env.Failed.Commit, State: CommitFailure, Description: env.Failed.Message})
		}
		if env.Next == nil || env.Next.Promotion == "" || (env.Current != nil && env.Current.Commit == env.Next.Commit) {
			continue
		}
		statuses = append(statuses, statusOfNext(env))
		if merged := mergeOf(env); merged != "" && (env.Current == nil || env.Current.Commit != merged) {
			statuses = append(statuses, CommitStatus{Environment: env.Name, Commit: merged, State: CommitPending, Description: env.WaitingFor})
		}
	}
	return statuses
}

// mergeOf is the commit that is being deployed for the next release where that is its merge, or empty.
func mergeOf(env *v1alpha1.EnvironmentState) string {
	if env.Phase != v1alpha1.EnvironmentDeploying || env.PullRequest == nil {
		return ""
	}
	return env.PullRequest.MergeCommit
}

// statusOfNext is success once the gates have passed: as a required check, it lets a person merge. It stays so on the pull
// request's head when what the merge made is deployed.
func statusOfNext(env *v1alpha1.EnvironmentState) CommitStatus {
	found := CommitStatus{Environment: env.Name, Commit: env.Next.Commit, State: CommitPending, Description: cmp.Or(env.WaitingFor, "waiting")}
	allPassed := len(env.Gates) > 0
	for _, g := range env.Gates {
		allPassed = allPassed && g.Outcome == v1alpha1.GatePassed
		if g.Outcome == v1alpha1.GateFailed {
			found.State = CommitFailure
		}
	}
	if allPassed && env.PullRequest != nil {
		return GatesPassed(env.Name, env.Next.Commit)
	}
	return found
}

// GatesPassed is what the head of a promotion pull request is told once the gates have passed, and before it is merged: GitHub
// may require it for the merge.
func GatesPassed(env v1alpha1.EnvironmentName, commit string) CommitStatus {
	return CommitStatus{Environment: env, Commit: commit, State: CommitSuccess, Description: "the gates have passed"}
}
