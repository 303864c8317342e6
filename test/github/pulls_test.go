package github

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	api "github.com/google/go-github/v92/github"
)

func TestPullRequestIsRefusedAsOnGitHub(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	w.branch("develop")
	noError(t, w.repo.CreateBranch("same", w.first))
	body := api.CreatePullRequest{Title: new("Promote"), Head: "acme:develop", Base: "main"}
	_, _, err := w.client.PullRequests.Create(ctx, owner, name, body)
	noError(t, err)
	_, _, err = w.client.PullRequests.Create(ctx, owner, name, body)
	refused(t, err, 422, "A pull request already exists for acme:develop.")
	body.Head = "same"
	_, _, err = w.client.PullRequests.Create(ctx, owner, name, body)
	refused(t, err, 422, "No commits between main and same")
	body.Head = "nothing"
	_, _, err = w.client.PullRequests.Create(ctx, owner, name, body)
	refused(t, err, 422, "head")

	for filter, want := range map[api.PullRequestListOptions]int{
		{Head: "acme:develop", Base: "main"}: 1, {Head: "acme:other"}: 0, {Base: "develop"}: 0, {State: "closed"}: 0, {State: "all"}: 1,
	} {
		found, _, err := w.client.PullRequests.List(ctx, owner, name, &filter)
		noError(t, err)
		equal(t, "filter "+filter.Head+" "+filter.Base+" "+filter.State, len(found), want)
	}
}

func TestPullRequestIsEditedLabelledReviewedAndClosed(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	head := w.branch("develop")
	number := w.open("develop")
	w.AddUser("carol")

	pr, _, err := w.client.PullRequests.Edit(ctx, owner, name, number, &api.PullRequest{Body: new("new body"), Title: new("New title")})
	noError(t, err)
	equal(t, "body", pr.GetBody(), "new body")
	_, _, err = w.client.PullRequests.Edit(ctx, owner, name, number, &api.PullRequest{Body: new("new body")})
	noError(t, err)
	equal(t, "an edit that changes nothing is none", w.Effects().By(SourceAPI).Count(PullEdited), 1)
	labels, _, err := w.client.Issues.AddLabelsToIssue(ctx, owner, name, number, []string{"promotion"})
	noError(t, err)
	equal(t, "label", labels[0].GetName(), "promotion")
	labels, _, err = w.client.Issues.ListLabelsByIssue(ctx, owner, name, number, nil)
	noError(t, err)
	equal(t, "labels", len(labels), 1)
	_, _, err = w.client.PullRequests.RequestReviewers(ctx, owner, name, number, api.ReviewersRequest{Reviewers: []string{"carol"}})
	noError(t, err)
	_, _, err = w.client.PullRequests.RequestReviewers(ctx, owner, name, number, api.ReviewersRequest{Reviewers: []string{"stranger"}})
	refused(t, err, 422, "Reviews may only be requested from collaborators")
	_, _, err = w.client.PullRequests.RequestReviewers(ctx, owner, name, number, api.ReviewersRequest{Reviewers: []string{"bob"}})
	refused(t, err, 422, "Review cannot be requested from pull request author.")
	_, _, err = w.client.PullRequests.CreateReview(ctx, owner, name, number, &api.PullRequestReviewRequest{Event: new("APPROVE")})
	noError(t, err)
	reviews, _, err := w.client.PullRequests.ListReviews(ctx, owner, name, number, nil)
	noError(t, err)
	equal(t, "review", reviews[0].GetState(), "APPROVED")
	_, _, err = w.client.Issues.CreateComment(ctx, owner, name, number, api.IssueCommentRequest{Body: "superseded"})
	noError(t, err)
	comments, _, err := w.client.Issues.ListComments(ctx, owner, name, number, nil)
	noError(t, err)
	equal(t, "comment", comments[0].GetBody(), "superseded")
	commits, _, err := w.client.PullRequests.ListCommits(ctx, owner, name, number, nil)
	noError(t, err)
	equal(t, "commit", commits[0].GetSHA(), head)
	files, _, err := w.client.PullRequests.ListFiles(ctx, owner, name, number, nil)
	noError(t, err)
	equal(t, "file", files[0].GetFilename(), "develop.txt")
	containing, _, err := w.client.PullRequests.ListPullRequestsWithCommit(ctx, owner, name, head, nil)
	noError(t, err)
	equal(t, "pulls with commit", len(containing), 1)

	pr, _, err = w.client.PullRequests.Edit(ctx, owner, name, number, &api.PullRequest{State: new("closed")})
	noError(t, err)
	equal(t, "closed, unmerged", pr.GetState() == "closed" && !pr.GetMerged(), true)
	noError(t, w.repo.ReopenPullRequest(number, "bob"))
	view, _ := w.repo.PullRequest(number)
	equal(t, "open again", view.State, "open")
	equal(t, "reviewers", strings.Join(view.Reviewers, ","), "carol")
}

