package github

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	api "github.com/google/go-github/v92/github"
)

const (
	owner = "acme"
	name  = "podinfo"
)

func TestRepositoryIsReadAndRedirectsOnceRenamed(t *testing.T) {
	w := newWorld(t, Options{})
	repo, _, err := w.client.Repositories.Get(t.Context(), owner, name)
	noError(t, err)
	equal(t, "default branch", repo.GetDefaultBranch(), "main")
	equal(t, "push permission", repo.GetPermissions().GetPush(), true)
	equal(t, "owner type", repo.GetOwner().GetType(), TypeOrganization)

	noError(t, w.repo.Rename("renamed"))
	moved, _, err := w.client.Repositories.Get(t.Context(), owner, name)
	noError(t, err)
	equal(t, "id", moved.GetID(), repo.GetID())
	equal(t, "new name", moved.GetFullName(), "acme/renamed")
	_, _, err = w.client.Repositories.GetBranch(t.Context(), owner, name, "main", 1)
	noError(t, err)
	dir := t.TempDir()
	w.mustGit(dir, "clone", "--quiet", strings.Replace(w.cloneURL(aliceToken), "renamed", name, 1), "old")

	w.repo.Archive()
	_, _, err = w.client.Git.CreateRef(t.Context(), owner, "renamed", api.CreateRef{Ref: "refs/heads/x", SHA: w.first})
	refused(t, err, 403, "Repository was archived so is read-only.")
	w.repo.Unarchive()
	_, _, err = w.client.Git.CreateRef(t.Context(), owner, "renamed", api.CreateRef{Ref: "refs/heads/x", SHA: w.first})
	noError(t, err)

	noError(t, w.repo.Transfer("other"))
	for _, address := range [][2]string{{owner, name}, {owner, "renamed"}, {"other", "renamed"}} {
		moved, _, err = w.client.Repositories.Get(t.Context(), address[0], address[1])
		noError(t, err)
		equal(t, "new address", moved.GetFullName(), "other/renamed")
	}
	_, _, err = w.client.Repositories.Get(t.Context(), owner, "nothing")
	refused(t, err, 404, "Not Found")
}

func TestTemplateGivesItsHistoryAndNothingAfterwards(t *testing.T) {
	w := newWorld(t, Options{})
	second := Must(w.repo.Commit("develop", "Second", "alice", map[string]string{"VERSION": "2"}))
	copied := Must(w.CreateRepository("acme/copy", RepositoryOptions{Template: w.repo}))
	for _, branch := range []string{"main", "develop"} {
		equal(t, branch, copied.Head(branch), w.repo.Head(branch))
	}
	dir := t.TempDir()
	w.mustGit(dir, "clone", "--quiet", strings.Replace(w.cloneURL(aliceToken), name, "copy", 1), "copy")

	third := Must(copied.Commit("develop", "Third", "alice", map[string]string{"VERSION": "3"}))
	equal(t, "parent", Must(copied.CommitInfo(third)).Parents[0], second)
	equal(t, "the template's head", w.repo.Head("develop"), second)
	if _, err := w.repo.CommitInfo(third); err == nil {
		t.Error("the template has a commit of its copy")
	}
}

func TestBranchesWithSlashesAndPages(t *testing.T) {
	w := newWorld(t, Options{})
	for i := range 7 {
		noError(t, w.repo.CreateBranch(fmt.Sprintf("feature/%d/deep", i), w.first))
	}
	branch, _, err := w.client.Repositories.GetBranch(t.Context(), owner, name, "feature/3/deep", 0)
	noError(t, err)
	equal(t, "head", branch.GetCommit().GetSHA(), w.first)
	equal(t, "a part of a name", w.get("/repos/acme/podinfo/branches/feature%2F3", nil).status, http.StatusNotFound)

	var names []string
	options := &api.BranchListOptions{ListOptions: api.ListOptions{PerPage: 3}}
	for {
		page, response, err := w.client.Repositories.ListBranches(t.Context(), owner, name, options)
		noError(t, err)
		for _, b := range page {
			names = append(names, b.GetName())
		}
		if response.NextPage == 0 {
			equal(t, "pages", options.Page, 3)
			break
		}
		equal(t, "last page", response.LastPage, 3)
		options.Page = response.NextPage
	}
	equal(t, "branches", len(names), 8)
	equal(t, "calls", w.Calls()["GET /repos/{owner}/{repo}/branches"].Total, 3)
}

