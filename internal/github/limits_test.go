package github

import (
	"errors"
	"net/http"
	"strconv"
	"testing"
	"time"
)

// stepClock is a clock that moves when it is told to.
type stepClock struct{ at time.Time }

func newStepClock() *stepClock { return &stepClock{at: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)} }

func (c *stepClock) now() time.Time          { return c.at }
func (c *stepClock) advance(d time.Duration) { c.at = c.at.Add(d) }

func headers(pairs ...string) http.Header {
	header := http.Header{}
	for i := 0; i < len(pairs); i += 2 {
		header.Set(pairs[i], pairs[i+1])
	}
	return header
}

func unix(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }

func TestReadLimit(t *testing.T) {
	now := newStepClock().now()
	for _, tc := range []struct {
		name   string
		status int
		header http.Header
		body   string
		want   limit
		none   bool
	}{
		{name: "Retry-After", status: 403, header: headers("Retry-After", "30"), want: limit{SecondaryLimit, now.Add(30 * time.Second)}},
		{name: "Retry-After of 0 still waits", status: 429, header: headers("Retry-After", "0"), want: limit{SecondaryLimit, now.Add(time.Second)}},
		{name: "Retry-After as a date", status: 429, header: headers("Retry-After", now.Add(time.Minute).Format(http.TimeFormat)), want: limit{SecondaryLimit, now.Add(time.Minute)}},
		{name: "Retry-After wins over the reset", status: 403,
			header: headers("Retry-After", "30", "X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", unix(now.Add(time.Hour))), want: limit{SecondaryLimit, now.Add(30 * time.Second)}},
		{name: "primary, 403", status: 403, header: headers("X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", unix(now.Add(20*time.Minute))), want: limit{PrimaryLimit, now.Add(20 * time.Minute)}},
		{name: "primary, 429", status: 429, header: headers("X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", unix(now.Add(20*time.Minute))), want: limit{PrimaryLimit, now.Add(20 * time.Minute)}},
		{name: "primary with a reset that is over", status: 403, header: headers("X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", unix(now.Add(-time.Minute))), want: limit{kind: PrimaryLimit}},
		{name: "a wait beyond GitHub's windows is bounded", status: 403, header: headers("Retry-After", "864000"), want: limit{SecondaryLimit, now.Add(maxWait)}},
		{name: "secondary in words only", status: 403, body: `{"message":"You have exceeded a secondary rate limit."}`, want: limit{kind: SecondaryLimit}},
		{name: "the old words", status: 403, body: `{"message":"You have triggered an abuse detection mechanism."}`, want: limit{kind: SecondaryLimit}},
		{name: "429 without anything", status: 429, want: limit{kind: SecondaryLimit}},
		{name: "a missing permission", status: 403, header: headers("X-Ratelimit-Remaining", "4999"), body: `{"message":"Resource not accessible by integration"}`, none: true},
		{name: "another status", status: 500, header: headers("Retry-After", "30"), none: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if tc.header == nil {
				tc.header = http.Header{}
			}
			got, limited := readLimit(tc.status, tc.header, []byte(tc.body), now)
			if limited == tc.none || got.kind != tc.want.kind || !got.retryAt.Equal(tc.want.retryAt) {
				t.Errorf("got %+v, %t; want %+v, %t", got, limited, tc.want, !tc.none)
			}
		})
	}
}

func TestGuessedWaitsDoubleUntilSuccess(t *testing.T) {
	clock := newStepClock()
	l := &limiter{now: clock.now}
	hit := func() time.Duration {
		t.Helper()
		var limited *RateLimitedError
		if !errors.As(l.observe(http.StatusTooManyRequests, http.Header{}, nil), &limited) {
			t.Fatal("no limit was seen")
		}
		return limited.RetryAt.Sub(clock.now())
	}
	for _, want := range []time.Duration{1, 2, 4, 8, 16, 16} {
		if got := hit(); got != want*time.Minute {
			t.Errorf("waits %v, want %v", got, want*time.Minute)
		}
		if got := hit(); got != want*time.Minute {
			t.Errorf("a call that was under way makes it %v", got)
		}
		clock.advance(want * time.Minute)
	}
	if err := l.observe(http.StatusOK, http.Header{}, nil); err != nil {
		t.Fatal(err)
	}
	if got := hit(); got != time.Minute {
		t.Errorf("waits %v after a success", got)
	}
}

func TestALimitIsNeverShortened(t *testing.T) {
	clock := newStepClock()
	l := &limiter{now: clock.now}
	_ = l.observe(http.StatusForbidden, headers("Retry-After", "600"), nil)
	err := l.observe(http.StatusTooManyRequests, headers("Retry-After", "5"), nil)
	if at, ok := RetryAt(err); !ok || !at.Equal(clock.now().Add(10*time.Minute)) {
		t.Errorf("next try at %v, %t: a call that was under way took the longer limit away", at, ok)
	}
}

func TestASpentBudgetStopsTheNextCall(t *testing.T) {
	clock := newStepClock()
	l := &limiter{now: clock.now}
	reset := clock.now().Add(10 * time.Minute)
	header := headers("X-Ratelimit-Limit", "5000", "X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", unix(reset), "X-Ratelimit-Resource", "core")
	if err := l.observe(http.StatusOK, header, nil); err != nil {
		t.Fatalf("the call that spent it failed: %v", err)
	}
	if at, ok := RetryAt(l.inForce()); !ok || !at.Equal(reset) {
		t.Errorf("next try at %v, %t; want %v", at, ok, reset)
	}
	clock.advance(10 * time.Minute)
	if err := l.inForce(); err != nil {
		t.Errorf("still in force at the reset: %v", err)
	}
}

func TestBudgetIsOfTheCoreResource(t *testing.T) {
	clock := newStepClock()
	l := &limiter{now: clock.now}
	figures := func(resource, remaining string) http.Header {
		return headers("X-Ratelimit-Limit", "5000", "X-Ratelimit-Remaining", remaining, "X-Ratelimit-Reset", unix(clock.now().Add(time.Hour)), "X-Ratelimit-Resource", resource)
	}
	if l.current().Known {
		t.Error("a budget is known before any answer")
	}
	_ = l.observe(http.StatusOK, figures("core", "4321"), nil)
	_ = l.observe(http.StatusOK, figures("search", "3"), nil)
	if got := l.current(); !got.Known || got.Remaining != 4321 || got.Limit != 5000 {
		t.Errorf("got %+v", got)
	}
}
