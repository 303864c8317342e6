// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	gogithub "github.com/google/go-github/v92/github"
)

const headsPrefix = "heads/"

// Branch asks what a branch points at, now. A branch that does not exist, also in an empty repository, is Found false
// and no error; so is a repository that does not: read that with [Client.Info].
func (c *Client) Branch(ctx context.Context, branch string) (BranchHead, error) {
	sha, err := c.readRef(ctx, headsPrefix+branch)
	if err != nil || sha == "" {
		return BranchHead{}, err
	}
	commit, err := c.Commit(ctx, sha)
	if err != nil {
		return BranchHead{}, err
	}
	return BranchHead{Found: true, Commit: commit}, nil
}

// HeldBy gives the first of some branches that holds a commit, "" where none of them does.
func (c *Client) HeldBy(ctx context.Context, sha string, branches ...string) (string, error) {
	for i, branch := range branches {
		if branch == "" || checkSHA(branch) == nil || slices.Contains(branches[:i], branch) {
			continue
		}
		head, err := c.Branch(ctx, branch)
		if err != nil {
			return "", err
		}
		if !head.Found {
			continue
		}
		comparison, err := c.Compare(ctx, head.Commit.SHA, sha)
		switch {
		case IsNotFound(err): // they have no history in common
			continue
		case err != nil:
			return "", err
		case comparison.Ahead == 0:
			return branch, nil
		}
	}
	return "", nil
}

// readRef gives what heads/… or tags/… points at, "" when it is not there.
func (c *Client) readRef(ctx context.Context, ref string) (string, error) {
	found, err := c.lookUpRef(ctx, ref)
	return found.GetObject().GetSHA(), err
}

func (c *Client) lookUpRef(ctx context.Context, ref string) (*gogithub.Reference, error) {
	sdk, owner, name := c.sdk()
	found, _, err := sdk.Git.GetRef(ctx, owner, name, ref)
	if err == nil && found.GetObject().GetSHA() == "" {
		err = errIncomplete
	}
	if err = c.explain(ctx, err, "reading %s", nameOfRef(ref)); err == nil {
		return found, nil
	}
	var refused *RefusedError
	if IsNotFound(err) || (errors.As(err, &refused) && refused.Status == http.StatusConflict) { // 409: the repository is empty
		return nil, nil
	}
	return nil, err
}

func nameOfRef(ref string) string {
	if branch, ok := strings.CutPrefix(ref, headsPrefix); ok {
		return "branch " + branch
	}
	return "tag " + strings.TrimPrefix(ref, tagsPrefix)
}

// EnsureBranch makes a branch point at a commit. It is created when it does not exist, left when it is there already,
// and moved only from one of the commits in expected, where the caller put it before: anything else was pushed by
// somebody, stays, and is a [*BranchMovedError]. (GitHub has no compare-and-swap for refs: a push in the instant between
// look and move is lost to the move, and found in the branch's activity on GitHub.)
func (c *Client) EnsureBranch(ctx context.Context, branch, sha string, expected ...string) error {
	if err := checkSHA(sha); err != nil {
		return err
	}
	actual, err := c.readRef(ctx, headsPrefix+branch)
	if err != nil {
		return err
	}
	if actual == "" {
		if err = c.createBranch(ctx, branch, sha); !isRefused(err, "already exists") {
			return err
		}
		// Another replica's, or a person's, a moment ago.
		if actual, err = c.readRef(ctx, headsPrefix+branch); err != nil {
			return err
		}
	}
	switch {
	case actual == sha:
		return nil
	case !slices.Contains(expected, actual):
		return &BranchMovedError{Branch: branch, Actual: actual}
	}
	sdk, owner, name := c.sdk()
	_, _, err = sdk.Git.UpdateRef(ctx, owner, name, headsPrefix+branch, gogithub.UpdateRef{SHA: sha, Force: new(true)})
	c.Invalidate()
	return c.explain(ctx, err, "moving branch %s to %s", branch, short(sha))
}

func (c *Client) createBranch(ctx context.Context, branch, sha string) error {
	sdk, owner, name := c.sdk()
	_, _, err := sdk.Git.CreateRef(ctx, owner, name, gogithub.CreateRef{Ref: "refs/" + headsPrefix + branch, SHA: sha})
	c.Invalidate()
	return c.explain(ctx, err, "creating branch %s at %s", branch, short(sha))
}

// DeleteBranch deletes a branch that is at one of the commits in expected. One that does not exist is deleted already. One
// that is elsewhere, as every one is where none is expected, stays, and is a [*BranchMovedError].
func (c *Client) DeleteBranch(ctx context.Context, branch string, expected ...string) error {
	actual, err := c.readRef(ctx, headsPrefix+branch)
	if err != nil || actual == "" {
		return err
	}
	if !slices.Contains(expected, actual) {
		return &BranchMovedError{Branch: branch, Actual: actual}
	}
	sdk, owner, name := c.sdk()
	_, err = sdk.Git.DeleteRef(ctx, owner, name, headsPrefix+branch)
	c.Invalidate()
	err = c.explain(ctx, err, "deleting branch %s", branch)
	if isRefused(err, "does not exist") {
		return nil
	}
	return ignoreNotFound(err)
}

// isRefused says whether GitHub refused with these words: it has one status for many reasons.
func isRefused(err error, words string) bool {
	var refused *RefusedError
	return errors.As(err, &refused) && strings.Contains(strings.ToLower(refused.Message), words)
}
