package github

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	api "github.com/google/go-github/v92/github"
)

func TestClonesAndPushesOverSmartHTTP(t *testing.T) {
	w := newWorld(t, Options{})
	dir := w.clone()
	equal(t, "cloned head", w.mustGit(dir, "rev-parse", "HEAD"), w.first)

	noError(t, os.WriteFile(filepath.Join(dir, "new.txt"), []byte("new\n"), 0o600))
	w.mustGit(dir, "checkout", "--quiet", "-b", "feature/pushed")
	w.mustGit(dir, "add", ".")
	w.mustGit(dir, "commit", "--quiet", "-m", "Pushed")
	w.mustGit(dir, "push", "--quiet", "origin", "HEAD")
	pushed := w.mustGit(dir, "rev-parse", "HEAD")

	branch, _, err := w.client.Repositories.GetBranch(t.Context(), "acme", "podinfo", "feature/pushed", 0)
	noError(t, err)
	equal(t, "branch head", branch.GetCommit().GetSHA(), pushed)
	equal(t, "author", branch.GetCommit().GetAuthor().GetLogin(), "alice")
	equal(t, "effects by Git", w.Effects().By(SourceGit).Count(BranchCreated), 1)

	compare, _, err := w.client.Repositories.CompareCommits(t.Context(), "acme", "podinfo", "main", "feature/pushed", nil)
	noError(t, err)
	equal(t, "ahead", compare.GetAheadBy(), 1)
	equal(t, "status", compare.GetStatus(), "ahead")
	equal(t, "file", compare.Files[0].GetFilename(), "new.txt")
	if !strings.Contains(compare.Files[0].GetPatch(), "+new") {
		t.Errorf("patch %q", compare.Files[0].GetPatch())
	}
}

func TestMergedPullRequestOverREST(t *testing.T) {
	w := newWorld(t, Options{})
	head := w.branch("develop")
	pr, _, err := w.client.PullRequests.Create(t.Context(), "acme", "podinfo", api.CreatePullRequest{
		Title: new("Promote"), Head: "acme:develop", Base: "main", Body: new("marker"),
	})
	noError(t, err)
	if pr.Mergeable != nil {
		t.Errorf("mergeable is known at once: %v", pr.GetMergeable())
	}
	pr, _, err = w.client.PullRequests.Get(t.Context(), "acme", "podinfo", pr.GetNumber())
	noError(t, err)
	equal(t, "first answer is null", pr.Mergeable == nil, true)
	pr, _, err = w.client.PullRequests.Get(t.Context(), "acme", "podinfo", pr.GetNumber())
	noError(t, err)
	equal(t, "mergeable", pr.GetMergeable(), true)
	equal(t, "state", pr.GetMergeableState(), "clean")
	equal(t, "commits", pr.GetCommits(), 1)

	_, _, err = w.client.PullRequests.Merge(t.Context(), "acme", "podinfo", pr.GetNumber(), "", &api.PullRequestOptions{SHA: w.first})
	refused(t, err, 409, "Head branch was modified. Review and try the merge again.")
	result, _, err := w.client.PullRequests.Merge(t.Context(), "acme", "podinfo", pr.GetNumber(), "", &api.PullRequestOptions{SHA: head})
	noError(t, err)
	info := Must(w.repo.CommitInfo("main"))
	equal(t, "base head", info.SHA, result.GetSHA())
	equal(t, "first parent", info.Parents[0], w.first)
	equal(t, "second parent", info.Parents[1], head)
	equal(t, "message", info.Message, "Merge pull request #1 from acme/develop\n\nPromote")
	_, _, err = w.client.PullRequests.Merge(t.Context(), "acme", "podinfo", pr.GetNumber(), "", nil)
	refused(t, err, 405, "Pull Request is not mergeable")
	equal(t, "merges", w.Effects().By(SourceAPI).Count(PullMerged), 1)
}

func TestAnyCommitCanBeFetchedBySHA(t *testing.T) {
	w := newWorld(t, Options{})
	noError(t, w.repo.CreateBranch("side", w.first))
	lost := w.branch("side")
	noError(t, w.repo.ForcePush("side", w.first))
	dir := t.TempDir()
	w.mustGit(dir, "init", "--quiet")
	w.mustGit(dir, "fetch", "--quiet", "--depth", "1", w.repo.CloneURL(), lost)
	equal(t, "fetched", w.mustGit(dir, "rev-parse", "FETCH_HEAD"), lost)
	refs := w.mustGit(dir, "ls-remote", w.repo.CloneURL())
	if strings.Contains(refs, workRefs) {
		t.Errorf("clients see the emulator's own refs: %s", refs)
	}
}

func TestPushToPullRequestRefsIsDenied(t *testing.T) {
	w := newWorld(t, Options{})
	w.branch("develop")
	w.open("develop")
	dir := w.clone()
	out, err := w.git(dir, "push", "--force", "origin", "HEAD:refs/pull/1/head")
	if err == nil || !strings.Contains(out, "hidden ref") {
		t.Errorf("got %v: %s", err, out)
	}
}
