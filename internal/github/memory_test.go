package github

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

func isType[T error](err error) bool {
	var target T
	return errors.As(err, &target)
}

// oneBranch answers for a repository whose branches are all at shaA.
func oneBranch(w http.ResponseWriter, r *http.Request) {
	switch {
	case strings.Contains(r.URL.Path, "/git/ref/heads/"):
		_, _ = fmt.Fprintf(w, `{"ref":"refs/heads/main","object":{"type":"commit","sha":%q}}`, shaA)
	case strings.Contains(r.URL.Path, "/git/commits/"):
		_, _ = fmt.Fprintf(w, `{"sha":%q,"tree":{"sha":%q},"parents":[{"sha":%q}],"message":"Do it\n\nwell"}`, shaA, shaB, shaC)
	case strings.HasSuffix(r.URL.Path, "/releases"):
		_, _ = fmt.Fprint(w, `[]`)
	default:
		_, _ = fmt.Fprint(w, repositoryJSON)
	}
}

func TestOneObservationServesAll(t *testing.T) {
	clock := newStepClock()
	server := serve(t, oneBranch)
	observer := NewObserver(NewClients(Options{Now: clock.now}))
	credential := mustCredential(t, tokenData("ghp_secret"))
	request := Request{Branches: []string{"main", "develop"}, Releases: true, MaxAge: 5 * time.Minute}

	var all sync.WaitGroup
	for range 50 {
		all.Go(func() {
			seen, err := observer.Observe(testContext(t), server.repository(), credential, request)
			if err != nil || seen.Branches["main"].Commit.Tree != shaB || seen.Branches["develop"].Commit.SHA != shaA {
				t.Errorf("got %+v, %v", seen, err)
			}
		})
	}
	all.Wait()
	for suffix, want := range map[string]int{"/repos/acme/podinfo": 1, "/git/ref/heads/main": 1, "/git/ref/heads/develop": 1, "/git/commits/" + shaA: 1, "/releases": 1} {
		if got := server.count(suffix); got != want {
			t.Errorf("%s was asked %d times, want %d", suffix, got, want)
		}
	}
}

func TestPiecesAgeOneByOne(t *testing.T) {
	clock := newStepClock()
	server := serve(t, oneBranch)
	observer := NewObserver(NewClients(Options{Now: clock.now}))
	credential := mustCredential(t, tokenData("ghp_secret"))
	observe := func(request Request) Observation {
		t.Helper()
		seen, err := observer.Observe(testContext(t), server.repository(), credential, request)
		if err != nil {
			t.Fatal(err)
		}
		return seen
	}
	started := clock.now()
	observe(Request{Branches: []string{"main"}, MaxAge: time.Minute})
	clock.advance(30 * time.Second)
	seen := observe(Request{Branches: []string{"main", "develop"}, MaxAge: time.Minute})
	if !seen.FetchedAt.Equal(started) {
		t.Errorf("fetched at %v, want the oldest piece's %v", seen.FetchedAt, started)
	}
	if main, develop := server.count("heads/main"), server.count("heads/develop"); main != 1 || develop != 1 {
		t.Errorf("asked %d and %d times", main, develop)
	}
	clock.advance(30 * time.Second)
	observe(Request{Branches: []string{"main", "develop"}, MaxAge: time.Minute})
	if main, develop := server.count("heads/main"), server.count("heads/develop"); main != 2 || develop != 1 {
		t.Errorf("a minute on: asked %d and %d times", main, develop)
	}
	// Another application is content with less.
	clock.advance(time.Hour)
	observe(Request{Branches: []string{"main"}, MaxAge: 2 * time.Hour})
	if main := server.count("heads/main"); main != 2 {
		t.Errorf("asked %d times for who is content with two hours", main)
	}
	observe(Request{Branches: []string{"main"}})
	if main := server.count("heads/main"); main != 3 {
		t.Errorf("asked %d times for who wants it now", main)
	}
}

