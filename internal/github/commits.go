// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"context"
	"strings"

	gogithub "github.com/google/go-github/v92/github"
)

const (
	// maxMessage bounds the first line of a commit's message, in characters.
	maxMessage = 200
	// walkAhead is from how many steps on a walk is worth a listing before it.
	walkAhead = 3
)

// Commit gives a commit by its full SHA. Commits never change, so each is asked for once. An unknown one is a
// [*NotFoundError].
func (c *Client) Commit(ctx context.Context, sha string) (Commit, error) {
	if err := checkSHA(sha); err != nil {
		return Commit{}, err
	}
	return keep(ctx, c.clients.commits, c.key(sha), func(ctx context.Context) (Commit, error) {
		sdk, owner, name := c.sdk()
		found, _, err := sdk.Git.GetCommit(ctx, owner, name, sha)
		if err == nil && (found.GetSHA() != sha || found.GetTree().GetSHA() == "") {
			err = errIncomplete
		}
		return commitFromGit(found), c.explain(ctx, err, "reading commit %s", short(sha))
	})
}

// FirstParents gives the commit and its first parents, newest first, n commits in all or fewer where history ends.
func (c *Client) FirstParents(ctx context.Context, sha string, n int) ([]Commit, error) {
	if n > walkAhead {
		if err := c.prefetch(ctx, sha, n); err != nil {
			return nil, err
		}
	}
	walked := make([]Commit, 0, max(n, 0))
	for len(walked) < n && sha != "" {
		commit, err := c.Commit(ctx, sha)
		if err != nil {
			return nil, err
		}
		walked = append(walked, commit)
		sha = ""
		if len(commit.Parents) > 0 {
			sha = commit.Parents[0]
		}
	}
	return walked, nil
}

// prefetch reads one page of history, which holds most or all of the first parents: one request instead of n.
func (c *Client) prefetch(ctx context.Context, sha string, n int) error {
	if err := checkSHA(sha); err != nil {
		return err
	}
	if _, ok := c.clients.commits.entries.Get(c.key(sha)); ok {
		return nil
	}
	sdk, owner, name := c.sdk()
	listed, _, err := sdk.Repositories.ListCommits(ctx, owner, name, &gogithub.CommitsListOptions{
		SHA: sha, ListOptions: gogithub.ListOptions{PerPage: min(n, pageSize)},
	})
	if err != nil {
		return c.explain(ctx, err, "reading the history before %s", short(sha))
	}
	for _, commit := range listed {
		if commit.GetCommit().GetTree().GetSHA() != "" {
			c.clients.commits.entries.Add(c.key(commit.GetSHA()), commitFromRepository(commit))
		}
	}
	return nil
}

func commitFromGit(commit *gogithub.Commit) Commit {
	return Commit{
		SHA:        commit.GetSHA(),
		Tree:       commit.GetTree().GetSHA(),
		Parents:    parentsOf(commit.GetParents()),
		Author:     commit.GetAuthor().GetName(),
		AuthoredAt: commit.GetAuthor().GetDate().Time,
		Message:    firstLine(commit.GetMessage()),
		URL:        commit.GetHTMLURL(),
	}
}

func commitFromRepository(commit *gogithub.RepositoryCommit) Commit {
	converted := commitFromGit(commit.GetCommit())
	converted.SHA = commit.GetSHA()
	converted.Parents = parentsOf(commit.GetParents())
	converted.URL = commit.GetHTMLURL()
	return converted
}

func parentsOf(parents []*gogithub.Commit) []string {
	shas := make([]string, 0, len(parents))
	for _, parent := range parents {
		shas = append(shas, parent.GetSHA())
	}
	return shas
}

// firstLine is what people read of a message. It is a copy, which does not hold all of the message in memory.
func firstLine(message string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(message), "\n")
	return strings.Clone(cut(strings.TrimSpace(line), maxMessage))
}
