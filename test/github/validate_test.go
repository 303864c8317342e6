package github

import (
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	api "github.com/google/go-github/v92/github"
)

func TestValidatorNoticesWhatGitHubWouldNotSay(t *testing.T) {
	template := "/repos/{owner}/{repo}/branches/{branch}"
	r, vars := findRoute(http.MethodGet, "/repos/acme/podinfo/branches/a%2Fb")
	equal(t, "route", r.template, template)
	equal(t, "branch", vars["branch"], "a/b")
	header := http.Header{"Content-Type": {"application/json"}}
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/repos/acme/podinfo/branches/a%2Fb", http.NoBody)
	status, statusVars := findRoute(http.MethodPost, "/repos/acme/podinfo/statuses/abc")
	for what, wrong := range map[string]exchange{
		"missing fields":     {route: r, vars: vars, request: request, out: rendered{status: 200, header: header, body: []byte(`{"name":"a/b"}`)}},
		"status":             {route: r, vars: vars, request: request, out: rendered{status: 202, header: header, body: []byte(`{}`)}},
		"error without JSON": {route: r, vars: vars, request: request, out: rendered{status: 418, header: header, body: []byte(`<html>`)}},
		"accepted request": {route: status, vars: statusVars, body: []byte(`{"state":"fine"}`),
			request: httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/repos/acme/podinfo/statuses/abc", http.NoBody), out: rendered{status: 201, header: header}},
	} {
		if err := wrong.validate(t.Context()); err == nil {
			t.Errorf("%s went unnoticed", what)
		}
	}
}

func TestUnknownPathsAreNotFound(t *testing.T) {
	w := newWorld(t, Options{})
	for _, path := range []string{"/", "/repos/acme/podinfo/nothing", "/repositories/1/branches/main", "/repos/acme/podinfo/pulls/x"} {
		equal(t, path, w.get(path, nil).status, http.StatusNotFound)
	}
}

func TestConcurrentUse(t *testing.T) {
	w := newWorld(t, Options{})
	r := newReceiver(t)
	w.repo.AddWebhook(r.URL, hookSecret)
	var group sync.WaitGroup
	const workers = 8
	for i := range workers {
		group.Go(func() {
			branch := "worker-" + itoa(i)
			sha, err := w.repo.Commit(branch, "Work", "bob", map[string]string{branch: "x\n"})
			if err != nil {
				t.Error(err)
				return
			}
			pr, _, err := w.client.PullRequests.Create(t.Context(), owner, name, api.CreatePullRequest{Title: new(branch), Head: branch, Base: "main"})
			if err != nil {
				t.Error(err)
				return
			}
			if _, _, err = w.client.PullRequests.Merge(t.Context(), owner, name, pr.GetNumber(), "", &api.PullRequestOptions{SHA: sha}); err != nil {
				t.Error(err)
			}
			w.Effects()
			w.Calls()
		})
	}
	group.Wait()
	effects := w.Effects()
	equal(t, "merges", effects.Count(PullMerged), workers)
	tree, _, err := w.client.Git.GetTree(t.Context(), owner, name, "main", false)
	noError(t, err)
	equal(t, "everybody's work is there", len(tree.Entries), workers+2)
	w.settled()
}
