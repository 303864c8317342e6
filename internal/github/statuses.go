// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"context"
	"strings"
	"time"

	gogithub "github.com/google/go-github/v92/github"

	"github.com/mainstem-dev/mainstem/internal/render"
)

// StatusState is the state of a commit status.
type StatusState string

// The states of a commit status, as GitHub writes them.
const (
	StatusPending StatusState = "pending"
	StatusSuccess StatusState = "success"
	StatusFailure StatusState = "failure"
	StatusError   StatusState = "error"
)

// Status is a commit status: one line on a commit, and a merge gate where the branch requires its context.
type Status struct {
	// Context is its name, such as mainstem/main.
	Context string
	State   StatusState
	// Description is cut at 140 characters.
	Description string
	// TargetURL is where it links to; may be empty.
	TargetURL string
}

// EnsureStatus makes a status the newest of its context on a commit, and says whether it had to be written. What this
// process sent last is taken to be GitHub's newest; where it sent none, GitHub's newest is read first, so that a restart
// writes nothing twice. Those who say the same at the same time, such as two applications of a repository, say it once.
func (c *Client) EnsureStatus(ctx context.Context, sha string, status Status) (written bool, err error) {
	if err := checkSHA(sha); err != nil {
		return false, err
	}
	status.Description = render.CommitStatusDescription(status.Description)
	saying := c.key("status", sha, status.Context, string(status.State), status.Description, status.TargetURL)
	return share(ctx, &c.clients.saying, saying, func(ctx context.Context) (bool, error) { return c.ensureStatus(ctx, sha, status) })
}

func (c *Client) ensureStatus(ctx context.Context, sha string, status Status) (written bool, err error) {
	key := c.key("status", sha, status.Context)
	last, sent := c.clients.sent.Get(key)
	if sent && last.Status == status {
		return false, nil
	}
	if !sent {
		current, err := c.statuses(ctx, sha)
		if err != nil {
			return false, err
		}
		c.rememberStatuses(sha, status.Context, current)
		if last, sent = c.clients.sent.Get(key); sent && last.Status == status {
			return false, nil
		}
	}
	sdk, owner, name := c.sdk()
	body := gogithub.RepoStatus{Context: &status.Context, State: new(string(status.State)), Description: &status.Description}
	if status.TargetURL != "" {
		body.TargetURL = &status.TargetURL
	}
	if _, _, err = sdk.Repositories.CreateStatus(ctx, owner, name, sha, body); err != nil {
		return false, c.explain(ctx, err, "setting the status %s on commit %s", status.Context, short(sha))
	}
	c.clients.sent.Add(key, sentStatus{Status: status, at: c.clients.options.Now()})
	return true, nil
}

// rememberStatuses keeps the statuses that GitHub has on a commit under contexts that begin alike, up to the slash, unless this
// process wrote newer ones meanwhile: the other environments need not ask for theirs.
func (c *Client) rememberStatuses(sha, statusContext string, current []*gogithub.RepoStatus) {
	prefix, _, _ := strings.Cut(statusContext, "/")
	for _, known := range current {
		if alike, _, _ := strings.Cut(known.GetContext(), "/"); alike != prefix {
			continue
		}
		c.clients.sent.ContainsOrAdd(c.key("status", sha, known.GetContext()), sentStatus{Status: Status{
			Context: known.GetContext(), State: StatusState(known.GetState()), Description: known.GetDescription(), TargetURL: known.GetTargetURL(),
		}})
	}
}

// sentStatus is a status that GitHub has, and when this process wrote it, if it did.
type sentStatus struct {
	Status
	at time.Time
}

// StatusSent gives the status that this process wrote last under a context on a commit, and when. It asks nothing of GitHub.
func (c *Client) StatusSent(sha, statusContext string) (status Status, at time.Time, sent bool) {
	last, ok := c.clients.sent.Get(c.key("status", sha, statusContext))
	return last.Status, last.at, ok && !last.at.IsZero()
}
