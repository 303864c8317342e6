// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"context"
	"sync"

	gogithub "github.com/google/go-github/v92/github"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/sync/singleflight"
)

const (
	// maxComparedCommits is GitHub's bound of one comparison (https://docs.github.com/en/rest/commits/commits#compare-two-commits).
	maxComparedCommits = 250
	// maxRangeCommits bounds the commits of all kept ranges together: about 20 MiB where all have long messages.
	maxRangeCommits = 32768
)

// Compare says how head differs from base, both full SHAs. The answer never changes, so it is asked for once.
func (c *Client) Compare(ctx context.Context, base, head string) (Comparison, error) {
	for _, sha := range []string{base, head} {
		if err := checkSHA(sha); err != nil {
			return Comparison{}, err
		}
	}
	if base == head {
		return Comparison{}, nil
	}
	return keep(ctx, c.clients.comparisons, c.key(base, head), func(ctx context.Context) (Comparison, error) {
		compared, err := c.compare(ctx, base, head)
		return Comparison{Ahead: compared.GetAheadBy(), Behind: compared.GetBehindBy()}, err
	})
}

// CommitsAhead gives the commits of head that base lacks, both full SHAs, oldest first, at most 250 (GitHub's bound); how many
// there are, [Client.Compare] says. Who compares the two as well asks once for both.
func (c *Client) CommitsAhead(ctx context.Context, base, head string) ([]Commit, error) {
	comparison, err := c.Compare(ctx, base, head)
	if err != nil || comparison.Ahead == 0 {
		return nil, err
	}
	key := c.key(base, head)
	if commits, ok := c.clients.ranges.get(key); ok {
		return commits, nil
	}
	return share(ctx, &c.clients.ranges.flights, key, func(ctx context.Context) ([]Commit, error) {
		compared, err := c.compare(ctx, base, head)
		return commitsAhead(compared), err
	})
}

// compare asks GitHub, and keeps the commits for who shows them.
func (c *Client) compare(ctx context.Context, base, head string) (*gogithub.CommitsComparison, error) {
	sdk, owner, name := c.sdk()
	compared, _, err := sdk.Repositories.CompareCommits(ctx, owner, name, base, head, nil)
	if err == nil && compared.GetMergeBaseCommit().GetSHA() == "" {
		err = errIncomplete
	}
	if err != nil {
		return nil, c.explain(ctx, err, "comparing %s with %s", short(base), short(head))
	}
	c.clients.ranges.put(c.key(base, head), commitsAhead(compared))
	return compared, nil
}

func commitsAhead(compared *gogithub.CommitsComparison) []Commit {
	listed := compared.GetCommits()
	commits := make([]Commit, 0, min(len(listed), maxComparedCommits))
	for _, commit := range listed[:cap(commits)] {
		commits = append(commits, commitFromRepository(commit))
	}
	return commits
}

// ranges keeps the commits between two others, those of the ranges that were used last. Comparisons are many and small; their
// commits are few or very many, and are for people to read.
type ranges struct {
	flights singleflight.Group

	mu    sync.Mutex
	lru   *simplelru.LRU[string, []Commit]
	total int
}

func newRanges() *ranges {
	r := &ranges{}
	// NewLRU fails only for a size that is not positive.
	r.lru, _ = simplelru.NewLRU(maxComparisons, func(_ string, evicted []Commit) { r.total -= len(evicted) })
	return r
}

func (r *ranges) get(key string) ([]Commit, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.lru.Get(key)
}

func (r *ranges) put(key string, commits []Commit) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lru.Remove(key)
	r.lru.Add(key, commits)
	r.total += len(commits)
	for r.total > maxRangeCommits {
		r.lru.RemoveOldest()
	}
}