func TestMergeMethods(t *testing.T) {
	w := newWorld(t, Options{})
	for _, method := range []string{MergeCommit, Squash, Rebase} {
		branch := "feature-" + method
		w.branch(branch)
		head := Must(w.repo.Commit(branch, "More", "bob", map[string]string{branch + "-2.txt": "x\n"}))
		base := Must(w.repo.Commit("main", "Meanwhile "+method, "bob", map[string]string{"meanwhile-" + method: "x\n"}))
		number := w.open(branch)
		result, _, err := w.client.PullRequests.Merge(t.Context(), owner, name, number, "", &api.PullRequestOptions{SHA: head, MergeMethod: method})
		noError(t, err)
		info := Must(w.repo.CommitInfo(result.GetSHA()))
		contains := Must(w.repo.Contains("main", head))
		equal(t, method+" keeps the head", contains, method == MergeCommit)
		equal(t, method+" is the base's head", w.repo.Head("main"), info.SHA)
		want := map[string]int{MergeCommit: 2, Squash: 1, Rebase: 1}[method]
		equal(t, method+" parents", len(info.Parents), want)
		if method == Squash {
			equal(t, "squash title", info.Message, "Bring "+branch+" (#"+itoa(number)+")")
		}
		if method == Rebase {
			equal(t, "rebased message", info.Message, "More")
		} else {
			equal(t, method+" first parent", info.Parents[0], base)
		}
		tree, _, err := w.client.Git.GetTree(t.Context(), owner, name, "main", false)
		noError(t, err)
		found := 0
		for _, entry := range tree.Entries {
			if strings.HasPrefix(entry.GetPath(), branch) {
				found++
			}
		}
		equal(t, method+" brings both files", found, 2)
	}
}

func TestMethodsThatARepositoryForbids(t *testing.T) {
	w := newWorld(t, Options{})
	w.repo = Must(w.CreateRepository("acme/strict", RepositoryOptions{MergeMethods: []string{Squash}, DeleteBranchOnMerge: true}))
	Must(w.repo.Commit("main", "Start", "alice", map[string]string{"a": "a\n"}))
	w.branch("develop")
	number := w.open("develop")
	_, _, err := w.client.PullRequests.Merge(t.Context(), owner, "strict", number, "", nil)
	refused(t, err, 405, "Merge commits are not allowed on this repository.")
	Must(w.repo.MergePullRequest(number, Squash, "carol"))
	equal(t, "head branch is gone", w.repo.Head("develop"), "")
	view, _ := w.repo.PullRequest(number)
	equal(t, "merged by", view.MergedBy, "carol")
}

