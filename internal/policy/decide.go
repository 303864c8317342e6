// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"fmt"
	"time"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// Action is what is to be decided about an environment.
type Action string

const (
	// ActionHold : no promotion is started.
	ActionHold Action = "Hold"
	// ActionStart : a Promotion of the Release is created.
	ActionStart Action = "Start"
)

// Decision says whether a promotion into an environment is to be started, and how its gates stand.
type Decision struct {
	// Action is Hold or Start.
	Action Action
	// Release is what is to be promoted, or what comes next.
	Release *v1alpha1.Release
	// Attempt is the number of the Promotion that is to be created.
	Attempt int32
	// Reason and Message say why nothing is started.
	Reason, Message string
	// Gates are how every gate stands for Release; nil where there is none.
	Gates []GateResult
	// RecheckAt is when time alone may change the decision.
	RecheckAt time.Time
}

// standstill says why Mainstem starts nothing by itself in an environment, or nil where it does. Then nothing that is on its way
// is overtaken either: what would take its place could not start.
func standstill(s *State, env v1alpha1.EnvironmentName) *Problem {
	if problem := suspended(s); problem != nil {
		return problem
	}
	if problem := Accept(s, env); problem != nil {
		return problem
	}
	if s.Environments[env].Spec.Promotion == v1alpha1.PromotionManual {
		return &Problem{Reason: ReasonManual, Message: "a person starts promotions into this environment: create a Promotion"}
	}
	return s.GitHub.Problem
}

// suspended is a Problem while the Application is.
func suspended(s *State) *Problem {
	if !s.Application.Spec.Suspend {
		return nil
	}
	return &Problem{Reason: v1alpha1.SuspendedReason, Message: "the Application is suspended: set spec.suspend to false to resume"}
}

// Decide says whether a promotion into an environment is to be started now.
func Decide(s *State, env v1alpha1.EnvironmentName) Decision {
	return decide(withLedgers(s), env)
}

func decide(s *State, env v1alpha1.EnvironmentName) Decision {
	if problem := suspended(s); problem != nil {
		return Decision{Action: ActionHold, Reason: problem.Reason, Message: problem.Message}
	}
	if problem := Accept(s, env); problem != nil {
		return Decision{Action: ActionHold, Reason: problem.Reason, Message: problem.Message, RecheckAt: problem.RetryAt}
	}
	if active := Active(s, env); active != nil {
		return Decision{Action: ActionHold, Reason: "Active", Message: "Promotion " + active.Name + " is on its way", Release: s.release(active.Spec.Release)}
	}
	if eligible := newestEligible(s, env); eligible != nil {
		return start(s, env, eligible)
	}
	newest, exists := newestCandidate(s, env)
	if exists && newest.waits() {
		return Decision{Action: ActionHold, Reason: newest.Reason, Message: newest.Message, Release: newest.Release,
			Gates: gates(s, entrance{env: env, candidate: newest.Release})}
	}
	if head := divergedBase(s, env); head != nil {
		branch := s.entry(env).Source.Branch
		return Decision{Action: ActionHold, Reason: ReasonDiverged, Release: head, Gates: gates(s, entrance{env: env, candidate: head, deployed: head}),
			Message: fmt.Sprintf("branch %s, which is at %s without proof in %s: merge %s back and let it be proven there, or promote %s with bypass: [proven]",
				branch, short(head.Spec.Commit), joined(s.upstreams(env)), branch, head.Name)}
	}
	if exists {
		return Decision{Action: ActionHold, Reason: newest.Reason, Message: newest.Message}
	}
	return Decision{Action: ActionHold, Reason: "NoCandidate", Message: "there is no release that could enter"}
}

// divergedBase returns the head of a branch that pull requests are merged into, where people have put something there that nobody
// has proven and that does not run, or nil. It is no candidate, and people must see why it is not deployed.
func divergedBase(s *State, env v1alpha1.EnvironmentName) *v1alpha1.Release {
	entry := s.entry(env)
	if routeOf(entry) != routePullRequest || s.Flux[env].Applied == "" {
		return nil
	}
	head := s.releaseOf(s.GitHub.Branches[entry.Source.Branch].Head.SHA, "")
	if head == nil || s.letIn(env, head.Spec.Commit) || prove(s, env, subjectOf(head)).proven() {
		return nil
	}
	return head
}

func start(s *State, env v1alpha1.EnvironmentName, release *v1alpha1.Release) Decision {
	results := gates(s, entrance{env: env, candidate: release})
	decision := Decision{Action: ActionStart, Release: release, Attempt: nextAttempt(s, env, release.Name), Gates: results, RecheckAt: recheck(results)}
	if problem := standstill(s, env); problem != nil {
		decision.Action, decision.Reason, decision.Message = ActionHold, problem.Reason, problem.Message
		decision.RecheckAt = earliest(decision.RecheckAt, problem.RetryAt)
	}
	return decision
}

// nextAttempt numbers the next attempt to put a Release into an environment.
func nextAttempt(s *State, env v1alpha1.EnvironmentName, release string) int32 {
	var highest int32
	for _, p := range s.Promotions {
		if p.Spec.Environment == env && p.Spec.Release == release {
			highest = max(highest, p.Spec.Attempt)
		}
	}
	return highest + 1
}
