// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"context"
	"errors"
	"slices"
	"strings"

	gogithub "github.com/google/go-github/v92/github"
)

// NewPullRequest is a pull request to open, from a branch of the repository into another one of it.
type NewPullRequest struct {
	Title string
	Body  string
	// Head and Base are branch names.
	Head, Base string
	// Labels are added; GitHub makes those that do not exist.
	Labels []string
	// Reviewers are logins and TeamReviewers team slugs that are asked for a review.
	Reviewers, TeamReviewers []string
	// Refuse, where it is set, gives an error for an existing pull request that is somebody else's: that one is left as it is.
	Refuse func(PullRequest) error
}

// OpenedPullRequest is the open pull request of a head and base.
type OpenedPullRequest struct {
	PullRequest PullRequest
	// Created tells one that was made now from one that was there.
	Created bool
	// Incomplete is what could not be added (labels, reviewers), nil when all is there. The pull request stands.
	Incomplete error
}

// OpenPullRequest gives the open pull request of a head and base, and makes it when there is none. Calling it again makes
// no second one: an open one is looked for first, and GitHub's refusal of a duplicate is answered by looking again. An
// existing one keeps its title and body (see [Client.UpdatePullRequest]) and gets the labels and reviewers that it lacks: who
// opened it may have died before adding them. One that is refused ([NewPullRequest.Refuse]) is not touched, and its error is given.
func (c *Client) OpenPullRequest(ctx context.Context, wanted NewPullRequest) (OpenedPullRequest, error) {
	if existing, err := c.findOpen(ctx, wanted); err != nil || existing != nil {
		return c.adopt(ctx, existing, wanted, err)
	}
	sdk, owner, name := c.sdk()
	created, _, err := sdk.PullRequests.Create(ctx, owner, name, gogithub.CreatePullRequest{
		Title: &wanted.Title, Body: &wanted.Body, Head: wanted.Head, Base: wanted.Base,
	})
	c.Invalidate()
	if err == nil && created.GetNumber() == 0 {
		err = errIncomplete
	}
	err = c.explain(ctx, err, "opening the pull request from %s into %s", wanted.Head, wanted.Base)
	if isRefused(err, "already exists") {
		if existing, findErr := c.findOpen(ctx, wanted); findErr != nil || existing != nil {
			return c.adopt(ctx, existing, wanted, findErr)
		}
	}
	if err != nil {
		return OpenedPullRequest{}, err
	}
	pull := pullFrom(created)
	opened := c.complete(ctx, &pull, wanted)
	opened.Created = true
	return opened, nil
}

// findOpen gives the open pull request of a head and base, or nil.
func (c *Client) findOpen(ctx context.Context, wanted NewPullRequest) (*PullRequest, error) {
	found, err := c.listPulls(ctx, 1, gogithub.PullRequestListOptions{
		State: "open", Head: c.headOf(wanted.Head), Base: wanted.Base,
	})
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return &found[0], nil
}

// adopt completes a pull request that was found, unless it is refused.
func (c *Client) adopt(ctx context.Context, found *PullRequest, wanted NewPullRequest, err error) (OpenedPullRequest, error) {
	if err == nil && wanted.Refuse != nil {
		err = wanted.Refuse(*found)
	}
	if err != nil {
		return OpenedPullRequest{}, err
	}
	return c.complete(ctx, found, wanted), nil
}

// complete adds the labels and reviewers that a pull request lacks.
func (c *Client) complete(ctx context.Context, pull *PullRequest, wanted NewPullRequest) OpenedPullRequest {
	labels, err := c.EnsureLabels(ctx, *pull, wanted.Labels)
	pull.Labels = labels
	err = errors.Join(err, c.EnsureReviewers(ctx, *pull, wanted.Reviewers, wanted.TeamReviewers))
	return OpenedPullRequest{PullRequest: *pull, Incomplete: err}
}

// EnsureLabels adds the labels that a pull request lacks and gives all that it has. Others stay.
func (c *Client) EnsureLabels(ctx context.Context, pull PullRequest, labels []string) ([]string, error) {
	missing := lacking(labels, pull.Labels)
	if len(missing) == 0 {
		return pull.Labels, nil
	}
	sdk, owner, name := c.sdk()
	now, _, err := sdk.Issues.AddLabelsToIssue(ctx, owner, name, pull.Number, missing)
	c.Invalidate()
	if err != nil {
		return pull.Labels, c.explain(ctx, err, "labelling pull request #%d", pull.Number)
	}
	all := make([]string, 0, len(now))
	for _, label := range now {
		all = append(all, label.GetName())
	}
	return all, nil
}

// lacking are those of the wanted names that are not there; case does not matter.
func lacking(wanted, there []string) []string {
	var missing []string
	for _, name := range wanted {
		if !slices.ContainsFunc(there, func(has string) bool { return strings.EqualFold(has, name) }) {
			missing = append(missing, name)
		}
	}
	return missing
}

// EnsureReviewers asks those people (logins) and teams (slugs) for a review that are not asked and have not given one. GitHub does
// not say for which team somebody reviewed: once anybody has, teams are not asked again. GitHub asks nobody when one of them is not
// a collaborator ([*RefusedError]).
func (c *Client) EnsureReviewers(ctx context.Context, pull PullRequest, reviewers, teams []string) error {
	reviewers, teams = lacking(reviewers, pull.Reviewers), lacking(teams, pull.TeamReviewers)
	if len(reviewers)+len(teams) == 0 {
		return nil
	}
	sdk, owner, name := c.sdk()
	given, _, err := listAll(maxPullPages, func(page gogithub.ListOptions) ([]*gogithub.PullRequestReview, *gogithub.Response, error) {
		return sdk.PullRequests.ListReviews(ctx, owner, name, pull.Number, &page)
	})
	if err != nil {
		return c.explain(ctx, err, "listing the reviews of pull request #%d", pull.Number)
	}
	for _, review := range given {
		reviewers, teams = lacking(reviewers, []string{review.GetUser().GetLogin()}), nil
	}
	if len(reviewers)+len(teams) == 0 {
		return nil
	}
	_, _, err = sdk.PullRequests.RequestReviewers(ctx, owner, name, pull.Number, gogithub.ReviewersRequest{Reviewers: reviewers, TeamReviewers: teams})
	c.Invalidate()
	return c.explain(ctx, err, "asking for reviews of pull request #%d", pull.Number)
}

// UpdatePullRequest gives a pull request this title and body, and says whether anything was different.
func (c *Client) UpdatePullRequest(ctx context.Context, number int, title, body string) (changed bool, err error) {
	current, err := c.GetPullRequest(ctx, number)
	if err != nil {
		return false, err
	}
	if current.Title == strings.TrimSpace(title) && sameText(current.Body, body) {
		return false, nil
	}
	sdk, owner, name := c.sdk()
	_, _, err = sdk.PullRequests.Edit(ctx, owner, name, number, &gogithub.PullRequest{Title: &title, Body: &body})
	c.Invalidate()
	return err == nil, c.explain(ctx, err, "updating pull request #%d", number)
}

// sameText compares as GitHub shows it: its editor writes CRLF, and white space at the ends does not show.
func sameText(a, b string) bool {
	normal := func(text string) string { return strings.TrimSpace(strings.ReplaceAll(text, "\r\n", "\n")) }
	return normal(a) == normal(b)
}