func TestConflictingPullRequestIsNotMergeable(t *testing.T) {
	w := newWorld(t, Options{})
	Must(w.repo.Commit("develop", "Theirs", "bob", map[string]string{"README.md": "theirs\n"}))
	Must(w.repo.Commit("main", "Ours", "bob", map[string]string{"README.md": "ours\n"}))
	number := w.open("develop")
	var pr *api.PullRequest
	for range 2 {
		var err error
		pr, _, err = w.client.PullRequests.Get(t.Context(), owner, name, number)
		noError(t, err)
	}
	equal(t, "known", pr.Mergeable != nil, true)
	equal(t, "mergeable", pr.GetMergeable(), false)
	equal(t, "state", pr.GetMergeableState(), "dirty")
	_, _, err := w.client.PullRequests.Merge(t.Context(), owner, name, number, "", nil)
	refused(t, err, 405, "Pull Request is not mergeable")
	equal(t, "no merge", w.Effects().Count(PullMerged), 0)
}

func TestMergeableIsUnknownAgainAfterAMove(t *testing.T) {
	w := newWorld(t, Options{})
	w.branch("develop")
	number := w.open("develop")
	known := func() bool {
		pr, _, err := w.client.PullRequests.Get(t.Context(), owner, name, number)
		noError(t, err)
		return pr.Mergeable != nil
	}
	equal(t, "first", known(), false)
	equal(t, "second", known(), true)
	Must(w.repo.Commit("main", "Meanwhile", "bob", map[string]string{"m": "m\n"}))
	equal(t, "after the base moved", known(), false)
	equal(t, "then", known(), true)
	Must(w.repo.Commit("develop", "More", "bob", map[string]string{"n": "n\n"}))
	equal(t, "after the head moved", known(), false)
	view, _ := w.repo.PullRequest(number)
	equal(t, "head followed", view.HeadSHA, w.repo.Head("develop"))
}

func TestPushedMergeMarksThePullRequestMerged(t *testing.T) {
	w := newWorld(t, Options{})
	w.branch("develop")
	number := w.open("develop")
	dir := w.clone()
	w.mustGit(dir, "merge", "--quiet", "--no-ff", "-m", "By hand", "origin/develop")
	noError(t, os.WriteFile(filepath.Join(dir, "after.txt"), []byte("x\n"), 0o600))
	w.mustGit(dir, "add", ".")
	merge := w.mustGit(dir, "rev-parse", "HEAD")
	w.mustGit(dir, "commit", "--quiet", "-m", "One more")
	w.mustGit(dir, "push", "--quiet", "origin", "main")
	view, _ := w.repo.PullRequest(number)
	equal(t, "merged", view.Merged, true)
	equal(t, "state", view.State, "closed")
	equal(t, "by", view.MergedBy, "alice")
	equal(t, "by the merge, not what came after", view.MergeSHA, merge)
	pr, _, err := w.client.PullRequests.Get(t.Context(), owner, name, number)
	noError(t, err)
	equal(t, "over REST", pr.GetMergeCommitSHA(), merge)
	equal(t, "source", w.Effects().Of(PullMerged)[0].Source, SourceGit)
}

func TestFastForwardedBaseMarksThePullRequestMerged(t *testing.T) {
	w := newWorld(t, Options{})
	head := w.branch("develop")
	number := w.open("develop")
	_, _, err := w.client.Git.UpdateRef(t.Context(), owner, name, "heads/main", api.UpdateRef{SHA: head})
	noError(t, err)
	view, _ := w.repo.PullRequest(number)
	equal(t, "merged", view.Merged, true)
	equal(t, "by", view.MergeSHA, head)
}

func TestHeadBranchEndsThePullRequest(t *testing.T) {
	w := newWorld(t, Options{})
	w.branch("gone")
	w.branch("reset")
	gone, reset := w.open("gone"), w.open("reset")
	noError(t, w.repo.DeleteBranch("gone"))
	noError(t, w.repo.ForcePush("reset", w.first))
	for _, number := range []int{gone, reset} {
		view, _ := w.repo.PullRequest(number)
		equal(t, "closed", view.State, "closed")
		equal(t, "unmerged", view.Merged, false)
	}
	err := w.repo.ReopenPullRequest(gone, "bob")
	if err == nil {
		t.Error("a pull request without head branch was reopened")
	}
}

