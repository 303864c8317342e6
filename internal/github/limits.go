// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"bytes"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// guessedWait is how long to wait after a limit without any header that says so: "at least one minute"
	// (https://docs.github.com/en/rest/using-the-rest-api/best-practices-for-using-the-rest-api#handle-rate-limit-errors-appropriately),
	// doubled each time that it happens again, up to maxGuessedWait.
	guessedWait    = time.Minute
	maxGuessedWait = 16 * time.Minute
	// maxWait bounds what a header may ask for: GitHub's windows are of one hour, the rest is for skewed clocks.
	maxWait = 65 * time.Minute
)

// coreResource is the only resource of GitHub's primary limit that this package uses.
const coreResource = "core"

// limiter keeps the rate limits of one credential: what is left, and until when nothing may be asked.
type limiter struct {
	now func() time.Time

	mu      sync.Mutex
	budget  Budget
	kind    LimitKind
	until   time.Time
	guesses int
}

// limit is one answer that says "not now".
type limit struct {
	kind LimitKind
	// retryAt is zero when GitHub gave no instant.
	retryAt time.Time
}

// inForce gives the error that answers a call while a limit is in force, or nil.
func (l *limiter) inForce() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.now().Before(l.until) {
		return &RateLimitedError{Kind: l.kind, RetryAt: l.until}
	}
	return nil
}

// observe takes in an answer and gives the error when it is a limit.
func (l *limiter) observe(status int, header http.Header, body []byte) error {
	now := l.now()
	l.mu.Lock()
	defer l.mu.Unlock()
	l.readBudget(header)

	found, limited := readLimit(status, header, body, now)
	if !limited {
		if status < http.StatusBadRequest {
			l.guesses = 0
		}
		// The next call is known to fail: it is not worth making.
		if l.budget.Known && l.budget.Remaining == 0 && l.budget.Reset.After(now) {
			l.kind, l.until = PrimaryLimit, clampWait(l.budget.Reset, now)
		}
		return nil
	}
	if found.retryAt.IsZero() {
		// Calls that were under way when the limit came are one event, not several.
		if !now.Before(l.until) {
			l.guesses++
		}
		found.retryAt = now.Add(min(guessedWait<<max(l.guesses-1, 0), maxGuessedWait))
	}
	if found.retryAt.After(l.until) {
		l.kind, l.until = found.kind, found.retryAt
	}
	return &RateLimitedError{Kind: l.kind, RetryAt: l.until}
}

// readBudget keeps the primary limit's figures, when the answer has them.
func (l *limiter) readBudget(header http.Header) {
	if resource := header.Get("X-Ratelimit-Resource"); resource != "" && resource != coreResource {
		return
	}
	total, err1 := strconv.Atoi(header.Get("X-Ratelimit-Limit"))
	remaining, err2 := strconv.Atoi(header.Get("X-Ratelimit-Remaining"))
	reset, err3 := strconv.ParseInt(header.Get("X-Ratelimit-Reset"), 10, 64)
	if err1 != nil || err2 != nil || err3 != nil {
		return
	}
	l.budget = Budget{Known: true, Limit: total, Remaining: remaining, Reset: time.Unix(reset, 0)}
}

// current gives what is left.
func (l *limiter) current() Budget {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.budget
}

// readLimit tells whether an answer is a rate limit, in the order that GitHub's documentation gives: Retry-After, then a
// budget of 0 with its reset, then no instant at all. A 403 without any sign of a limit is a missing permission.
func readLimit(status int, header http.Header, body []byte, now time.Time) (limit, bool) {
	if status != http.StatusForbidden && status != http.StatusTooManyRequests {
		return limit{}, false
	}
	if at, ok := readRetryAfter(header.Get("Retry-After"), now); ok {
		return limit{kind: SecondaryLimit, retryAt: clampWait(at, now)}, true
	}
	if header.Get("X-Ratelimit-Remaining") == "0" {
		found := limit{kind: PrimaryLimit}
		reset, err := strconv.ParseInt(header.Get("X-Ratelimit-Reset"), 10, 64)
		if err == nil && time.Unix(reset, 0).After(now) {
			found.retryAt = clampWait(time.Unix(reset, 0), now)
		}
		return found, true
	}
	if status == http.StatusTooManyRequests || mentionsLimit(body) {
		return limit{kind: SecondaryLimit}, true
	}
	return limit{}, false
}

// readRetryAfter reads seconds or a date (RFC 9110, section 10.2.3).
func readRetryAfter(value string, now time.Time) (time.Time, bool) {
	if value == "" {
		return time.Time{}, false
	}
	if seconds, err := strconv.ParseInt(value, 10, 32); err == nil && seconds >= 0 {
		return now.Add(time.Duration(max(seconds, 1)) * time.Second), true
	}
	if at, err := http.ParseTime(value); err == nil && at.After(now) {
		return at, true
	}
	return time.Time{}, false
}

// mentionsLimit reads GitHub's words, for limits that come without headers.
func mentionsLimit(body []byte) bool {
	lower := bytes.ToLower(body)
	return bytes.Contains(lower, []byte("rate limit")) || bytes.Contains(lower, []byte("abuse detection"))
}

func clampWait(at, now time.Time) time.Time {
	if latest := now.Add(maxWait); at.After(latest) {
		return latest
	}
	return at
}
