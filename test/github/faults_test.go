package github

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	api "github.com/google/go-github/v92/github"
)

func TestFaultsAnswerAsGitHubFails(t *testing.T) {
	w := newWorld(t, Options{})
	get := func() error {
		_, _, err := w.client.Repositories.Get(t.Context(), owner, name)
		return err
	}
	w.Inject(Fault{Kind: Status5xx, PathPrefix: "/repos/acme", Times: 1})
	refused(t, get(), 502, "")
	w.Inject(Fault{Kind: Status5xx, Status: 503, Method: http.MethodGet, Times: 1})
	refused(t, get(), 503, "")
	w.Inject(Fault{Kind: Unauthorized, Match: func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, name) }, Times: 1})
	refused(t, get(), 401, "Bad credentials")

	w.Inject(Fault{Kind: PrimaryLimit, Delay: 10 * time.Minute, Times: 1})
	var primary *api.RateLimitError
	if err := get(); !errors.As(err, &primary) || time.Until(primary.Rate.Reset.Time) < 9*time.Minute {
		t.Errorf("got %v, want a primary limit of ten minutes", err)
	}
	w.Inject(Fault{Kind: SecondaryLimit, Status: 429, Delay: 30 * time.Second, Times: 1})
	var secondary *api.AbuseRateLimitError
	if err := get(); !errors.As(err, &secondary) || secondary.GetRetryAfter() != 30*time.Second {
		t.Errorf("got %v, want a secondary limit of 30 s", err)
	}
	fresh := w.clientFor(aliceToken) // the other one remembers the secondary limit
	for _, kind := range []FaultKind{MalformedJSON, HTML, CutConnection} {
		w.Inject(Fault{Kind: kind, Times: 1})
		if _, _, err := fresh.Repositories.Get(t.Context(), owner, name); err == nil {
			t.Errorf("%s went unnoticed", kind)
		}
	}
	_, _, err := fresh.Repositories.Get(t.Context(), owner, name)
	noError(t, err)
	equal(t, "struck", w.Struck(Status5xx), 2)
}

func TestSlowAnswerEndsWithTheClient(t *testing.T) {
	w := newWorld(t, Options{})
	w.Inject(Fault{Kind: Slow, Delay: time.Minute, Times: 1})
	root := w.APIURL() + "/"
	hasty, err := api.NewClient(api.WithURLs(&root, nil), api.WithAuthToken(aliceToken), api.WithTimeout(50*time.Millisecond))
	noError(t, err)
	if _, _, err := hasty.Repositories.Get(t.Context(), owner, name); err == nil {
		t.Error("no timeout")
	}
	w.Inject(Fault{Kind: Slow, Delay: time.Millisecond, Times: 1})
	_, _, err = w.client.Repositories.Get(t.Context(), owner, name)
	noError(t, err)
}

func TestSlowAnswerWaitsForWhatItIsToldToWaitFor(t *testing.T) {
	w := newWorld(t, Options{})
	over, arrived, answered := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	w.Inject(Fault{Kind: Slow, Until: over, Times: 1, Match: func(*http.Request) bool {
		close(arrived)
		return true
	}})
	go func() {
		_, _, err := w.client.Repositories.GetBranch(t.Context(), owner, name, "late", 0)
		answered <- err
	}()
	<-arrived
	w.branch("late")
	select {
	case err := <-answered:
		t.Fatalf("it was answered before: %v", err)
	default:
	}
	close(over)
	noError(t, <-answered)
}

func TestCutsHappenBeforeOrAfterTheEffect(t *testing.T) {
	w := newWorld(t, Options{})
	w.branch("develop")
	create := func() error {
		_, _, err := w.client.PullRequests.Create(t.Context(), owner, name, api.CreatePullRequest{Title: new("x"), Head: "develop", Base: "main"})
		return err
	}
	w.Inject(Fault{Kind: BeforeEffectCut, Method: http.MethodPost, PathPrefix: "/repos/acme/podinfo/pulls", Times: 1})
	if err := create(); err == nil || statusOf(err) != 0 {
		t.Errorf("got %v, want a cut connection", err)
	}
	equal(t, "no effect", w.Effects().Count(PullOpened), 0)
	w.Inject(Fault{Kind: AfterEffectCut, Method: http.MethodPost, PathPrefix: "/repos/acme/podinfo/pulls", Times: 1})
	if err := create(); err == nil || statusOf(err) != 0 {
		t.Errorf("got %v, want a cut connection", err)
	}
	equal(t, "effect", w.Effects().Count(PullOpened), 1)
	refused(t, create(), 422, "A pull request already exists")
}

func TestFaultsStrikeGitToo(t *testing.T) {
	w := newWorld(t, Options{})
	w.Inject(Fault{Kind: Status5xx, PathPrefix: "/acme/podinfo", Times: 1})
	if out, err := w.git(t.TempDir(), "clone", w.cloneURL(aliceToken), "x"); err == nil {
		t.Errorf("cloned through a 502: %s", out)
	}
	w.clone()
}
