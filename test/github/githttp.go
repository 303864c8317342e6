package github

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/cgi"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// backend is the path of git-http-backend.
var backend = sync.OnceValues(func() (string, error) {
	git, err := exec.LookPath("git")
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), gitTimeout)
	defer cancel()
	out, err := exec.CommandContext(ctx, git, "--exec-path").Output()
	if err != nil {
		return "", err
	}
	return filepath.Join(strings.TrimSpace(string(out)), "git-http-backend"), nil
})

// gitServices are the paths that smart HTTP uses below a repository.
var gitServices = []string{"/info/refs", "/git-upload-pack", "/git-receive-pack"}

// gitRequest takes a request apart into repository, service path and what it asks for:
// Read or Write.
func gitRequest(r *http.Request) (name, service, level string, matches bool) {
	for _, candidate := range gitServices {
		path, found := strings.CutSuffix(r.URL.Path, candidate)
		if !found {
			continue
		}
		name = strings.TrimSuffix(strings.Trim(path, "/"), ".git")
		level = Read
		if candidate == "/git-receive-pack" || r.URL.Query().Get("service") == "git-receive-pack" {
			level = Write
		}
		return name, candidate, level, strings.Count(name, "/") == 1
	}
	return "", "", "", false
}

// serveGit serves clones and pushes over smart HTTP.
func (s *Server) serveGit(w http.ResponseWriter, r *http.Request) {
	name, service, level, matches := gitRequest(r)
	if !matches {
		http.Error(w, "Not Found", http.StatusNotFound)
		return
	}
	s.mu.Lock()
	repo, who, refusal := s.admitGit(r, name, level)
	s.mu.Unlock()
	if refusal != nil {
		refusal.send(w)
		return
	}
	if r.Method == http.MethodPost && level == Write {
		s.receivePack(w, r, repo, who)
		return
	}
	if r.Method == http.MethodPost {
		s.mu.Lock()
		s.countAs("GIT upload-pack", rendered{status: http.StatusOK})
		s.mu.Unlock()
	}
	s.runBackend(w, r, repo, service)
}

type gitRefusal struct {
	status int
	text   string
	header http.Header
}

func (g *gitRefusal) send(w http.ResponseWriter) {
	for key, values := range g.header {
		w.Header()[key] = values
	}
	w.Header().Set("Content-Type", "text/plain; charset=UTF-8")
	w.WriteHeader(g.status)
	_, _ = io.WriteString(w, g.text+"\n") // the client may have gone
}

// admitGit decides who may clone or push, in github.com's words.
func (s *Server) admitGit(r *http.Request, name, level string) (*Repository, principal, *gitRefusal) {
	push := level == Write
	challenge := &gitRefusal{
		status: http.StatusUnauthorized, text: "Repository not found.",
		header: http.Header{"Www-Authenticate": {`Basic realm="GitHub"`}},
	}
	var who principal
	if secret := credential(r); secret != "" {
		known, valid := s.principalOf(secret)
		if !valid {
			challenge.text = "Invalid username or token. Password authentication is not supported for Git operations."
			return nil, who, challenge
		}
		who = known
	}
	repo := s.repos[strings.ToLower(name)]
	gone := &gitRefusal{status: http.StatusNotFound, text: "Repository not found."}
	switch {
	case who.kind == anonymous && (repo == nil || repo.private || push):
		if push {
			challenge.text = "No anonymous write access."
		}
		return nil, who, challenge
	case repo == nil || !who.readable(repo):
		return nil, who, gone
	case repo.private && !who.can(repo, "contents", Read):
		return nil, who, &gitRefusal{status: http.StatusForbidden, text: "Write access to repository not granted."}
	case push && !who.can(repo, "contents", Write):
		return nil, who, &gitRefusal{status: http.StatusForbidden, text: "Permission to " + repo.fullName() + ".git denied to " + who.account.login + "."}
	case push && repo.archived:
		return nil, who, &gitRefusal{status: http.StatusForbidden, text: "This repository was archived so it is read-only."}
	case !strings.EqualFold(name, repo.fullName()):
		target := strings.Replace(r.URL.RequestURI(), name, repo.fullName(), 1)
		return nil, who, &gitRefusal{status: http.StatusMovedPermanently, header: http.Header{"Location": {s.URL() + target}}}
	}
	return repo, who, nil
}

