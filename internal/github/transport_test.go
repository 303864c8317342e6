package github

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// cutConnection announces more than it sends.
func cutConnection(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Length", "1000")
	_, _ = fmt.Fprint(w, `{"full_name":`)
}

// dropConnection closes without an answer.
func dropConnection(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func html(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(code)
		_, _ = fmt.Fprint(w, "<html><body>Welcome</body></html>")
	}
}

func TestFaultsAreUnreachable(t *testing.T) {
	for _, tc := range []struct {
		name    string
		handler http.HandlerFunc
		words   string
	}{
		{"500", status(500, "Server Error"), "500"},
		{"502 with a page", html(502), "502"},
		{"503 with Retry-After", status(503, "busy", "Retry-After", "5"), "503"},
		{"a page for an answer", html(200), "apiURL"},
		{"a page for 404", html(404), "apiURL"},
		{"a page for 403", html(403), "text/html"},
		{"half a JSON", body(`{"full_name":"acme/pod`), "JSON"},
		{"JSON of another shape", body(`["x"]`), "JSON"},
		{"cut", cutConnection, "cut"},
		{"dropped", dropConnection, "closed"},
		{"too long", body(strings.Repeat(" ", 3000)), "longer"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := serve(t, tc.handler)
			_, err := server.client(t, Options{MaxBody: 2000}).Info(testContext(t))
			var unreachable *UnreachableError
			if !errors.As(err, &unreachable) || !strings.Contains(err.Error(), tc.words) {
				t.Fatalf("got %v, want an UnreachableError that says %q", err, tc.words)
			}
			if strings.Contains(err.Error(), "ghp_secret") || strings.ContainsAny(err.Error(), "?\n") {
				t.Errorf("%q is not fit for a condition", err)
			}
		})
	}
}

func TestNoServerIsUnreachable(t *testing.T) {
	server := serve(t, nil)
	client := server.client(t, Options{})
	server.Close()
	_, err := client.Info(testContext(t))
	_, again := client.Info(testContext(t))
	if !isType[*UnreachableError](err) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("got %v", err)
	}
	if err.Error() != again.Error() {
		t.Errorf("the message changes with nothing: %q, then %q", err, again)
	}
}

func TestASlowAnswerIsUnreachable(t *testing.T) {
	release := make(chan struct{})
	server := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	_, err := server.client(t, Options{Timeout: 50 * time.Millisecond}).Info(testContext(t))
	if !isType[*UnreachableError](err) || !strings.Contains(err.Error(), "in time") {
		t.Errorf("got %v", err)
	}
}

func TestACancelledContextIsNotGitHubsFault(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	server := serve(t, func(http.ResponseWriter, *http.Request) { cancel() })
	_, err := server.client(t, Options{}).Info(ctx)
	if !errors.Is(err, context.Canceled) || isType[*UnreachableError](err) {
		t.Errorf("got %v", err)
	}
}

func TestStatusesAreTyped(t *testing.T) {
	for _, tc := range []struct {
		name    string
		handler http.HandlerFunc
		want    any
		words   string
	}{
		{"404", status(404, "Not Found"), new(*NotFoundError), "acme/podinfo"},
		{"410", status(410, "Gone"), new(*NotFoundError), "acme/podinfo"},
		{"401", status(401, "Bad credentials"), new(*UnauthorizedError), "Bad credentials"},
		{"403 with what is missing", status(403, "Resource not accessible by integration", "X-Accepted-GitHub-Permissions", "contents=write"),
			new(*PermissionDeniedError), "contents=write"},
		{"403 without", status(403, "Must have admin rights"), new(*PermissionDeniedError), "admin rights"},
		{"403 of an archived one", status(403, "Repository was archived so is read-only."), new(*ArchivedError), "unarchive"},
		{"409", status(409, "Conflict"), new(*RefusedError), "409"},
		{"422", status(422, "Validation Failed"), new(*RefusedError), "Validation Failed"},
		{"451", status(451, "Repository access blocked"), new(*PermissionDeniedError), "blocked"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := serve(t, tc.handler).client(t, Options{}).Info(testContext(t))
			if !errors.As(err, tc.want) || !strings.Contains(err.Error(), tc.words) {
				t.Errorf("got %T %v, want a %T that says %q", err, err, tc.want, tc.words)
			}
			if _, ok := RetryAt(err); ok {
				t.Errorf("%v has an instant to try again", err)
			}
		})
	}
}

