package github

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// appServer mints tokens that live an hour and lets only the newest in.
type appServer struct {
	*answers
	clock   *stepClock
	mu      sync.Mutex
	minted  int
	revoked map[string]bool
}

func serveApp(t *testing.T, clock *stepClock) *appServer {
	t.Helper()
	s := &appServer{clock: clock, revoked: map[string]bool{}}
	s.answers = serve(t, func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		defer s.mu.Unlock()
		bearer := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		switch {
		case strings.HasSuffix(r.URL.Path, "/orgs/acme/installation"):
			status(404, "Not Found")(w, r)
		case strings.HasSuffix(r.URL.Path, "/users/acme/installation"):
			_, _ = fmt.Fprint(w, `{"id":34}`)
		case strings.HasSuffix(r.URL.Path, "/app/installations/34/access_tokens"):
			if strings.Count(bearer, ".") != 2 {
				t.Errorf("%q is no JWT", bearer)
			}
			s.minted++
			w.WriteHeader(http.StatusCreated)
			writeJSON(w, map[string]any{"token": fmt.Sprintf("ghs_%d", s.minted), "expires_at": clock.now().Add(time.Hour)})
		case s.revoked[bearer] || !strings.HasPrefix(bearer, "ghs_"):
			status(401, "Bad credentials")(w, r)
		default:
			_, _ = fmt.Fprint(w, repositoryJSON)
		}
	})
	return s
}

func TestAppTokensAreKeptFor80PercentOfTheirLife(t *testing.T) {
	clock := newStepClock()
	server := serveApp(t, clock)
	client := clientFor(t, NewClients(Options{Now: clock.now}), server.repository(), mustCredential(t, appData()))
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {47 * time.Minute, 1}, {time.Minute, 2}, {47 * time.Minute, 2}, {2 * time.Hour, 3}} {
		clock.advance(step.after)
		if _, err := client.Info(testContext(t)); err != nil {
			t.Fatal(err)
		}
		if server.minted != step.want {
			t.Errorf("%v later: %d tokens were minted, want %d", step.after, server.minted, step.want)
		}
	}
}

func TestAppTokensAreMintedOnceForAll(t *testing.T) {
	clock := newStepClock()
	server := serveApp(t, clock)
	clients := NewClients(Options{Now: clock.now})
	credential := mustCredential(t, appData())
	var all sync.WaitGroup
	for i := range 20 {
		repo := server.repository()
		repo.Name = fmt.Sprintf("podinfo-%d", i)
		client := clientFor(t, clients, repo, credential)
		all.Go(func() {
			if _, err := client.Info(testContext(t)); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if server.minted != 1 {
		t.Errorf("%d tokens were minted", server.minted)
	}
}

func TestARevokedAppTokenIsReplaced(t *testing.T) {
	clock := newStepClock()
	server := serveApp(t, clock)
	client := clientFor(t, NewClients(Options{Now: clock.now}), server.repository(), mustCredential(t, appData()))
	if _, err := client.Info(testContext(t)); err != nil {
		t.Fatal(err)
	}
	server.mu.Lock()
	server.revoked["ghs_1"] = true
	server.mu.Unlock()
	if _, err := client.Info(testContext(t)); err != nil || server.minted != 2 {
		t.Errorf("got %v after %d tokens", err, server.minted)
	}
}

func TestTheInstallationIsFoundByItsOwnerOnce(t *testing.T) {
	clock := newStepClock()
	server := serveApp(t, clock)
	data := appData()
	delete(data, keyAppInstallationID)
	data[keyAppInstallationOwner] = []byte("acme")
	client := clientFor(t, NewClients(Options{Now: clock.now}), server.repository(), mustCredential(t, data))
	for range 2 {
		if _, err := client.Info(testContext(t)); err != nil {
			t.Fatal(err)
		}
		clock.advance(time.Hour)
	}
	if got := server.count("/users/acme/installation"); got != 1 {
		t.Errorf("the installation was looked for %d times", got)
	}
}

func TestWhatStopsAnAppIsSaid(t *testing.T) {
	clock := newStepClock()
	for _, tc := range []struct {
		name    string
		handler http.HandlerFunc
		check   func(error) bool
		words   string
	}{
		{"a wrong key", status(401, "A JSON web token could not be decoded"), func(err error) bool { return isType[*UnauthorizedError](err) }, "GitHub App 12"},
		{"no such installation", status(404, "Not Found"), IsNotFound, "installation 34"},
		{"suspended", status(403, "This installation has been suspended"), func(err error) bool { return isType[*PermissionDeniedError](err) }, "suspended"},
		{"limited", status(429, "slow down", "Retry-After", "30"), func(err error) bool { at, ok := RetryAt(err); return ok && at.Equal(clock.now().Add(30*time.Second)) }, "rate limit"},
		{"down", status(503, "down"), func(err error) bool { return isType[*UnreachableError](err) }, "503"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			client := clientFor(t, NewClients(Options{Now: clock.now}), serve(t, tc.handler).repository(), mustCredential(t, appData()))
			_, err := client.Info(testContext(t))
			if !tc.check(err) || !strings.Contains(err.Error(), tc.words) {
				t.Errorf("got %T %v", err, err)
			}
		})
	}
}
