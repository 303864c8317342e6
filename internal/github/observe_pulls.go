// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"context"
	"errors"
	"strconv"
	"time"
)

// PullRequest gives a pull request that is at most maxAge old: webhooks about the repository, and what this process does to
// it, make it old at once.
func (c *Client) PullRequest(ctx context.Context, number int, maxAge time.Duration) (PullRequest, error) {
	pull, _, err := recall(ctx, c.clients.memory,
		question{repository: c.repo.Key(), key: c.key("pull", strconv.Itoa(number)), maxAge: maxAge},
		func(ctx context.Context) (PullRequest, error) { return c.GetPullRequest(ctx, number) })
	return pull, err
}

// Merge is a commit's merge of a pull request.
type Merge struct {
	// Found tells whether the commit merged one; without, it was pushed.
	Found       bool
	PullRequest PullRequest
	// Base is what it was merged onto. It is empty where the history does not tell.
	Base string
}

// MergeOf says which pull request a commit merged, and onto what, with an answer that is at most maxAge old: GitHub links a
// commit to its pull request a moment after the merge.
func (c *Client) MergeOf(ctx context.Context, sha, branch string, maxAge time.Duration) (Merge, error) {
	merge, _, err := recall(ctx, c.clients.memory,
		question{repository: c.repo.Key(), key: c.key("mergeOf", sha, branch), maxAge: maxAge},
		func(ctx context.Context) (Merge, error) { return c.readMerge(ctx, sha, branch) })
	return merge, err
}

func (c *Client) readMerge(ctx context.Context, sha, branch string) (Merge, error) {
	pull, err := c.PullRequestOfCommit(ctx, sha, branch)
	if err != nil || pull == nil {
		return Merge{}, err
	}
	base, err := c.BaseSide(ctx, *pull)
	if err != nil && !errors.Is(err, ErrNoBaseSide) {
		return Merge{}, err
	}
	return Merge{Found: true, PullRequest: *pull, Base: base}, nil
}
