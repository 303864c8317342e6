// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	gogithub "github.com/google/go-github/v92/github"
)

// ChecksRequest is which checks are wanted.
type ChecksRequest struct {
	// SHA is the commit.
	SHA string
	// IgnorePrefix leaves out the checks whose names begin with it: our own, which must not wait for themselves.
	IgnorePrefix string
	// MaxAge is how old the answer may be. 0 asks GitHub. Webhooks about the repository make it old at once.
	MaxAge time.Duration
}

// Checks is what is known of a commit's checks.
type Checks struct {
	// Items are sorted by name; a name may be there twice, as a check run and as a commit status.
	Items []Check
	// FetchedAt is when GitHub was asked.
	FetchedAt time.Time
}

// Checks gives the newest check run and the newest commit status of every name on a commit, all pages: GitHub's two APIs
// for one purpose. No checks is an empty list, which proves nothing.
func (c *Client) Checks(ctx context.Context, request ChecksRequest) (Checks, error) {
	if err := checkSHA(request.SHA); err != nil {
		return Checks{}, err
	}
	all, fetchedAt, err := recall(ctx, c.clients.memory,
		question{repository: c.repo.Key(), key: c.key("checks", request.SHA), maxAge: request.MaxAge},
		func(ctx context.Context) ([]Check, error) { return c.readChecks(ctx, request.SHA) })
	if err != nil {
		return Checks{}, err
	}
	checks := Checks{FetchedAt: fetchedAt}
	for _, check := range all {
		if request.IgnorePrefix == "" || !strings.HasPrefix(check.Name, request.IgnorePrefix) {
			checks.Items = append(checks.Items, check)
		}
	}
	return checks, nil
}

func (c *Client) readChecks(ctx context.Context, sha string) ([]Check, error) {
	runs, err := c.checkRuns(ctx, sha)
	if err != nil {
		return nil, err
	}
	statuses, err := c.statuses(ctx, sha)
	if err != nil {
		return nil, err
	}
	newest := map[string]*gogithub.CheckRun{}
	for _, run := range runs {
		// A re-run is a new check run of the same name; identifiers grow, dates of queued runs may be missing.
		if known, ok := newest[run.GetName()]; !ok || run.GetID() > known.GetID() {
			newest[run.GetName()] = run
		}
	}
	checks := make([]Check, 0, len(newest)+len(statuses))
	for _, run := range newest {
		checks = append(checks, checkFromRun(run))
	}
	for _, status := range statuses {
		checks = append(checks, checkFromStatus(status))
	}
	slices.SortFunc(checks, func(a, b Check) int {
		return cmp.Or(cmp.Compare(a.Name, b.Name), cmp.Compare(a.Source, b.Source))
	})
	return checks, nil
}

func (c *Client) checkRuns(ctx context.Context, sha string) ([]*gogithub.CheckRun, error) {
	sdk, owner, name := c.sdk()
	runs, _, err := listAll(maxPages, func(page gogithub.ListOptions) ([]*gogithub.CheckRun, *gogithub.Response, error) {
		listed, resp, err := sdk.Checks.ListCheckRunsForRef(ctx, owner, name, sha, &gogithub.ListCheckRunsOptions{
			Filter: new("latest"), ListOptions: page,
		})
		if err != nil {
			return nil, resp, err
		}
		return listed.GetCheckRuns(), resp, nil
	})
	return runs, c.explain(ctx, err, "listing the check runs on commit %s", short(sha))
}

// statuses gives the newest commit status of each context: GitHub's combined status lists exactly those.
func (c *Client) statuses(ctx context.Context, sha string) ([]*gogithub.RepoStatus, error) {
	sdk, owner, name := c.sdk()
	statuses, _, err := listAll(maxPages, func(page gogithub.ListOptions) ([]*gogithub.RepoStatus, *gogithub.Response, error) {
		combined, resp, err := sdk.Repositories.GetCombinedStatus(ctx, owner, name, sha, &page)
		if err != nil {
			return nil, resp, err
		}
		return combined.GetStatuses(), resp, nil
	})
	return statuses, c.explain(ctx, err, "listing the statuses on commit %s", short(sha))
}

func checkFromRun(run *gogithub.CheckRun) Check {
	check := Check{
		Name: run.GetName(), Source: CheckRun, URL: cmp.Or(run.GetHTMLURL(), run.GetDetailsURL()),
		StartedAt: run.GetStartedAt().Time, CompletedAt: run.GetCompletedAt().Time,
	}
	if run.GetStatus() != "completed" {
		check.State, check.Conclusion = CheckPending, run.GetStatus()
		return check
	}
	check.Conclusion = run.GetConclusion()
	switch check.Conclusion {
	case "success":
		check.State = CheckSuccess
	case "neutral":
		check.State = CheckNeutral
	case "skipped":
		check.State = CheckSkipped
	case "cancelled":
		check.State = CheckCancelled
	default:
		check.State = CheckFailure
	}
	return check
}

func checkFromStatus(status *gogithub.RepoStatus) Check {
	check := Check{
		Name: status.GetContext(), Source: CommitStatus, Conclusion: status.GetState(), URL: status.GetTargetURL(),
		StartedAt: status.GetCreatedAt().Time,
	}
	switch status.GetState() {
	case "success":
		check.State = CheckSuccess
	case "pending":
		check.State = CheckPending
	default:
		check.State = CheckFailure
	}
	if check.State != CheckPending {
		check.CompletedAt = status.GetUpdatedAt().Time
	}
	return check
}
