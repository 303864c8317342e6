// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"context"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// Observer says what a repository looks like, asked once for everybody: each piece (the repository, each branch, the
// releases) is remembered per API root, repository and credential, and those who ask at the same time share one
// question.
type Observer struct {
	clients *Clients
}

// NewObserver makes an observer on the shared clients.
func NewObserver(clients *Clients) *Observer { return &Observer{clients: clients} }

// Request is what to observe.
type Request struct {
	// Branches are the branches whose heads are wanted.
	Branches []string
	// Releases asks for the published releases.
	Releases bool
	// MaxAge is how old a piece may be: the interval that the application asks for. 0 asks GitHub. What is known of the
	// repository itself may be twelve times as old.
	MaxAge time.Duration
}

// repositoryLooks is for how many looks it is taken for granted that a repository is where it was, and what it was: for
// an hour of looks every five minutes. A webhook tells when it is not, and so do the branches, which are not found in one
// that is gone. A third of all looks was about this.
const repositoryLooks = 12

// Observation is what was seen. Its slices and map are shared: read only.
type Observation struct {
	Repository RepositoryInfo
	// Branches has an entry for every branch that was asked for.
	Branches map[string]BranchHead
	// Releases are the published releases, newest first; nil when not asked for.
	Releases []Release
	// FetchedAt is when the oldest of the branches and releases was asked for; now where there are none.
	FetchedAt time.Time
}

// Observe gives what was asked for, from memory where that is young enough. The branches and releases are asked for side
// by side, once the repository is known to be there. When one piece fails, its error is returned, and what was read
// besides it is remembered for the next try.
func (o *Observer) Observe(ctx context.Context, repo Repository, credential Credential, request Request) (Observation, error) {
	client, err := o.clients.For(repo, credential)
	if err != nil {
		return Observation{}, err
	}
	observation := Observation{Branches: make(map[string]BranchHead, len(request.Branches))}
	look := &look{client: client, maxAge: request.MaxAge}

	if observation.Repository, err = look.repository(ctx, repositoryLooks*request.MaxAge); err != nil {
		return Observation{}, err
	}
	heads := make([]BranchHead, len(request.Branches))
	pieces, together := errgroup.WithContext(ctx)
	for i, branch := range request.Branches {
		pieces.Go(func() error {
			var err error
			heads[i], err = piece(together, look, "branch "+branch, func(ctx context.Context) (BranchHead, error) { return client.Branch(ctx, branch) })
			return err
		})
	}
	if request.Releases {
		pieces.Go(func() error {
			var err error
			observation.Releases, err = piece(together, look, "releases", client.Releases)
			return err
		})
	}
	if err := pieces.Wait(); err != nil {
		return Observation{}, err
	}
	missing := false
	for i, branch := range request.Branches {
		observation.Branches[branch] = heads[i]
		missing = missing || !heads[i].Found
	}
	if observation.FetchedAt = look.oldest; look.oldest.IsZero() {
		observation.FetchedAt = o.clients.options.Now() // Nothing was asked for that could become old.
	}
	if missing {
		// It may be the repository that is gone.
		observation.Repository, err = look.repository(ctx, request.MaxAge)
	}
	return observation, err
}

// SeenBranch gives what a branch points at, with an answer that is at most maxAge old.
func (c *Client) SeenBranch(ctx context.Context, branch string, maxAge time.Duration) (BranchHead, error) {
	return piece(ctx, &look{client: c, maxAge: maxAge}, "branch "+branch,
		func(ctx context.Context) (BranchHead, error) { return c.Branch(ctx, branch) })
}

// look is one observation being put together.
type look struct {
	client *Client
	maxAge time.Duration

	mu sync.Mutex
	// oldest is when the oldest piece so far was asked for.
	oldest time.Time
}

// asked notes when a piece was asked for.
func (l *look) asked(at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.oldest.IsZero() || at.Before(l.oldest) {
		l.oldest = at
	}
}

// repository says what the repository is.
func (l *look) repository(ctx context.Context, maxAge time.Duration) (RepositoryInfo, error) {
	info, _, err := recall(ctx, l.client.clients.memory,
		question{repository: l.client.repo.Key(), key: l.client.key("observe", "repository"), maxAge: maxAge}, l.client.Info)
	return info, err
}

// piece recalls one piece of an observation and keeps the time of the oldest.
func piece[T any](ctx context.Context, l *look, name string, fetch func(context.Context) (T, error)) (T, error) {
	value, fetchedAt, err := recall(ctx, l.client.clients.memory,
		question{repository: l.client.repo.Key(), key: l.client.key("observe", name), maxAge: l.maxAge}, fetch)
	if err == nil {
		l.asked(fetchedAt)
	}
	return value, err
}