func TestInvalidateMakesEveryPieceOld(t *testing.T) {
	clock := newStepClock()
	server := serve(t, oneBranch)
	clients := NewClients(Options{Now: clock.now})
	observer := NewObserver(clients)
	request := Request{Branches: []string{"main"}, MaxAge: time.Hour}
	other := server.repository()
	other.Name = "other"
	look := func() {
		t.Helper()
		for _, token := range []string{"ghp_a", "ghp_b"} {
			for _, repo := range []Repository{server.repository(), other} {
				if _, err := observer.Observe(testContext(t), repo, mustCredential(t, tokenData(token)), request); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	look()
	look()
	event, err := ParseEvent("ping", []byte(fmt.Sprintf(`{"repository":{"full_name":"ACME/podinfo","html_url":"%s/ACME/podinfo"}}`, server.URL)))
	if err != nil {
		t.Fatal(err)
	}
	clients.InvalidateKey(event.Key())
	look()
	if got := server.count("/acme/podinfo/git/ref/heads/main"); got != 4 {
		t.Errorf("asked %d times, want twice for each credential", got)
	}
	if got := server.count("/acme/other/git/ref/heads/main"); got != 2 {
		t.Errorf("another repository was asked %d times", got)
	}
}

func TestAnAnswerOnItsWayIsOldAfterInvalidate(t *testing.T) {
	clock := newStepClock()
	m := newMemory(clock.now)
	q := question{repository: "r", key: "k", maxAge: time.Hour}
	started, finish := make(chan struct{}), make(chan struct{})
	first := make(chan string, 1)
	go func() {
		value, _, _ := recall(testContext(t), m, q, func(context.Context) (string, error) {
			close(started)
			<-finish
			return "before", nil
		})
		first <- value
	}()
	<-started
	m.invalidate("r")
	ask := func() (string, error) {
		value, _, err := recall(testContext(t), m, q, func(context.Context) (string, error) { return "after", nil })
		return value, err
	}
	if got, err := ask(); err != nil || got != "after" {
		t.Errorf("got %q, %v: the answer from before the invalidation", got, err)
	}
	close(finish)
	if got := <-first; got != "before" {
		t.Errorf("who asked before got %q", got)
	}
	if got, err := ask(); err != nil || got != "after" {
		t.Errorf("got %q, %v: the late answer was remembered as fresh", got, err)
	}
}

func TestOneCallersEndIsNotEverybodys(t *testing.T) {
	m := newMemory(newStepClock().now)
	q := question{repository: "r", key: "k", maxAge: time.Hour}
	started, finish := make(chan struct{}), make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	impatient := make(chan error, 1)
	go func() {
		_, _, err := recall(ctx, m, q, func(ctx context.Context) (string, error) {
			close(started)
			<-finish
			return "answer", ctx.Err()
		})
		impatient <- err
	}()
	<-started
	cancel()
	if err := <-impatient; !errors.Is(err, context.Canceled) {
		t.Errorf("the impatient one got %v", err)
	}
	close(finish)
	got, _, err := recall(testContext(t), m, q, func(context.Context) (string, error) { return "answer", nil })
	if err != nil || got != "answer" {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestErrorsAreNotRemembered(t *testing.T) {
	server := serve(t, status(500, "oops"))
	observer := NewObserver(NewClients(Options{}))
	credential := mustCredential(t, tokenData("ghp_secret"))
	request := Request{Branches: []string{"main"}, MaxAge: time.Hour}
	if _, err := observer.Observe(testContext(t), server.repository(), credential, request); !isType[*UnreachableError](err) {
		t.Errorf("got %v", err)
	}
	server.become(oneBranch)
	if _, err := observer.Observe(testContext(t), server.repository(), credential, request); err != nil {
		t.Errorf("got %v once GitHub is back", err)
	}
}

func TestABranchThatIsNotThereIsAnAnswer(t *testing.T) {
	for name, handler := range map[string]http.HandlerFunc{"missing": status(404, "Not Found"), "empty repository": status(409, "Git Repository is empty.")} {
		head, err := serve(t, handler).client(t, Options{}).Branch(testContext(t), "main")
		if err != nil || head.Found {
			t.Errorf("%s: got %+v, %v", name, head, err)
		}
	}
}

func TestTheSameCommitOfAnotherCredentialIsAskedForAnew(t *testing.T) {
	server := serve(t, oneBranch)
	clients := NewClients(Options{})
	for _, token := range []string{"ghp_a", "ghp_b", "ghp_a"} {
		commit, err := clientFor(t, clients, server.repository(), mustCredential(t, tokenData(token))).Commit(testContext(t), shaA)
		if err != nil || commit.Message != "Do it" || commit.Parents[0] != shaC {
			t.Fatalf("got %+v, %v", commit, err)
		}
	}
	if got := server.count("/git/commits/" + shaA); got != 2 {
		t.Errorf("asked %d times, want once for each credential", got)
	}
}
