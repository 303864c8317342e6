// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package observe

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/github"
	"github.com/mainstem-dev/mainstem/internal/policy"
)

var (
	now     = time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)
	fetched = now.Add(-20 * time.Second)
)

func TestNextLook(t *testing.T) {
	for name, test := range map[string]struct {
		interval time.Duration
		problem  *policy.Problem
		want     time.Time
	}{
		"an interval after the oldest part, a second for the others, on the beat": {5 * time.Minute, nil, time.Date(2026, 3, 14, 9, 31, 40, 0, time.UTC)},
		"a short interval leaves the others a tenth of it":                        {3 * time.Second, nil, fetched.Add(3300 * time.Millisecond)},
		"when GitHub says":         {5 * time.Minute, &policy.Problem{RetryAt: now.Add(17 * time.Minute)}, now.Add(17 * time.Minute)},
		"soon when it does not":    {5 * time.Minute, &policy.Problem{}, now.Add(30 * time.Second)},
		"at the interval if short": {10 * time.Second, &policy.Problem{}, now.Add(10 * time.Second)},
	} {
		observation := &Observation{FetchedAt: fetched, interval: test.interval, State: policy.State{Now: now, GitHub: policy.GitHub{Problem: test.problem}}}
		if got := observation.NextLook(); !got.Equal(test.want) {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
}

// TestTheNextLookIsOnNobodysClock : a wall clock that is set must not make a look come when the answers are not old yet, again and again.
func TestTheNextLookIsOnNobodysClock(t *testing.T) {
	if next := nextLook(time.Now(), time.Minute).String(); !strings.Contains(next, " m=") {
		t.Errorf("%s has only a wall clock's time", next)
	}
}

func TestWhatAnErrorOfGitHubMeans(t *testing.T) {
	const doing = "reading acme/podinfo"
	limitedUntil := now.Add(time.Hour)
	for reason, err := range map[string]error{
		v1alpha1.RepositoryNotFoundReason: &github.NotFoundError{Doing: doing},
		v1alpha1.UnauthorizedReason:       &github.UnauthorizedError{Doing: doing, Message: "Bad credentials"},
		v1alpha1.PermissionDeniedReason:   &github.PermissionDeniedError{Doing: doing, Permissions: "contents=read"},
		v1alpha1.RepositoryArchivedReason: &github.ArchivedError{Doing: doing},
		v1alpha1.RateLimitedReason:        &github.RateLimitedError{Doing: doing, Kind: github.PrimaryLimit, RetryAt: limitedUntil},
		v1alpha1.UnreachableReason:        &github.UnreachableError{Doing: doing, Err: errors.New("connection refused")},
	} {
		problem := problemOf(fmt.Errorf("on the way: %w", err))
		if problem.Reason != reason || !strings.Contains(problem.Message, doing) {
			t.Errorf("%T: %s: %s, want reason %s", err, problem.Reason, problem.Message, reason)
		}
		var want time.Time
		if reason == v1alpha1.RateLimitedReason {
			want = limitedUntil
		}
		if !problem.RetryAt.Equal(want) {
			t.Errorf("%T: to be tried again at %s, want %s", err, problem.RetryAt, want)
		}
	}
	if reason := ReasonOf(errors.New("what nobody has thought of")); reason != v1alpha1.UnreachableReason {
		t.Errorf("anything else is %s, and must not count as an answer", reason)
	}
}