func TestALimitIsKeptTo(t *testing.T) {
	for _, tc := range []struct {
		name    string
		handler func(now time.Time) http.HandlerFunc
		kind    LimitKind
		wait    time.Duration
	}{
		{"primary", func(now time.Time) http.HandlerFunc {
			return status(403, "API rate limit exceeded", "X-Ratelimit-Limit", "5000", "X-Ratelimit-Remaining", "0", "X-Ratelimit-Reset", unix(now.Add(17*time.Minute)))
		}, PrimaryLimit, 17 * time.Minute},
		{"secondary", func(time.Time) http.HandlerFunc {
			return status(429, "You have exceeded a secondary rate limit", "Retry-After", "42")
		}, SecondaryLimit, 42 * time.Second},
		{"secondary without headers", func(time.Time) http.HandlerFunc {
			return status(403, "You have exceeded a secondary rate limit")
		}, SecondaryLimit, time.Minute},
		{"a page about it", func(time.Time) http.HandlerFunc { return html(429) }, SecondaryLimit, time.Minute},
	} {
		t.Run(tc.name, func(t *testing.T) {
			clock := newStepClock()
			server := serve(t, tc.handler(clock.now()))
			clients := NewClients(Options{Now: clock.now})
			client := clientFor(t, clients, server.repository(), mustCredential(t, tokenData("ghp_secret")))

			_, err := client.Info(testContext(t))
			var limited *RateLimitedError
			if !errors.As(err, &limited) || limited.Kind != tc.kind || !limited.RetryAt.Equal(clock.now().Add(tc.wait)) {
				t.Fatalf("got %v, want the %s limit for %v", err, tc.kind, tc.wait)
			}
			server.become(body(repositoryJSON))
			for range 3 {
				if _, err = client.Branch(testContext(t), "main"); !errors.As(err, &limited) {
					t.Errorf("got %v while the limit is in force", err)
				}
			}
			if got := server.count(""); got != 1 {
				t.Errorf("GitHub was asked %d times", got)
			}
			other := clientFor(t, clients, server.repository(), mustCredential(t, tokenData("ghp_other")))
			if _, err = other.Info(testContext(t)); err != nil {
				t.Errorf("another credential: %v", err)
			}
			clock.advance(tc.wait)
			if _, err = client.Info(testContext(t)); err != nil {
				t.Errorf("after the limit: %v", err)
			}
		})
	}
}

func TestUnchangedAnswersAreNotSentAgain(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == `"v1"` {
			w.Header().Set("X-Ratelimit-Limit", "5000")
			w.Header().Set("X-Ratelimit-Remaining", "4999")
			w.Header().Set("X-Ratelimit-Reset", "1893456000")
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Etag", `"v1"`)
		w.Header().Set("Cache-Control", "private, max-age=60")
		_, _ = fmt.Fprint(w, repositoryJSON)
	})
	var codes []int
	clients := NewClients(Options{OnCall: func(route string, code int) {
		if route != "GET /repos/{owner}/{repo}" {
			t.Errorf("route %q", route)
		}
		codes = append(codes, code)
	}})
	client := clientFor(t, clients, server.repository(), mustCredential(t, tokenData("ghp_secret")))
	for range 3 {
		info, err := client.Info(testContext(t))
		if err != nil || info.DefaultBranch != "main" {
			t.Fatalf("got %+v, %v", info, err)
		}
	}
	if got := fmt.Sprint(codes); got != "[200 304 304]" {
		t.Errorf("statuses %s: every call has to ask, and only the first to be answered in full", got)
	}
	if got := client.shared.limits.current(); got.Remaining != 4999 {
		t.Errorf("budget %+v is not the 304's", got)
	}
	// ETags belong to the token: another one begins anew.
	other := clientFor(t, clients, server.repository(), mustCredential(t, tokenData("ghp_other")))
	if _, err := other.Info(testContext(t)); err != nil || server.last().Header.Get("If-None-Match") != "" {
		t.Errorf("another token sent the ETag %q (%v)", server.last().Header.Get("If-None-Match"), err)
	}
}