func TestCommitsAreListedReadAndCompared(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	second := Must(w.repo.Commit("main", "Second", "bob", map[string]string{"README.md": "hello\nyou\n", "deploy/app.yaml": ""}))
	Must(w.repo.Commit("side", "Aside", "bob", map[string]string{"side.txt": "x\n"}))
	third := Must(w.repo.Commit("main", "Third", "bob", map[string]string{"third.txt": "x\n"}))

	commits, _, err := w.client.Repositories.ListCommits(ctx, owner, name, &api.CommitsListOptions{SHA: "main", ListOptions: api.ListOptions{PerPage: 1}})
	noError(t, err)
	equal(t, "newest", commits[0].GetSHA(), third)
	commit, _, err := w.client.Repositories.GetCommit(ctx, owner, name, second, nil)
	noError(t, err)
	equal(t, "files", len(commit.Files), 2)
	equal(t, "removed", commit.Files[1].GetStatus(), "removed")
	equal(t, "additions", commit.GetStats().GetAdditions(), 1)
	_, _, err = w.client.Repositories.GetCommit(ctx, owner, name, "nothing", nil)
	refused(t, err, 422, "No commit found for SHA: nothing")

	compare, _, err := w.client.Repositories.CompareCommits(ctx, owner, name, "side", third, nil)
	noError(t, err)
	equal(t, "status", compare.GetStatus(), "diverged")
	equal(t, "ahead", compare.GetAheadBy(), 1)
	equal(t, "behind", compare.GetBehindBy(), 1)
	equal(t, "merge base", compare.GetMergeBaseCommit().GetSHA(), second)
	equal(t, "commit", compare.Commits[0].GetSHA(), third)
	compare, _, err = w.client.Repositories.CompareCommits(ctx, owner, name, "main", "main", nil)
	noError(t, err)
	equal(t, "status", compare.GetStatus(), "identical")
	_, _, err = w.client.Repositories.CompareCommits(ctx, owner, name, "main", "nothing", nil)
	refused(t, err, 404, "Not Found")
}

func TestComparisonIsBoundedButCountsExactly(t *testing.T) {
	w := newWorld(t, Options{})
	dir := w.clone()
	var stream strings.Builder
	stream.WriteString("reset refs/heads/busy\nfrom refs/remotes/origin/main\n\n")
	for i := range 260 {
		fmt.Fprintf(&stream, "commit refs/heads/busy\ncommitter bob <bob@example.com> %d +0000\ndata 1\nx\n", 1700000000+i)
	}
	_, err := gitCommand{dir: dir, input: stream.String()}.run(t.Context(), "fast-import", "--quiet")
	noError(t, err)
	w.mustGit(dir, "push", "--quiet", "origin", "busy")
	compare, _, err := w.client.Repositories.CompareCommits(t.Context(), owner, name, "main", "busy", nil)
	noError(t, err)
	equal(t, "ahead", compare.GetAheadBy(), 260)
	equal(t, "listed", len(compare.Commits), 250)
	page, response, err := w.client.Repositories.CompareCommits(t.Context(), owner, name, "main", "busy", &api.ListOptions{PerPage: 100, Page: 3})
	noError(t, err)
	equal(t, "third page", len(page.Commits), 60)
	equal(t, "no files after the first page", len(page.Files), 0)
	equal(t, "no next page", response.NextPage, 0)
}

