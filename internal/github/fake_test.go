package github

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// answers is a server that answers what a test tells it to, for what no well-behaved GitHub does. The emulator plays the
// well-behaved one.
type answers struct {
	*httptest.Server

	mu      sync.Mutex
	seen    []*http.Request
	handler http.HandlerFunc
}

func serve(t *testing.T, handler http.HandlerFunc) *answers {
	t.Helper()
	a := &answers{handler: handler}
	a.Server = httptest.NewServer(http.HandlerFunc(a.answer))
	t.Cleanup(a.Close)
	return a
}

func (a *answers) answer(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	a.seen = append(a.seen, r)
	handler := a.handler
	a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	handler(w, r)
}

// become changes what is answered from now on.
func (a *answers) become(handler http.HandlerFunc) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.handler = handler
}

// count says how many requests had a path that ends so.
func (a *answers) count(suffix string) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	return len(slices.DeleteFunc(slices.Clone(a.seen), func(r *http.Request) bool { return !strings.HasSuffix(r.URL.Path, suffix) }))
}

// last is the last request.
func (a *answers) last() *http.Request {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.seen[len(a.seen)-1]
}

func (a *answers) repository() Repository {
	host := strings.TrimPrefix(a.URL, "http://")
	return Repository{APIURL: a.URL + "/api/v3", Host: host, Owner: "acme", Name: "podinfo"}
}

// client makes a client of the repository with a token.
func (a *answers) client(t *testing.T, options Options) *Client {
	t.Helper()
	return clientFor(t, NewClients(options), a.repository(), mustCredential(t, tokenData("ghp_secret")))
}

func clientFor(t *testing.T, clients *Clients, repo Repository, credential Credential) *Client {
	t.Helper()
	client, err := clients.For(repo, credential)
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// status answers with a status and GitHub's kind of message.
func status(code int, message string, pairs ...string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		for i := 0; i < len(pairs); i += 2 {
			w.Header().Set(pairs[i], pairs[i+1])
		}
		w.WriteHeader(code)
		_, _ = fmt.Fprintf(w, `{"message":%q}`, message)
	}
}

// body answers 200 with a text.
func body(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = fmt.Fprint(w, text) }
}

const repositoryJSON = `{"full_name":"acme/podinfo","default_branch":"main","html_url":"https://example.com/acme/podinfo"}`

func writeJSON(w http.ResponseWriter, value any) { _ = json.NewEncoder(w).Encode(value) }

// testContext ends before a test hangs.
func testContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
