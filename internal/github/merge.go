// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"context"
	"errors"
	"net/http"
	"slices"

	gogithub "github.com/google/go-github/v92/github"
)

// MergeOutcome is what came of asking for a merge.
type MergeOutcome string

// The outcomes of a merge.
const (
	// Merged: by this call.
	Merged MergeOutcome = "Merged"
	// AlreadyMerged: before, by this operator or by somebody. Success; look whose head was merged.
	AlreadyMerged MergeOutcome = "AlreadyMerged"
	// NotMergeable: conflicts, required reviews or checks, a merge queue: GitHub's message says which. Wait.
	NotMergeable MergeOutcome = "NotMergeable"
	// HeadMoved: the head is not the commit that was named. Nothing was merged.
	HeadMoved MergeOutcome = "HeadMoved"
	// MergeForbidden: the credential may not merge here (permissions, or who may push to the branch).
	MergeForbidden MergeOutcome = "Forbidden"
	// PullRequestIsClosed: somebody closed it without merging.
	PullRequestIsClosed MergeOutcome = "Closed"
)

// MergeRequest asks for the merge of one exact head.
type MergeRequest struct {
	Number int
	// HeadSHA is the commit that is to be merged. GitHub refuses when the head is another one.
	HeadSHA string
	// Title and Message are the merge commit's; GitHub's own when empty.
	Title, Message string
}

// MergeResult is what came of it.
type MergeResult struct {
	Outcome MergeOutcome
	// SHA is the merge commit, for Merged and AlreadyMerged.
	SHA string
	// HeadSHA is the head that was merged, for Merged and AlreadyMerged, or the head that is there, for HeadMoved.
	HeadSHA string
	// Message is GitHub's own reason for the others.
	Message string
}

// MergePullRequest merges a pull request with a merge commit, if its head is the commit that is named. It is safe to
// call again: what is merged already is AlreadyMerged. What GitHub refuses for a reason that people or time can mend is
// an outcome; errors are for what is not about this merge (limits, network, a missing or archived repository).
func (c *Client) MergePullRequest(ctx context.Context, request MergeRequest) (MergeResult, error) {
	if err := checkSHA(request.HeadSHA); err != nil {
		return MergeResult{}, err
	}
	sdk, owner, name := c.sdk()
	merged, _, err := sdk.PullRequests.Merge(ctx, owner, name, request.Number, request.Message, &gogithub.PullRequestOptions{
		CommitTitle: request.Title, SHA: request.HeadSHA, MergeMethod: "merge",
	})
	c.Invalidate()
	if err == nil && merged.GetSHA() == "" {
		err = errIncomplete
	}
	if err == nil {
		return MergeResult{Outcome: Merged, SHA: merged.GetSHA(), HeadSHA: request.HeadSHA}, nil
	}
	err = c.explain(ctx, err, "merging pull request #%d", request.Number)
	outcome, message := outcomeOf(err)
	if outcome == "" {
		return MergeResult{}, err
	}
	// GitHub says "not mergeable" of what is merged or closed, too.
	now, readErr := c.GetPullRequest(ctx, request.Number)
	switch {
	case readErr != nil:
		return MergeResult{}, readErr
	case now.State == PullRequestMerged:
		return MergeResult{Outcome: AlreadyMerged, SHA: now.MergeCommit, HeadSHA: now.Head.SHA}, nil
	case now.State == PullRequestClosed:
		return MergeResult{Outcome: PullRequestIsClosed, HeadSHA: now.Head.SHA, Message: message}, nil
	case outcome == NotMergeable && now.Head.SHA != request.HeadSHA:
		return MergeResult{Outcome: HeadMoved, HeadSHA: now.Head.SHA, Message: message}, nil
	default:
		return MergeResult{Outcome: outcome, HeadSHA: now.Head.SHA, Message: message}, nil
	}
}