func TestWhatNeverChangesIsNotKeptTwice(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Etag", `"v1"`)
		w.Header().Set("X-Served-By", "a header that nobody reads")
		_, _ = fmt.Fprintf(w, `{"sha":%q,"tree":{"sha":%q}}`, shaA, shaB)
	})
	clients := NewClients(Options{})
	client := clientFor(t, clients, server.repository(), mustCredential(t, tokenData("ghp_secret")))
	if _, err := client.Commit(testContext(t), shaA); err != nil {
		t.Fatal(err)
	}
	if clients.etags.lru.Len() != 0 {
		t.Errorf("a commit is kept with its ETag: %v", clients.etags.lru.Keys())
	}
	if _, err := client.Info(testContext(t)); err != nil {
		t.Logf("the answer is no repository: %v", err)
	}
	if kept := clients.etags.lru.Len(); kept != 1 {
		t.Fatalf("%d answers are kept, want the repository's", kept)
	}
	for _, entry := range clients.etags.lru.Values() {
		if entry.header.Get("X-Served-By") != "" || cap(entry.body) > 2*len(entry.body) {
			t.Errorf("more is kept than is read: %v, %d bytes for %d", entry.header, cap(entry.body), len(entry.body))
		}
	}
}

func TestAChangedAnswerReplacesTheKeptOne(t *testing.T) {
	branch, version := "main", `"v1"`
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("If-None-Match") == version {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		w.Header().Set("Etag", version)
		writeJSON(w, map[string]string{"full_name": "acme/podinfo", "default_branch": branch})
	})
	client := server.client(t, Options{})
	for _, step := range []struct{ branch, version string }{{"main", `"v1"`}, {"trunk", `"v2"`}, {"trunk", `"v2"`}} {
		branch, version = step.branch, step.version
		if info, err := client.Info(testContext(t)); err != nil || info.DefaultBranch != step.branch {
			t.Errorf("got %q, %v; want %q", info.DefaultBranch, err, step.branch)
		}
	}
}

func TestRenamedRepositoriesAreFollowedAndReported(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/repos/acme/podinfo") {
			w.Header().Set("Location", "/api/v3/repositories/7")
			w.WriteHeader(http.StatusMovedPermanently)
			return
		}
		if r.Header.Get("Authorization") != "Bearer ghp_secret" {
			t.Errorf("the redirected request has the authorization %q", r.Header.Get("Authorization"))
		}
		_, _ = fmt.Fprint(w, `{"full_name":"acme/renamed"}`)
	})
	info, err := server.client(t, Options{}).Info(testContext(t))
	if err != nil || !info.Moved || info.FullName != "acme/renamed" {
		t.Errorf("got %+v, %v", info, err)
	}
}

func TestTokensDoNotLeaveTheHost(t *testing.T) {
	asked := false
	stranger := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { asked = true }))
	defer stranger.Close()
	server := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", stranger.URL+"/api/v3/repositories/7")
		w.WriteHeader(http.StatusMovedPermanently)
	})
	_, err := server.client(t, Options{}).Info(testContext(t))
	if !isType[*UnreachableError](err) || !strings.Contains(err.Error(), "another host") || asked {
		t.Errorf("got %v; the other host was asked: %t", err, asked)
	}
}

func TestATokenIsSentToItsHostOnly(t *testing.T) {
	server := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("a stranger was asked") })
	client := serve(t, body(repositoryJSON)).client(t, Options{})
	request, err := http.NewRequestWithContext(testContext(t), http.MethodGet, server.URL, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.shared.sdk.Client().Do(request)
	if err == nil {
		_ = resp.Body.Close()
		t.Error("a request to another host was sent")
	}
}

func TestRedirectsEnd(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", r.URL.Path)
		w.WriteHeader(http.StatusMovedPermanently)
	})
	if _, err := server.client(t, Options{}).Info(testContext(t)); !isType[*UnreachableError](err) || server.count("") != maxRedirects {
		t.Errorf("got %v after %d requests", err, server.count(""))
	}
}

