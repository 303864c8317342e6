package github

import (
	"context"
	"errors"
	"net/http"
	"os/exec"
	"strings"
	"testing"
	"time"

	api "github.com/google/go-github/v92/github"
)

// world is an emulator with one repository and somebody who may do everything.
type world struct {
	*Server
	t      *testing.T
	repo   *Repository
	client *api.Client
	// first is the commit that main starts with.
	first string
}

const aliceToken = "ghp_alice"

func newWorld(t *testing.T, options Options) *world {
	t.Helper()
	options.Validate = true
	s, err := Start(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for operation := range s.Calls() {
			called.Store(operation, true)
		}
		for _, mismatch := range s.Mismatches() {
			t.Errorf("differs from GitHub's description: %s", mismatch)
		}
		if err := s.Close(); err != nil {
			t.Errorf("closing: %v", err)
		}
	})
	w := &world{Server: s, t: t}
	s.AddToken(Token{Value: aliceToken, Login: "alice"})
	w.repo = Must(s.CreateRepository("acme/podinfo", RepositoryOptions{}))
	w.client = w.clientFor(aliceToken)
	w.first = Must(w.repo.Commit("main", "Start", "alice", map[string]string{"README.md": "hello\n", "deploy/app.yaml": "replicas: 1\n"}))
	return w
}

func (w *world) clientFor(token string) *api.Client {
	w.t.Helper()
	root := w.APIURL() + "/"
	options := []api.ClientOptionsFunc{api.WithURLs(&root, &root), api.WithTimeout(20 * time.Second), api.WithDisableRateLimitCheck()}
	if token != "" {
		options = append(options, api.WithAuthToken(token))
	}
	client, err := api.NewClient(options...)
	if err != nil {
		w.t.Fatal(err)
	}
	return client
}

func (w *world) branch(name string) string {
	w.t.Helper()
	sha, err := w.repo.Commit(name, "Change "+name, "bob", map[string]string{name + ".txt": name + "\n"})
	if err != nil {
		w.t.Fatal(err)
	}
	return sha
}

func (w *world) open(head string) int {
	w.t.Helper()
	number, err := w.repo.OpenPullRequest(NewPullRequest{Title: "Bring " + head, Head: head, Base: "main", Login: "bob"})
	if err != nil {
		w.t.Fatal(err)
	}
	return number
}

// git runs the real client with a token in the address.
func (w *world) git(dir string, args ...string) (string, error) {
	command := exec.CommandContext(w.t.Context(), "git", args...)
	command.Dir = dir
	command.Env = append(append([]string{}, gitEnvironment...),
		"GIT_AUTHOR_NAME=alice", "GIT_AUTHOR_EMAIL=alice@users.noreply.github.com",
		"GIT_COMMITTER_NAME=alice", "GIT_COMMITTER_EMAIL=alice@users.noreply.github.com")
	out, err := command.CombinedOutput()
	return string(out), err
}

func (w *world) mustGit(dir string, args ...string) string {
	w.t.Helper()
	out, err := w.git(dir, args...)
	if err != nil {
		w.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(out)
}

func (w *world) cloneURL(token string) string {
	return strings.Replace(w.repo.CloneURL(), "http://", "http://x-access-token:"+token+"@", 1)
}

func (w *world) clone() string {
	w.t.Helper()
	dir := w.t.TempDir()
	w.mustGit(dir, "clone", "--quiet", w.cloneURL(aliceToken), "work")
	return dir + "/work"
}

// statusOf is the HTTP status of a call that was refused.
func statusOf(err error) int {
	var refused *api.ErrorResponse
	var limited *api.RateLimitError
	var abused *api.AbuseRateLimitError
	switch {
	case errors.As(err, &refused):
		return refused.Response.StatusCode
	case errors.As(err, &limited):
		return limited.Response.StatusCode
	case errors.As(err, &abused):
		return abused.Response.StatusCode
	}
	return 0
}

// refused checks that err is GitHub's refusal with a status and a part of the message.
func refused(t *testing.T, err error, status int, part string) {
	t.Helper()
	if got := statusOf(err); got != status || !strings.Contains(err.Error(), part) {
		t.Errorf("got %v, want %d with %q", err, status, part)
	}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func equal[T comparable](t *testing.T, what string, got, want T) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

// eventually polls until the condition holds.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-ctx.Done():
			t.Fatalf("never: %s", what)
		case <-tick.C:
		}
	}
}

// answer is the head of a response whose body nobody needs.
type answer struct {
	status int
	header http.Header
}

// get makes a call without a client in between.
func (w *world) get(path string, header http.Header) answer {
	w.t.Helper()
	request, err := http.NewRequestWithContext(w.t.Context(), http.MethodGet, w.APIURL()+path, http.NoBody)
	noError(w.t, err)
	if header != nil {
		request.Header = header
	}
	response, err := http.DefaultClient.Do(request)
	noError(w.t, err)
	noError(w.t, response.Body.Close())
	return answer{status: response.StatusCode, header: response.Header}
}
