// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"fmt"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// Flux fetches a commit by its branch. Where somebody has rewritten or deleted the branch, what it led to before can be deployed only
// as long as Flux has it.

func pinOf(r *v1alpha1.Release) Pin { return Pin{Branch: r.Spec.Branch, Commit: r.Spec.Commit} }

// unreachable says why a Release could not be fetched, or nil where it can be, or where that is not known: then Flux will say.
func unreachable(s *State, r *v1alpha1.Release) *Problem {
	if r == nil || r.Spec.Branch == "" || s.Fetched[pinOf(r)] {
		return nil
	}
	branch, observed := s.GitHub.Branches[r.Spec.Branch]
	leads, known := s.GitHub.Reaches[Span{Base: branch.Head.SHA, Head: r.Spec.Commit}]
	switch {
	case !observed, branch.Head.SHA == r.Spec.Commit, branch.Found && (!known || leads):
		return nil
	case !branch.Found:
		return &Problem{Reason: v1alpha1.CommitUnreachableReason, Message: fmt.Sprintf(
			"there is no branch %s any more, on which %s was, so that Flux cannot fetch it: push the branch again, or promote a release of another one", r.Spec.Branch, short(r.Spec.Commit))}
	}
	return &Problem{Reason: v1alpha1.CommitUnreachableReason, Message: fmt.Sprintf(
		"branch %s was rewritten and does not lead to %s any more, so that Flux cannot fetch it: promote a release that the branch has, or push one that has %s again",
		r.Spec.Branch, short(r.Spec.Commit), short(r.Spec.Commit))}
}

// toDeploy is the Release that a Promotion deploys, or would deploy, as far as that is known.
func toDeploy(s *State, p *v1alpha1.Promotion) *v1alpha1.Release {
	if phase(p) == v1alpha1.PromotionDeploying {
		return s.release(p.Status.DeployedRelease)
	}
	if candidate := s.release(p.Spec.Release); candidate != nil {
		return wayIn(s, p, candidate).deploy
	}
	return nil
}

// isReachable keeps out of environments without branches of their own what could not be fetched.
func isReachable(s *State, entry *v1alpha1.ApplicationEnvironment, r *v1alpha1.Release) (reason, message string) {
	if route := routeOf(entry); route != routePinned && route != routeRelease {
		return "", ""
	}
	if problem := unreachable(s, r); problem != nil {
		return problem.Reason, problem.Message
	}
	return "", ""
}