func TestRefsAreMadeMovedAndDeleted(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	next := Must(w.repo.Commit("main", "Next", "bob", map[string]string{"a": "b\n"}))
	ref := "refs/heads/mainstem/prod/main"
	_, _, err := w.client.Git.CreateRef(ctx, owner, name, api.CreateRef{Ref: ref, SHA: w.first})
	noError(t, err)
	_, _, err = w.client.Git.CreateRef(ctx, owner, name, api.CreateRef{Ref: ref, SHA: w.first})
	refused(t, err, 422, "Reference already exists")
	_, _, err = w.client.Git.CreateRef(ctx, owner, name, api.CreateRef{Ref: "refs/heads/other", SHA: strings.Repeat("1", 40)})
	refused(t, err, 422, "Object does not exist")
	_, _, err = w.client.Git.UpdateRef(ctx, owner, name, ref, api.UpdateRef{SHA: next})
	noError(t, err)
	_, _, err = w.client.Git.UpdateRef(ctx, owner, name, ref, api.UpdateRef{SHA: w.first})
	refused(t, err, 422, "Update is not a fast forward")
	_, _, err = w.client.Git.UpdateRef(ctx, owner, name, ref, api.UpdateRef{SHA: w.first, Force: new(true)})
	noError(t, err)
	got, _, err := w.client.Git.GetRef(ctx, owner, name, ref)
	noError(t, err)
	equal(t, "object", got.GetObject().GetSHA(), w.first)
	matching, _, err := w.client.Git.ListMatchingRefs(ctx, owner, name, "heads/m")
	noError(t, err)
	equal(t, "matching", len(matching), 2)
	_, err = w.client.Git.DeleteRef(ctx, owner, name, ref)
	noError(t, err)
	_, _, err = w.client.Git.GetRef(ctx, owner, name, ref)
	refused(t, err, 404, "Not Found")
	_, err = w.client.Git.DeleteRef(ctx, owner, name, ref)
	refused(t, err, 422, "Reference does not exist")
	effects := w.Effects().By(SourceAPI)
	equal(t, "created", effects.Count(BranchCreated), 1)
	equal(t, "moved", effects.Count(BranchMoved), 2)
	equal(t, "deleted", effects.Count(BranchDeleted), 1)
}

func TestObjectsOfGit(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	sha := Must(w.repo.AnnotatedTag("v1.0.0", w.first, "First"))
	noError(t, w.repo.Tag("light", w.first))
	ref, _, err := w.client.Git.GetRef(ctx, owner, name, "tags/v1.0.0")
	noError(t, err)
	equal(t, "type", ref.GetObject().GetType(), "tag")
	tag, _, err := w.client.Git.GetTag(ctx, owner, name, sha)
	noError(t, err)
	equal(t, "peeled", tag.GetObject().GetSHA(), w.first)
	equal(t, "message", tag.GetMessage(), "First")
	commit, _, err := w.client.Git.GetCommit(ctx, owner, name, w.first)
	noError(t, err)
	tree, _, err := w.client.Git.GetTree(ctx, owner, name, commit.GetTree().GetSHA(), true)
	noError(t, err)
	equal(t, "entries", len(tree.Entries), 3)
	flat, _, err := w.client.Git.GetTree(ctx, owner, name, "main", false)
	noError(t, err)
	equal(t, "same tree", flat.GetSHA(), tree.GetSHA())
	equal(t, "entries", len(flat.Entries), 2)
	_, _, err = w.client.Git.GetTag(ctx, owner, name, w.first)
	refused(t, err, 404, "Not Found")
	resolved, _, err := w.client.Repositories.GetCommit(ctx, owner, name, "v1.0.0", nil)
	noError(t, err)
	equal(t, "tag as ref", resolved.GetSHA(), w.first)
}

func TestEmptyRepositoryAnswers409(t *testing.T) {
	w := newWorld(t, Options{})
	Must(w.CreateRepository("acme/empty", RepositoryOptions{}))
	_, _, err := w.client.Repositories.GetCommit(t.Context(), owner, "empty", "main", nil)
	refused(t, err, 409, "Git Repository is empty.")
	equal(t, "branch", w.get("/repos/acme/empty/branches/main", nil).status, http.StatusNotFound)
}

