// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import "time"

// Commit is one immutable commit.
type Commit struct {
	SHA string
	// Tree is the SHA of the root tree: equal trees are equal content, byte for byte.
	Tree string
	// Parents are the parents' SHAs; the first is the side that was merged into.
	Parents []string
	// Author is the author's name, as Git records it.
	Author string
	// AuthoredAt is the author's date. Dates are for display: they order nothing.
	AuthoredAt time.Time
	// Message is the first line, at most 200 characters.
	Message string
	// URL is the commit's page.
	URL string
}

// BranchHead is what a branch points at.
type BranchHead struct {
	// Found is false when there is no such branch; Commit is zero then.
	Found  bool
	Commit Commit
}

// Comparison says how head differs from base.
type Comparison struct {
	// Ahead counts the commits of head that base lacks, Behind those of base that head lacks. Both are exact.
	Ahead, Behind int
}

// RepositoryInfo is what GitHub says about a repository.
type RepositoryInfo struct {
	// FullName is owner/name as GitHub has it now.
	FullName string
	// Moved says that FullName is not what was asked for: the repository was renamed or transferred, and only GitHub's
	// redirect still finds it.
	Moved bool
	// URL is the repository's page.
	URL           string
	DefaultBranch string
	// Archived means read-only: nothing can be promoted there.
	Archived bool
}

// Release is a published GitHub release.
type Release struct {
	ID         int64
	Tag        string
	Name       string
	URL        string
	Prerelease bool
	// Target is where the tag was to be made, if it was not there already: a branch or a commit.
	Target string
	// PublishedAt is for display; releases are ordered by the semver of their tags.
	PublishedAt time.Time
	// TagFound is false when the release's tag does not exist (it was deleted); Commit is zero then.
	TagFound bool
	// Commit is what the tag points at, annotated tags peeled.
	Commit Commit
}

// PullRequestState is what became of a pull request.
type PullRequestState string

// The states of a pull request. GitHub calls a merged one closed; here it is Merged.
const (
	PullRequestOpen   PullRequestState = "Open"
	PullRequestMerged PullRequestState = "Merged"
	PullRequestClosed PullRequestState = "Closed"
)

// PullRequestSide is the head or the base of a pull request.
type PullRequestSide struct {
	Branch string
	SHA    string
	// Repository is owner/name; empty when a fork was deleted.
	Repository string
}

// PullRequest is one pull request.
type PullRequest struct {
	Number int
	URL    string
	State  PullRequestState
	Title  string
	Body   string
	Head   PullRequestSide
	Base   PullRequestSide
	// MergeCommit is the commit that the merge made, set only when State is Merged. (GitHub also names a test merge in
	// that field before; that one is left out.)
	MergeCommit string
	// MergedBy is the login of who merged it. Lists do not have it.
	MergedBy string
	// MergedAt and ClosedAt are zero while they have not happened.
	MergedAt, ClosedAt time.Time
	CreatedAt          time.Time
	UpdatedAt          time.Time
	// Author is the login of who opened it.
	Author string
	// Labels are the labels' names.
	Labels []string
	// Reviewers are the logins, and TeamReviewers the team slugs, that are asked for a review and have not given one.
	Reviewers, TeamReviewers []string
}

// CheckSource says where a check comes from.
type CheckSource string

// The sources of checks: GitHub has two APIs for the same purpose, and both count.
const (
	CheckRun     CheckSource = "CheckRun"
	CommitStatus CheckSource = "Status"
)

// CheckState is the outcome of a check.
type CheckState string

// The states of checks. A conclusion that GitHub adds one day is a Failure: what is not known does not pass.
const (
	// CheckPending is queued, waiting or running.
	CheckPending CheckState = "Pending"
	CheckSuccess CheckState = "Success"
	// CheckFailure covers failure, error, timed_out, action_required, startup_failure and stale; Conclusion tells which.
	CheckFailure   CheckState = "Failure"
	CheckNeutral   CheckState = "Neutral"
	CheckSkipped   CheckState = "Skipped"
	CheckCancelled CheckState = "Cancelled"
)

// Check is the newest check run or commit status of one name on one commit.
type Check struct {
	// Name is the check run's name or the commit status's context.
	Name   string
	Source CheckSource
	State  CheckState
	// Conclusion is GitHub's own word, for messages.
	Conclusion string
	URL        string
	// StartedAt and CompletedAt are zero where GitHub has none.
	StartedAt, CompletedAt time.Time
}

// Budget is what GitHub last said about the primary rate limit of a credential.
type Budget struct {
	// Known is false until the first answer, and for servers without limits.
	Known     bool
	Limit     int
	Remaining int
	Reset     time.Time
}
