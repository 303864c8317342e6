// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"cmp"
	"fmt"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// way is how a candidate gets into an environment, as far as that is known now.
type way struct {
	// deploy is the Release to deploy: the candidate, or what its merge made. Nil while there is a merge to come.
	deploy *v1alpha1.Release
	// open is EffectPullRequest where a pull request is wanted.
	open Effect
	// pull is the promotion pull request, where it could be observed.
	pull *PullRequest
	// merged says that the pull request is merged, whose Release may yet have to be made.
	merged bool
	// ended is the step that ends the Promotion, where the pull request was closed by a person.
	ended *Step
	// problem is what stands in the way.
	problem *Problem
}

// wayIn finds how a Promotion's candidate gets in. A merge is not a deploy: what is merged waits for its gates all the same.
func wayIn(s *State, p *v1alpha1.Promotion, candidate *v1alpha1.Release) way {
	entry := s.entry(p.Spec.Environment)
	if entry == nil || routeOf(entry) != routePullRequest || p.Spec.Rollback || candidate.Spec.Branch == entry.Source.Branch {
		return way{deploy: candidate}
	}
	if p.Status.PullRequest != nil {
		return wayThrough(s, p, candidate)
	}
	base, observed := s.GitHub.Branches[entry.Source.Branch]
	if !observed || s.GitHub.Problem != nil {
		return way{problem: githubProblem(s)}
	}
	same, more := baseHolds(s, base, candidate)
	switch {
	case same || (more && merges(s, p.Spec.Environment, base, candidate)):
		// Nothing to merge: the base is the candidate's content, or its merge, so its head is what is deployed.
		return way{deploy: s.releaseOf(base.Head.SHA, "")}
	case more:
		return way{problem: &Problem{Reason: ReasonContained, Message: contained(s, entry, candidate)}}
	}
	if s.GitHub.Archived {
		return way{problem: archived()}
	}
	if _, known := s.GitHub.Distances[Span{Base: base.Head.SHA, Head: candidate.Spec.Commit}]; !known {
		// What the base has already must not be merged again.
		return way{problem: &Problem{Reason: ReasonNotObserved, Message: fmt.Sprintf(
			"reading what branch %s has of %s", entry.Source.Branch, short(candidate.Spec.Commit))}}
	}
	return way{open: EffectPullRequest}
}

// wayThrough follows a pull request that was opened.
func wayThrough(s *State, p *v1alpha1.Promotion, candidate *v1alpha1.Release) way {
	pull, observed := s.GitHub.PullRequests[p.Name]
	recorded := p.Status.PullRequest
	if recorded.State == v1alpha1.PullRequestMerged {
		return way{deploy: s.releaseOf(recorded.MergeCommit, ""), merged: true}
	}
	if !observed || pull.Problem != nil {
		if pull.Problem != nil {
			return way{problem: pull.Problem}
		}
		return way{problem: githubProblem(s)}
	}
	switch {
	case pull.State == v1alpha1.PullRequestMerged && pull.Head == candidate.Spec.Commit:
		return way{deploy: s.releaseOf(pull.MergeCommit, ""), pull: &pull, merged: true}
	case pull.State == v1alpha1.PullRequestMerged:
		// A merge of another head belongs to another Promotion: this one opens a pull request of its own.
		return way{open: EffectPullRequest}
	case pull.State == v1alpha1.PullRequestClosed:
		step := cancel(v1alpha1.DeclinedReason, fmt.Sprintf("pull request #%d was closed: promote the release by hand to try again", pull.Number))
		return way{ended: &step, pull: &pull}
	case pull.Foreign:
		return way{pull: &pull, problem: &Problem{Reason: v1alpha1.PullRequestForeignReason, Message: fmt.Sprintf(
			"pull request #%d carries the mark of another installation of Mainstem: give this installation another --instance, or close it", pull.Number)}}
	case pull.Head != candidate.Spec.Commit && s.releaseAt(pull.Head) == nil:
		return way{pull: &pull, problem: &Problem{Reason: v1alpha1.BranchMovedReason, Message: fmt.Sprintf(
			"somebody pushed %s to the promotion branch of pull request #%d: move it back to %s, or close the pull request", short(pull.Head), pull.Number, short(candidate.Spec.Commit))}}
	}
	if s.GitHub.Archived {
		return way{pull: &pull, problem: archived()}
	}
	found := way{open: EffectPullRequest}
	if pull.Head == candidate.Spec.Commit {
		found.pull = &pull
	}
	return found
}

// ReasonNotObserved says that something was not read in this look, and will be in the next.
const ReasonNotObserved = "NotObserved"

func githubProblem(s *State) *Problem {
	if s.GitHub.Problem != nil {
		return s.GitHub.Problem
	}
	return &Problem{Reason: ReasonNotObserved, Message: "GitHub was not asked about the pull request yet"}
}

// blocked says what keeps a Promotion from moving besides its gates, or nil.
func blocked(s *State, p *v1alpha1.Promotion, found way) *Problem {
	if problem := suspended(s); problem != nil {
		return problem
	}
	if problem := Accept(s, p.Spec.Environment); problem != nil {
		return problem
	}
	if found.problem != nil {
		return found.problem
	}
	if problem := unreachable(s, found.deploy); problem != nil {
		return problem
	}
	release := found.deploy
	if release == nil {
		release = s.release(p.Spec.Release)
	}
	if release != nil {
		if reason, message := hasVariables(s, s.entry(p.Spec.Environment), release); reason != "" {
			return &Problem{Reason: reason, Message: message}
		}
	}
	if found.merged && found.deploy == nil {
		return &Problem{Reason: "MergeNotObserved", Message: fmt.Sprintf(
			"pull request #%d is merged; reading the commit that the merge made", numberOf(p, found))}
	}
	if found.deploy == nil && found.open == EffectNone && found.ended == nil {
		return &Problem{Reason: "BaseNotObserved", Message: "reading the head of the base branch"}
	}
	return nil
}

func numberOf(p *v1alpha1.Promotion, found way) int64 {
	if found.pull != nil {
		return found.pull.Number
	}
	if p.Status.PullRequest != nil {
		return cmp.Or(p.Status.PullRequest.Number, 0)
	}
	return 0
}

// archived : GitHub takes neither pull requests nor merges there. It is not asked to.
func archived() *Problem {
	return &Problem{Reason: v1alpha1.RepositoryArchivedReason, Message: "the repository is archived, so that no pull request can be opened or merged: unarchive it on GitHub"}
}

// Stalls says of the reason why a Promotion waits that only a person can help.
func Stalls(reason string) bool {
	return reason == v1alpha1.BranchMovedReason || reason == v1alpha1.PullRequestForeignReason || reason == v1alpha1.RepositoryArchivedReason ||
		reason == v1alpha1.CommitUnreachableReason
}

// FollowPullRequest copies what GitHub says about a Promotion's pull request into its record. A merge of another commit than the
// candidate's is not this Promotion's.
func FollowPullRequest(s *State, p *v1alpha1.Promotion) {
	pull, observed := s.GitHub.PullRequests[p.Name]
	if !observed || pull.Problem != nil || p.Status.PullRequest == nil || phase(p).Terminal() {
		return
	}
	candidate := s.release(p.Spec.Release)
	if pull.State == v1alpha1.PullRequestMerged && (candidate == nil || pull.Head != candidate.Spec.Commit) {
		p.Status.PullRequest = nil
		return
	}
	p.Status.PullRequest = &v1alpha1.PullRequestStatus{
		Number: pull.Number, URL: pull.URL, State: pull.State, MergeCommit: pull.MergeCommit, MergedBy: pull.MergedBy,
	}
}