func TestReleasesAreSortedDraftedAndTagged(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	w := newWorld(t, Options{Clock: func() time.Time { return now }})
	ctx := t.Context()
	now = now.Add(time.Hour)
	second := Must(w.repo.Commit("main", "Second", "bob", map[string]string{"a": "b\n"}))
	now = now.Add(time.Hour)
	Must(w.repo.PublishRelease(ReleaseSpec{Tag: "v2.0.0", Target: second}))
	Must(w.repo.PublishRelease(ReleaseSpec{Tag: "v1.9.0", Target: w.first}))
	Must(w.repo.PublishRelease(ReleaseSpec{Tag: "v3.0.0-rc.1", Prerelease: true}))

	latest, _, err := w.client.Repositories.GetLatestRelease(ctx, owner, name)
	noError(t, err)
	equal(t, "latest by commit date", latest.GetTagName(), "v2.0.0")
	ref, _, err := w.client.Git.GetRef(ctx, owner, name, "tags/v1.9.0")
	noError(t, err)
	equal(t, "tag made at target", ref.GetObject().GetSHA(), w.first)

	draft, _, err := w.client.Repositories.CreateRelease(ctx, owner, name, api.CreateReleaseRequest{TagName: "v4.0.0", TargetCommitish: new("main"), Draft: new(true)})
	noError(t, err)
	_, _, err = w.client.Git.GetRef(ctx, owner, name, "tags/v4.0.0")
	refused(t, err, 404, "")
	_, _, err = w.client.Repositories.GetReleaseByTag(ctx, owner, name, "v4.0.0")
	refused(t, err, 404, "")
	w.AddToken(Token{Value: "ghp_reader", Login: "reader", Permissions: map[string]string{"contents": Read}})
	reader := w.clientFor("ghp_reader")
	visible, _, err := reader.Repositories.ListReleases(ctx, owner, name, nil)
	noError(t, err)
	equal(t, "without drafts", len(visible), 3)
	_, _, err = reader.Repositories.GetRelease(ctx, owner, name, draft.GetID())
	refused(t, err, 404, "")
	all, _, err := w.client.Repositories.ListReleases(ctx, owner, name, nil)
	noError(t, err)
	equal(t, "with drafts", len(all), 4)

	published, _, err := w.client.Repositories.UpdateRelease(ctx, owner, name, draft.GetID(), api.UpdateReleaseRequest{Draft: new(false)})
	noError(t, err)
	equal(t, "draft", published.GetDraft(), false)
	byTag, _, err := w.client.Repositories.GetReleaseByTag(ctx, owner, name, "v4.0.0")
	noError(t, err)
	equal(t, "by tag", byTag.GetID(), draft.GetID())
	_, _, err = w.client.Repositories.CreateRelease(ctx, owner, name, api.CreateReleaseRequest{TagName: "v4.0.0"})
	refused(t, err, 422, "already_exists")
	_, _, err = w.client.Repositories.CreateRelease(ctx, owner, name, api.CreateReleaseRequest{TagName: "v5.0.0", TargetCommitish: new("nothing")})
	refused(t, err, 422, "target_commitish")
	_, err = w.client.Repositories.DeleteRelease(ctx, owner, name, draft.GetID())
	noError(t, err)
	_, _, err = w.client.Repositories.GetRelease(ctx, owner, name, draft.GetID())
	refused(t, err, 404, "")
	equal(t, "published", w.Effects().By(SourceAPI).Count(ReleasePublished), 1)
}

func TestADraftIsPublishedByAPerson(t *testing.T) {
	w := newWorld(t, Options{})
	draft := Must(w.repo.PublishRelease(ReleaseSpec{Tag: "v1.0.0", Target: w.first, Draft: true}))
	equal(t, "tag of a draft", w.ResolveTag(w.repo.CloneURL(), "v1.0.0"), "")
	noError(t, w.repo.PublishDraft(draft))
	equal(t, "tag", w.ResolveTag(w.repo.CloneURL(), "v1.0.0"), w.first)
	equal(t, "tag, by the address without .git", w.ResolveTag(strings.TrimSuffix(w.repo.CloneURL(), ".git"), "v1.0.0"), w.first)
	equal(t, "tag of another repository", w.ResolveTag(w.URL()+"/acme/other", "v1.0.0"), "")
	equal(t, "published by a person", w.Effects().By(SourceTest).Count(ReleasePublished), 1)
	if err := w.repo.PublishDraft(draft); err == nil {
		t.Error("it was published twice")
	}
}