func TestProtectionIsEnforced(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	head := w.branch("develop")
	number := w.open("develop")
	_, _, err := w.client.Repositories.GetBranchProtection(ctx, owner, name, "main")
	if err == nil || !strings.Contains(err.Error(), "not protected") {
		t.Errorf("got %v", err)
	}
	_, _, err = w.client.Repositories.UpdateBranchProtection(ctx, owner, name, "main", &api.ProtectionRequest{
		RequiredStatusChecks:       &api.RequiredStatusChecks{Contexts: &[]string{"build", "test"}},
		RequiredPullRequestReviews: &api.PullRequestReviewsEnforcementRequest{RequiredApprovingReviewCount: 1},
	})
	noError(t, err)
	protection, _, err := w.client.Repositories.GetBranchProtection(ctx, owner, name, "main")
	noError(t, err)
	equal(t, "approvals", protection.GetRequiredPullRequestReviews().RequiredApprovingReviewCount, 1)
	merge := func() error {
		_, _, err := w.client.PullRequests.Merge(ctx, owner, name, number, "", nil)
		return err
	}
	refused(t, merge(), 405, "2 of 2 required status checks are expected. At least 1 approving review is required by reviewers with write access.")
	noError(t, w.repo.SetCheckRun(head, CheckRun{Name: "build", Status: "in_progress"}))
	noError(t, w.repo.SetStatus(head, "test", "success", ""))
	noError(t, w.repo.ApprovePullRequest(number, "carol"))
	refused(t, merge(), 405, `Required status check "build" is in progress.`)
	noError(t, w.repo.SetCheckRun(head, CheckRun{Name: "build", Conclusion: "failure"}))
	refused(t, merge(), 405, `Required status check "build" is failing.`)
	noError(t, w.repo.SetCheckRun(head, CheckRun{Name: "build", Conclusion: "success"}))
	noError(t, w.repo.RequestChanges(number, "dave"))
	refused(t, merge(), 405, "Changes have been requested.")
	noError(t, w.repo.ApprovePullRequest(number, "dave"))

	_, _, err = w.client.Git.UpdateRef(ctx, owner, name, "heads/main", api.UpdateRef{SHA: head})
	refused(t, err, 422, "Changes must be made through a pull request.")
	dir := w.clone()
	w.mustGit(dir, "commit", "--quiet", "--allow-empty", "-m", "Direct")
	out, err := w.git(dir, "push", "origin", "main")
	if err == nil || !strings.Contains(out, "GH006") {
		t.Errorf("a push to a protected branch went through: %v %s", err, out)
	}
	noError(t, merge())
	_, err = w.client.Repositories.RemoveBranchProtection(ctx, owner, name, "main")
	noError(t, err)
	_, err = w.client.Git.DeleteRef(ctx, owner, name, "heads/main")
	refused(t, err, 422, "Cannot delete the default branch")
}

func TestRulesetsAreListedAndEnforced(t *testing.T) {
	w := newWorld(t, Options{})
	w.branch("develop")
	number := w.open("develop")
	noError(t, w.repo.SetRules("main", Protection{RequiredChecks: []string{"mainstem/main"}, RequiredApprovals: 1, Strict: true}))
	rules, _, err := w.client.Repositories.ListRulesForBranch(t.Context(), owner, name, "main", nil)
	noError(t, err)
	equal(t, "check", rules.RequiredStatusChecks[0].Parameters.RequiredStatusChecks[0].Context, "mainstem/main")
	equal(t, "approvals", rules.PullRequest[0].Parameters.RequiredApprovingReviewCount, 1)
	_, _, err = w.client.PullRequests.Merge(t.Context(), owner, name, number, "", nil)
	refused(t, err, 405, "Repository rule violations found")
	Must(w.repo.Commit("other", "Elsewhere", "bob", map[string]string{"o": "o\n"}))
	noError(t, w.repo.ForcePush("main", w.repo.Head("other")))
	_, _, err = w.client.PullRequests.Merge(t.Context(), owner, name, number, "", nil)
	refused(t, err, 405, "Head branch is out of date")
}