// outcomeOf reads the statuses of the merge call
// (https://docs.github.com/en/rest/pulls/pulls#merge-a-pull-request); "" is no outcome but an error.
func outcomeOf(err error) (outcome MergeOutcome, message string) {
	var refused *RefusedError
	var denied *PermissionDeniedError
	switch {
	case errors.As(err, &denied):
		return MergeForbidden, denied.Message
	case !errors.As(err, &refused):
		return "", ""
	case refused.Status == http.StatusMethodNotAllowed, refused.Status == http.StatusUnprocessableEntity:
		return NotMergeable, refused.Message
	case refused.Status == http.StatusConflict:
		return HeadMoved, refused.Message
	default:
		return "", ""
	}
}

// ErrNoBaseSide means that the history does not tell what a pull request was merged onto: its head was pushed to the
// base with merges in it, or the merge commit is not made of head and base.
var ErrNoBaseSide = errors.New("the history does not tell what the pull request was merged onto")

// BaseSide gives the commit that a merged pull request was merged onto, whatever the method: the other parent of a merge
// commit, the parent of a squash, and as many first parents back as were rebased. [ErrNoBaseSide] when history does not
// tell.
func (c *Client) BaseSide(ctx context.Context, pull PullRequest) (string, error) {
	if pull.State != PullRequestMerged || pull.MergeCommit == "" {
		return "", ErrNoBaseSide
	}
	merge, err := c.Commit(ctx, pull.MergeCommit)
	if err != nil {
		return "", err
	}
	switch {
	case merge.SHA == pull.Head.SHA:
		return c.baseOfReplayed(ctx, merge, pull)
	case len(merge.Parents) == 2:
		side := slices.Index(merge.Parents, pull.Head.SHA)
		if side < 0 {
			return "", ErrNoBaseSide
		}
		return merge.Parents[1-side], nil
	case len(merge.Parents) == 1:
		return c.baseOfReplayed(ctx, merge, pull)
	default:
		return "", ErrNoBaseSide
	}
}

// baseOfReplayed is for merges without a merge commit. A rebase and a fast-forward leave the pull request's commits on
// the base one by one, with their authors, dates and messages; a squash leaves one commit with none of those.
func (c *Client) baseOfReplayed(ctx context.Context, merge Commit, pull PullRequest) (string, error) {
	commits, err := c.pullCommits(ctx, pull.Number)
	if err != nil {
		return "", err
	}
	// GitHub leaves merge commits out when it rebases.
	linear := slices.DeleteFunc(slices.Clone(commits), func(commit Commit) bool { return len(commit.Parents) > 1 })
	if merge.SHA == pull.Head.SHA && len(linear) != len(commits) {
		return "", ErrNoBaseSide
	}
	slices.Reverse(linear)
	squashed := len(linear) == 0 || !sameChange(merge, linear[0])
	walked := []Commit{merge}
	if !squashed {
		if walked, err = c.FirstParents(ctx, merge.SHA, len(linear)); err != nil {
			return "", err
		}
		squashed = !slices.EqualFunc(walked, linear, sameChange)
	}
	switch {
	case !squashed:
		return firstParent(walked[len(walked)-1])
	case merge.SHA == pull.Head.SHA:
		return "", ErrNoBaseSide
	default:
		return firstParent(merge)
	}
}

// sameChange recognises a commit that was rebased.
func sameChange(a, b Commit) bool {
	return a.Author == b.Author && a.AuthoredAt.Equal(b.AuthoredAt) && a.Message == b.Message
}

func firstParent(commit Commit) (string, error) {
	if len(commit.Parents) == 0 {
		return "", ErrNoBaseSide
	}
	return commit.Parents[0], nil
}

// pullCommits lists a pull request's commits, oldest first; GitHub lists at most 250.
func (c *Client) pullCommits(ctx context.Context, number int) ([]Commit, error) {
	sdk, owner, name := c.sdk()
	listed, _, err := listAll(maxPages, func(page gogithub.ListOptions) ([]*gogithub.RepositoryCommit, *gogithub.Response, error) {
		return sdk.PullRequests.ListCommits(ctx, owner, name, number, &page)
	})
	if err != nil {
		return nil, c.explain(ctx, err, "listing the commits of pull request #%d", number)
	}
	commits := make([]Commit, 0, len(listed))
	for _, commit := range listed {
		commits = append(commits, commitFromRepository(commit))
	}
	return commits, nil
}
