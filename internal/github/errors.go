// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"errors"
	"fmt"
	"time"
)

// NotFoundError means that GitHub answered 404 or 410. GitHub says the same when a credential may not see a private
// repository.
type NotFoundError struct {
	// Doing is what was asked, such as "reading the repository acme/podinfo".
	Doing string
}

func (e *NotFoundError) Error() string {
	return e.Doing + ": GitHub has no such thing, or the credential may not see it: check the name, and that the App is " +
		"installed on the repository or the token may read it"
}

// UnauthorizedError means that GitHub does not know the credential (401).
type UnauthorizedError struct {
	Doing string
	// Message is GitHub's own.
	Message string
}

func (e *UnauthorizedError) Error() string {
	return fmt.Sprintf("%s: GitHub does not accept the credential (%s): renew it in the Secret", e.Doing, orNone(e.Message))
}

// PermissionDeniedError means that GitHub knows the credential and does not let it do this (403).
type PermissionDeniedError struct {
	Doing string
	// Permissions is what would have been enough, in GitHub's words ("contents=write; pull_requests=write"), when
	// GitHub says so (header X-Accepted-GitHub-Permissions).
	Permissions string
	// Message is GitHub's own.
	Message string
}

func (e *PermissionDeniedError) Error() string {
	if e.Permissions != "" {
		return fmt.Sprintf("%s: GitHub does not allow it (%s): give the App or token the permission %s", e.Doing, orNone(e.Message), e.Permissions)
	}
	return fmt.Sprintf("%s: GitHub does not allow it (%s): check the permissions of the App or token", e.Doing, orNone(e.Message))
}

// LimitKind tells GitHub's two rate limits apart
// (https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api).
type LimitKind string

// The kinds of rate limits.
const (
	// PrimaryLimit is the number of requests in an hour.
	PrimaryLimit LimitKind = "primary"
	// SecondaryLimit is about bursts: concurrency, points a minute, contents created.
	SecondaryLimit LimitKind = "secondary"
)

// RateLimitedError means that GitHub wants no request from this credential before RetryAt. While that is in force,
// calls fail with it at once, without asking GitHub.
type RateLimitedError struct {
	Doing string
	Kind  LimitKind
	// RetryAt is when to try again: exact where GitHub said so, a back-off of a minute or more where it did not.
	RetryAt time.Time
}

func (e *RateLimitedError) Error() string {
	return fmt.Sprintf("%s: GitHub's %s rate limit is reached: next try at %s", e.Doing, e.Kind, e.RetryAt.UTC().Format(time.RFC3339))
}

// UnreachableError means that no usable answer came: the network failed, the server failed (5xx), or the answer was
// cut, too long, or not what the API answers (a proxy's page, half a JSON).
type UnreachableError struct {
	Doing string
	// Reason is what went wrong, without query strings.
	Reason string
	// Err is the cause, when there is one.
	Err error
}

func (e *UnreachableError) Error() string {
	return fmt.Sprintf("%s: GitHub cannot be reached: %s", e.Doing, e.Reason)
}

// Unwrap gives the cause.
func (e *UnreachableError) Unwrap() error { return e.Err }

// ArchivedError means that the repository is archived: everything can be read, nothing written.
type ArchivedError struct {
	Doing string
}

func (e *ArchivedError) Error() string {
	return e.Doing + ": the repository is archived and so read-only: unarchive it on GitHub, or suspend the application"
}

// RefusedError means that GitHub understood and said no: 409, 422 and whatever 4xx has no error of its own.
type RefusedError struct {
	Doing string
	// Status is the HTTP status.
	Status int
	// Message is GitHub's own, with the details it gave.
	Message string
}

func (e *RefusedError) Error() string {
	return fmt.Sprintf("%s: GitHub refused (%d): %s", e.Doing, e.Status, orNone(e.Message))
}

// BranchMovedError means that a branch of ours is where we did not put it: a person pushed. Nothing was overwritten.
type BranchMovedError struct {
	Branch string
	// Actual is where the branch is.
	Actual string
}

func (e *BranchMovedError) Error() string {
	return fmt.Sprintf("branch %s is at %s, where Mainstem did not put it: somebody pushed to it; move that work elsewhere and delete the branch", e.Branch, short(e.Actual))
}

// RetryAt says when an error that a rate limit caused is worth another try. Others have no instant: use a back-off.
func RetryAt(err error) (time.Time, bool) {
	var limited *RateLimitedError
	if errors.As(err, &limited) {
		return limited.RetryAt, true
	}
	return time.Time{}, false
}

// IsNotFound says whether the error is, or wraps, a [NotFoundError].
func IsNotFound(err error) bool {
	var notFound *NotFoundError
	return errors.As(err, &notFound)
}

func orNone(message string) string {
	if message == "" {
		return "no reason given"
	}
	return message
}

// short is the abbreviation of a SHA that people read.
func short(sha string) string {
	if len(sha) > 12 {
		return sha[:12]
	}
	return sha
}
