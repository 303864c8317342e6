//go:build e2e

package rig_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// gitServer serves one bare repository over smart HTTP.
type gitServer struct {
	t *testing.T
	// URL of the repository.
	URL string
	// API is the root of a GitHub API that issues one App's installation tokens.
	API string
	// work is a clone that commits are made in.
	work string
}

// The credentials that the server takes when it asks for any.
const (
	gitUser         = "somebody"
	gitPassword     = "a password"
	appToken        = "ghs_installation"
	appID           = "17"
	appInstallation = "42"
)

// access says what a gitServer asks of its clients.
type access int

const (
	anonymous access = iota
	password
	installationToken
)

// newGitServer makes an empty repository with the branch main and serves it.
func newGitServer(t *testing.T, wanted access) *gitServer {
	t.Helper()
	root := t.TempDir()
	s := &gitServer{t: t, work: filepath.Join(root, "work")}
	s.git("init", "--quiet", "--bare", "--initial-branch=main", filepath.Join(root, "repositories", "app.git"))
	s.git("clone", "--quiet", filepath.Join(root, "repositories", "app.git"), s.work)

	backend := &cgi.Handler{
		Path: filepath.Join(s.git("--exec-path"), "git-http-backend"),
		Env:  []string{"GIT_PROJECT_ROOT=" + filepath.Join(root, "repositories"), "GIT_HTTP_EXPORT_ALL=1"},
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, request *http.Request) {
		if !wanted.allows(request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "who are you?", http.StatusUnauthorized)
			return
		}
		backend.ServeHTTP(w, request)
	})
	mux.HandleFunc("POST /api/v3/app/installations/"+appInstallation+"/access_tokens", func(w http.ResponseWriter, request *http.Request) {
		if !strings.HasPrefix(request.Header.Get("Authorization"), "Bearer ey") {
			http.Error(w, "no JSON web token", http.StatusUnauthorized)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusCreated)
		_, _ = fmt.Fprintf(w, `{"token":%q,"expires_at":%q}`, appToken, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.URL, s.API = server.URL+"/app.git", server.URL+"/api/v3"
	return s
}

func (a access) allows(request *http.Request) bool {
	user, secret, _ := request.BasicAuth()
	switch a {
	case password:
		return user == gitUser && secret == gitPassword
	case installationToken:
		return user == "x-access-token" && secret == appToken
	case anonymous:
		return true
	default:
		return false
	}
}

// commit writes files, pushes them to main and returns the commit.
func (s *gitServer) commit(files map[string]string) string {
	s.t.Helper()
	for name, content := range files {
		path := filepath.Join(s.work, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			s.t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
	s.git("-C", s.work, "add", "--all")
	s.git("-C", s.work, "-c", "user.name=Alice", "-c", "user.email=alice@example.com", "commit", "--quiet", "--message=A change")
	s.git("-C", s.work, "push", "--quiet", "origin", "HEAD:main")
	return s.git("-C", s.work, "rev-parse", "HEAD")
}

func (s *gitServer) git(args ...string) string {
	s.t.Helper()
	output, err := exec.CommandContext(s.t.Context(), "git", args...).CombinedOutput()
	if err != nil {
		s.t.Fatalf("git %v: %v\n%s", args, err, output)
	}
	return strings.TrimSpace(string(output))
}

// privateKey makes a key as GitHub gives it to an App.
func privateKey(t *testing.T) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}))
}