func TestKeptAnswersAreBounded(t *testing.T) {
	cache := newETagCache()
	header := headers("Etag", `"x"`)
	text := func(length int) []byte { return []byte(`"` + strings.Repeat("x", length-2) + `"`) }
	cache.put("long", header, text(maxETagBody+1))
	if _, ok := cache.get("long"); ok {
		t.Error("an answer that is too long was kept")
	}
	for i := range 2 * maxETagBytes / maxETagBody {
		cache.put(fmt.Sprint(i%100), header, text(maxETagBody))
	}
	held := 0
	for _, entry := range cache.lru.Values() {
		held += len(entry.body)
	}
	if held != maxETagBytes || cache.bytes != held {
		t.Errorf("%d bytes are held and %d counted, want %d", held, cache.bytes, maxETagBytes)
	}
	cache.put("99", http.Header{}, text(10))
	if _, ok := cache.get("99"); ok {
		t.Error("the answer before one without an ETag was kept")
	}
}

func TestARedirectDoesNotTurnAWriteIntoARead(t *testing.T) {
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/status"):
			_, _ = fmt.Fprint(w, `{"statuses":[]}`)
		case r.Method == http.MethodGet:
			t.Errorf("GET %s", r.URL.Path)
		default:
			w.Header().Set("Location", "/api/v3/repositories/7/statuses/x")
			w.WriteHeader(http.StatusMovedPermanently)
		}
	})
	written, err := server.client(t, Options{}).EnsureStatus(testContext(t), shaA, Status{Context: "x", State: StatusSuccess})
	if err == nil || written {
		t.Errorf("written %t, %v", written, err)
	}
}

func TestTheSecretsAuthorityIsTrusted(t *testing.T) {
	server := httptest.NewTLSServer(body(repositoryJSON))
	defer server.Close()
	repo, err := ParseURL(server.URL+"/acme/podinfo", "", "")
	if err != nil {
		t.Fatal(err)
	}
	data := tokenData("ghp_secret")
	without := clientFor(t, NewClients(Options{}), repo, mustCredential(t, data))
	if _, err = without.Info(testContext(t)); !isType[*UnreachableError](err) || !strings.Contains(err.Error(), keyCACert) {
		t.Errorf("without ca.crt: got %v", err)
	}
	data[keyCACert] = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	with := clientFor(t, NewClients(Options{}), repo, mustCredential(t, data))
	if _, err = with.Info(testContext(t)); err != nil {
		t.Errorf("with ca.crt: %v", err)
	}
}

func TestRoutesAreBounded(t *testing.T) {
	for path, want := range map[string]string{
		"/api/v3/repos/acme/podinfo":                               "GET /repos/{owner}/{repo}",
		"/api/v3/repos/acme/podinfo/git/ref/heads/feature/x":       "GET /repos/{owner}/{repo}/git/ref/{ref}",
		"/api/v3/repos/acme/podinfo/commits/" + shaA + "/pulls":    "GET /repos/{owner}/{repo}/commits/{commit_sha}/pulls",
		"/api/v3/repos/acme/podinfo/compare/a...b":                 "GET /repos/{owner}/{repo}/compare/{basehead}",
		"/api/v3/repos/acme/podinfo/something/else":                "GET other",
		"/api/v3/repositories/7/git/ref/heads/main":                "GET /repositories/{id}/{rest}",
		"/api/v3/app/installations/7/access_tokens":                "GET /app/installations/{installation_id}/access_tokens",
		"/api/v3/repos/acme/podinfo/pulls/7/requested_reviewers":   "GET /repos/{owner}/{repo}/pulls/{pull_number}/requested_reviewers",
		"/api/v3/repos/acme/podinfo/pulls/7/requested_reviewers/x": "GET other",
	} {
		if got := routeOf("GET", path, "/api/v3"); got != want {
			t.Errorf("%s: got %q, want %q", path, got, want)
		}
	}
}

func TestWordsAreFitForACondition(t *testing.T) {
	if got := bounded("a\nb\x00\tc"); got != "a b c" {
		t.Errorf("got %q", got)
	}
	if got := []rune(cut(strings.Repeat("ä", 200), 140)); len(got) != 140 || got[139] != '…' {
		t.Errorf("got %d characters, %q", len(got), string(got))
	}
	if got := cut("short", 140); got != "short" {
		t.Errorf("got %q", got)
	}
}