// receivePack takes a push: the pack is read before the lock is taken, so that a slow
// client holds nobody up, and what it moved is followed before the client hears of it.
func (s *Server) receivePack(w http.ResponseWriter, r *http.Request, repo *Repository, who principal) {
	pack, err := readPack(w, r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(pack)), int64(len(pack))
	r.Header.Del("Content-Encoding")
	r.Header.Set("Content-Length", strconv.Itoa(len(pack)))
	s.mu.Lock()
	defer s.mu.Unlock()
	s.countAs("GIT receive-pack", rendered{status: http.StatusOK})
	s.runBackend(w, r, repo, "/git-receive-pack")
	by := who.actor()
	by.source = SourceGit
	if err := repo.followPush(by); err != nil {
		// The push has happened and was answered; a later push finds the refs again.
		s.log.add(Delivery{Event: "push", Repository: repo.fullName(), Err: err.Error(), hook: &hook{}})
	}
}

func readPack(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	limited := http.MaxBytesReader(w, r.Body, maxPush)
	if r.Header.Get("Content-Encoding") != "gzip" {
		return io.ReadAll(limited)
	}
	unzipped, err := gzip.NewReader(limited)
	if err != nil {
		return nil, err
	}
	pack, err := io.ReadAll(io.LimitReader(unzipped, maxPush))
	return pack, errors.Join(err, unzipped.Close())
}

// followPush compares the refs with those before the push; bases come first, so that a
// pull request whose merge is pushed is merged and not merely moved.
func (r *Repository) followPush(by actor) error {
	after, err := r.readRefs()
	if err != nil {
		return err
	}
	var changes []refChange
	for ref, sha := range after {
		if old := r.refs[ref]; old == "" {
			changes = append(changes, refChange{ref: ref, old: zeroSHA, new: sha})
		} else if old != sha {
			changes = append(changes, refChange{ref: ref, old: old, new: sha})
		}
	}
	for ref, sha := range r.refs {
		if after[ref] == "" {
			changes = append(changes, refChange{ref: ref, old: sha, new: zeroSHA})
		}
	}
	isBase := func(c refChange) bool {
		return slices.ContainsFunc(r.pulls, func(p *pull) bool { return heads+p.baseRef == c.ref })
	}
	slices.SortFunc(changes, func(a, b refChange) int {
		if isBase(a) != isBase(b) {
			if isBase(a) {
				return -1
			}
			return 1
		}
		return strings.Compare(a.ref, b.ref)
	})
	r.refs = after
	for _, change := range changes {
		if err := r.follow(change, by); err != nil {
			return err
		}
	}
	return nil
}

func (s *Server) runBackend(w http.ResponseWriter, r *http.Request, repo *Repository, service string) {
	program, err := backend()
	if err != nil {
		http.Error(w, "finding git-http-backend: "+err.Error(), http.StatusInternalServerError)
		return
	}
	// The handler sees the repository's directory instead of its name.
	inner := r.Clone(r.Context())
	inner.URL.Path = "/" + filepath.Base(repo.dir) + service
	handler := &cgi.Handler{
		Path: program, Root: "/", Dir: repo.dir, Stderr: io.Discard,
		Env: append(slices.Clone(gitEnvironment),
			"GIT_PROJECT_ROOT="+s.options.Dir, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=emulator",
			"GIT_PROTOCOL="+r.Header.Get("Git-Protocol")),
	}
	handler.ServeHTTP(w, inner)
}
