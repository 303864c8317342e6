// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"context"
	"strings"

	gogithub "github.com/google/go-github/v92/github"
)

// maxPullPages bounds the pull requests of one head and base: 300.
const maxPullPages = 3

// GetPullRequest asks for a pull request, now.
func (c *Client) GetPullRequest(ctx context.Context, number int) (PullRequest, error) {
	sdk, owner, name := c.sdk()
	found, _, err := sdk.PullRequests.Get(ctx, owner, name, number)
	if err == nil && found.GetNumber() != number {
		err = errIncomplete
	}
	if err != nil {
		return PullRequest{}, c.explain(ctx, err, "reading pull request #%d", number)
	}
	return pullFrom(found), nil
}

// FindPullRequests gives the pull requests from a branch of this repository (never of a fork) into base, whatever became
// of them, newest first, at most 300. They come from a list: see [PullRequest] for what lists do not have.
func (c *Client) FindPullRequests(ctx context.Context, headBranch, base string) ([]PullRequest, error) {
	return c.listPulls(ctx, maxPullPages, gogithub.PullRequestListOptions{
		State: "all", Head: c.headOf(headBranch), Base: base, Sort: "created", Direction: "desc",
	})
}

// headOf names a branch as lists of pull requests are filtered by it, OWNER:BRANCH: by the owner that the repository has now, which is
// another one where it was transferred.
func (c *Client) headOf(branch string) string {
	owner := c.repo.Owner
	if entry, known := c.clients.memory.entries.Get(c.key("observe", "repository")); known {
		if info, is := entry.value.(RepositoryInfo); is {
			owner, _, _ = strings.Cut(info.FullName, "/")
		}
	}
	return owner + ":" + branch
}

func (c *Client) listPulls(ctx context.Context, pages int, options gogithub.PullRequestListOptions) ([]PullRequest, error) {
	sdk, owner, name := c.sdk()
	listed, _, err := listAll(pages, func(page gogithub.ListOptions) ([]*gogithub.PullRequest, *gogithub.Response, error) {
		options.ListOptions = page
		return sdk.PullRequests.List(ctx, owner, name, &options)
	})
	if err != nil {
		return nil, c.explain(ctx, err, "listing the pull requests into %s", options.Base)
	}
	pulls := make([]PullRequest, 0, len(listed))
	for _, found := range listed {
		pull := pullFrom(found)
		// An organisation may own a fork of its own repository: the same owner:branch, another repository. And a server
		// that ignores a filter must not make us take a stranger's pull request for ours.
		if pull.Head.Repository != pull.Base.Repository && options.Head != "" {
			continue
		}
		if options.Head != "" && options.Head != c.headOf(pull.Head.Branch) {
			continue
		}
		pulls = append(pulls, pull)
	}
	return pulls, nil
}

// PullRequestOfCommit gives the merged pull request whose merge made the commit, or nil when there is none (it was
// pushed). branch is where the commit was seen: GitHub's index from commits to pull requests knows merges into the
// default branch only ("if the commit is not present in the default branch, it will only return open pull requests",
// https://docs.github.com/en/rest/commits/commits#list-pull-requests-associated-with-a-commit), so that for others the
// closed pull requests into branch are searched, the 100 touched last. What is found is remembered: a merge is final.
func (c *Client) PullRequestOfCommit(ctx context.Context, sha, branch string) (*PullRequest, error) {
	if err := checkSHA(sha); err != nil {
		return nil, err
	}
	key := c.key("merge", sha)
	if pull, ok := c.clients.merges.Get(key); ok {
		return &pull, nil
	}
	number, err := c.findMerge(ctx, sha, branch)
	if err != nil || number == 0 {
		return nil, err
	}
	pull, err := c.GetPullRequest(ctx, number)
	if err != nil {
		return nil, err
	}
	c.clients.merges.Add(key, pull)
	return &pull, nil
}

// findMerge gives the number of the pull request whose merge made the commit, 0 for none.
func (c *Client) findMerge(ctx context.Context, sha, branch string) (int, error) {
	sdk, owner, name := c.sdk()
	listed, _, err := sdk.PullRequests.ListPullRequestsWithCommit(ctx, owner, name, sha, &gogithub.ListOptions{PerPage: pageSize})
	if err != nil {
		return 0, c.explain(ctx, err, "looking for the pull request of commit %s", short(sha))
	}
	for _, found := range listed {
		if isMergeOf(pullFrom(found), sha) {
			return found.GetNumber(), nil
		}
	}
	if branch == "" {
		return 0, nil
	}
	recent, err := c.listPulls(ctx, 1, gogithub.PullRequestListOptions{State: "closed", Base: branch, Sort: "updated", Direction: "desc"})
	for _, pull := range recent {
		if isMergeOf(pull, sha) {
			return pull.Number, nil
		}
	}
	return 0, err
}

func isMergeOf(pull PullRequest, sha string) bool {
	return pull.MergeCommit == sha
}

func pullFrom(found *gogithub.PullRequest) PullRequest {
	pull := PullRequest{
		Number:    found.GetNumber(),
		URL:       found.GetHTMLURL(),
		State:     PullRequestOpen,
		Title:     found.GetTitle(),
		Body:      found.GetBody(),
		Head:      sideFrom(found.GetHead()),
		Base:      sideFrom(found.GetBase()),
		MergedBy:  found.GetMergedBy().GetLogin(),
		MergedAt:  found.GetMergedAt().Time,
		ClosedAt:  found.GetClosedAt().Time,
		CreatedAt: found.GetCreatedAt().Time,
		UpdatedAt: found.GetUpdatedAt().Time,
		Author:    found.GetUser().GetLogin(),
	}
	switch {
	case found.GetMerged() || !pull.MergedAt.IsZero():
		pull.State = PullRequestMerged
		pull.MergeCommit = found.GetMergeCommitSHA()
	case found.GetState() == "closed":
		pull.State = PullRequestClosed
	}
	for _, label := range found.GetLabels() {
		pull.Labels = append(pull.Labels, label.GetName())
	}
	if found != nil {
		for _, user := range found.RequestedReviewers {
			pull.Reviewers = append(pull.Reviewers, user.GetLogin())
		}
		for _, team := range found.RequestedTeams {
			pull.TeamReviewers = append(pull.TeamReviewers, team.GetSlug())
		}
	}
	return pull
}

func sideFrom(side *gogithub.PullRequestBranch) PullRequestSide {
	return PullRequestSide{Branch: side.GetRef(), SHA: side.GetSHA(), Repository: strings.TrimSpace(side.GetRepo().GetFullName())}
}
