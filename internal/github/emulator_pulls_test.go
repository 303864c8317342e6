package github

import (
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	emulator "github.com/mainstem-dev/mainstem/test/github"
)

func TestEnsureBranchNeverLosesAPush(t *testing.T) {
	w := newWorld(t)
	first, second := w.repository.Head("main"), w.repository.Head("develop")
	ensure := func(sha string, expected ...string) error {
		return w.client.EnsureBranch(testContext(t), headBranch, sha, expected...)
	}
	for range 2 {
		if err := ensure(first); err != nil {
			t.Fatal(err)
		}
	}
	if err := ensure(second, first); err != nil {
		t.Fatal(err)
	}
	if err := ensure(first, second); err != nil {
		t.Fatalf("back: %v", err)
	}
	if got := w.Effects().Of(emulator.BranchMoved); len(got) != 2 || w.Effects().Count(emulator.BranchCreated) != 1 {
		t.Errorf("effects %+v", w.Effects())
	}
	pushed := w.commit(headBranch, "A person's")
	err := ensure(second, first)
	var moved *BranchMovedError
	if !errors.As(err, &moved) || moved.Actual != pushed || w.repository.Head(headBranch) != pushed {
		t.Errorf("got %v; the branch is at %s", err, w.repository.Head(headBranch))
	}
	if err = w.client.DeleteBranch(testContext(t), headBranch, first); !errors.As(err, &moved) {
		t.Errorf("deleting: %v", err)
	}
	if err = w.client.DeleteBranch(testContext(t), headBranch); !errors.As(err, &moved) || w.repository.Head(headBranch) != pushed {
		t.Errorf("deleting where nothing is expected: %v; the branch is at %q", err, w.repository.Head(headBranch))
	}
	if err = w.client.DeleteBranch(testContext(t), headBranch, pushed); err != nil || w.repository.Head(headBranch) != "" {
		t.Errorf("deleting what is expected: %v", err)
	}
	if err = w.client.DeleteBranch(testContext(t), headBranch); err != nil {
		t.Errorf("deleting again: %v", err)
	}
	if err = ensure(shaA); err == nil {
		t.Error("a branch was made at an unknown commit")
	}
}

func TestOpenPullRequestOnce(t *testing.T) {
	w := newWorld(t)
	w.AddUser("bob")
	if err := w.client.EnsureBranch(testContext(t), headBranch, w.repository.Head("develop")); err != nil {
		t.Fatal(err)
	}
	wanted := NewPullRequest{Title: "Promote", Body: "marker", Head: headBranch, Base: "main", Labels: []string{"promotion"}, Reviewers: []string{"bob"}}
	first, err := w.client.OpenPullRequest(testContext(t), wanted)
	if err != nil || !first.Created || first.Incomplete != nil {
		t.Fatalf("got %+v, %v", first, err)
	}
	if opened, _ := w.repository.PullRequest(first.PullRequest.Number); len(opened.Labels) != 1 || len(opened.Reviewers) != 1 {
		t.Errorf("got %+v", opened)
	}
	wanted.Labels = append(wanted.Labels, "second")
	again, err := w.client.OpenPullRequest(testContext(t), wanted)
	if err != nil || again.Created || again.PullRequest.Number != first.PullRequest.Number || len(again.PullRequest.Labels) != 2 {
		t.Errorf("again: %+v, %v", again, err)
	}
	if effects := w.Effects(); effects.Count(emulator.PullOpened) != 1 || effects.Count(emulator.ReviewRequested) != 1 {
		t.Errorf("effects %+v", effects)
	}
	wanted.Head = "main"
	wanted.Base = "develop"
	if _, err = w.client.OpenPullRequest(testContext(t), wanted); !isRefused(err, "no commits between") {
		t.Errorf("with nothing to merge: %v", err)
	}
}

func TestAPullRequestThatIsRefusedIsNotTouched(t *testing.T) {
	w := newWorld(t)
	w.AddUser("bob")
	theirs, _ := w.promote(t)
	refusal := errors.New("it is theirs")
	w.ResetCounts()
	_, err := w.client.OpenPullRequest(testContext(t), NewPullRequest{
		Title: "Promote", Head: headBranch, Base: "main", Labels: []string{"promotion"}, Reviewers: []string{"bob"},
		Refuse: func(found PullRequest) error {
			if found.Number != theirs.Number || found.Body != "marker" {
				t.Errorf("asked about %+v", found)
			}
			return refusal
		},
	})
	if !errors.Is(err, refusal) {
		t.Errorf("got %v", err)
	}
	if now, _ := w.repository.PullRequest(theirs.Number); len(now.Labels)+len(now.Reviewers) != 0 || len(w.Calls()) != 1 {
		t.Errorf("it was touched: %+v, by %+v", now, w.Calls())
	}
}

func TestUpdateOnlyWhatDiffers(t *testing.T) {
	w := newWorld(t)
	pull, _ := w.promote(t)
	for _, step := range []struct {
		title, body string
		changed     bool
	}{{"Promote", "marker\r\n", false}, {"Promote", "more", true}, {"Promote", "more", false}, {"Promote it", "more", true}} {
		changed, err := w.client.UpdatePullRequest(testContext(t), pull.Number, step.title, step.body)
		if err != nil || changed != step.changed {
			t.Errorf("%+v: got %t, %v", step, changed, err)
		}
	}
	if got := w.Effects().Count(emulator.PullEdited); got != 2 {
		t.Errorf("edited %d times", got)
	}
}

func TestWhatIsDoneToAPullRequestIsSeenAtOnce(t *testing.T) {
	w := newWorld(t)
	pull, _ := w.promote(t)
	look := func() PullRequest {
		t.Helper()
		seen, err := w.client.PullRequest(testContext(t), pull.Number, time.Hour)
		if err != nil {
			t.Fatal(err)
		}
		return seen
	}
	look()
	if _, err := w.client.EnsureLabels(testContext(t), pull, []string{"promotion"}); err != nil || len(look().Labels) != 1 {
		t.Errorf("labels: %+v, %v", look(), err)
	}
	if _, err := w.client.UpdatePullRequest(testContext(t), pull.Number, "Promote", "more"); err != nil || look().Body != "more" {
		t.Errorf("body: %+v, %v", look(), err)
	}
	w.ResetCounts()
	look()
	if len(w.Calls()) != 0 {
		t.Errorf("asked without need: %+v", w.Calls())
	}
}

func TestAClosedPullRequestIsNotMerged(t *testing.T) {
	w := newWorld(t)
	pull, sha := w.promote(t)
	if err := w.repository.ClosePullRequest(pull.Number, "jane"); err != nil {
		t.Fatal(err)
	}
	result, err := w.client.MergePullRequest(testContext(t), MergeRequest{Number: pull.Number, HeadSHA: sha})
	if err != nil || result.Outcome != PullRequestIsClosed {
		t.Errorf("merging it: %+v, %v", result, err)
	}
	found, err := w.client.FindPullRequests(testContext(t), headBranch, "main")
	if err != nil || len(found) != 1 || found[0].State != PullRequestClosed || found[0].ClosedAt.IsZero() {
		t.Errorf("found %+v, %v", found, err)
	}
}

func TestMergeOnce(t *testing.T) {
	w := newWorld(t)
	pull, sha := w.promote(t)
	base := w.repository.Head("main")
	request := MergeRequest{Number: pull.Number, HeadSHA: sha, Title: "Promote it", Message: "because"}
	result, err := w.client.MergePullRequest(testContext(t), request)
	if err != nil || result.Outcome != Merged || result.SHA != w.repository.Head("main") || result.HeadSHA != sha {
		t.Fatalf("got %+v, %v", result, err)
	}
	again, err := w.client.MergePullRequest(testContext(t), request)
	if err != nil || again.Outcome != AlreadyMerged || again.SHA != result.SHA || again.HeadSHA != sha {
		t.Errorf("again: %+v, %v", again, err)
	}
	if got := w.Effects().Count(emulator.PullMerged); got != 1 {
		t.Errorf("merged %d times", got)
	}
	found, err := w.client.PullRequestOfCommit(testContext(t), result.SHA, "main")
	if err != nil || found == nil || found.Number != pull.Number || found.State != PullRequestMerged || found.MergedBy != "mainstem-bot" || found.MergeCommit != result.SHA || found.Head.SHA != sha {
		t.Fatalf("found %+v, %v", found, err)
	}
	if side, err := w.client.BaseSide(testContext(t), *found); err != nil || side != base {
		t.Errorf("base side %s, %v; want %s", side, err, base)
	}
	merge, err := w.client.Commit(testContext(t), result.SHA)
	if err != nil || merge.Message != "Promote it" || len(merge.Parents) != 2 || merge.Parents[0] != base || merge.Parents[1] != sha {
		t.Errorf("merge commit %+v, %v", merge, err)
	}
}

func TestOurOwnWritesAreSeenAtOnce(t *testing.T) {
	w := newWorld(t)
	observer := NewObserver(w.clients)
	heads := func() map[string]BranchHead {
		t.Helper()
		seen, err := observer.Observe(testContext(t), w.repo, w.credential, Request{Branches: []string{"main", headBranch}, MaxAge: time.Hour})
		if err != nil {
			t.Fatal(err)
		}
		return seen.Branches
	}
	if heads()[headBranch].Found {
		t.Fatal("the head branch is there already")
	}
	before := w.repository.Head("main")
	if err := w.client.EnsureBranch(testContext(t), headBranch, before); err != nil {
		t.Fatal(err)
	}
	if got := heads()[headBranch]; got.Commit.SHA != before {
		t.Errorf("after it was created: %+v", got)
	}
	if err := w.client.EnsureBranch(testContext(t), headBranch, w.repository.Head("develop"), before); err != nil {
		t.Fatal(err)
	}
	if got := heads()[headBranch]; got.Commit.SHA != w.repository.Head("develop") {
		t.Errorf("after it was moved: %+v", got)
	}
	pull, sha := w.promote(t)
	heads()
	result, err := w.client.MergePullRequest(testContext(t), MergeRequest{Number: pull.Number, HeadSHA: sha})
	if err != nil || result.Outcome != Merged {
		t.Fatalf("merge: %+v, %v", result, err)
	}
	if got := heads()["main"]; got.Commit.SHA != result.SHA {
		t.Errorf("after the merge: %+v, want %s", got, result.SHA)
	}
	if err := w.client.DeleteBranch(testContext(t), headBranch, sha); err != nil || heads()[headBranch].Found {
		t.Errorf("after it was deleted: %+v, %v", heads()[headBranch], err)
	}
}

func TestBaseSideOfEveryMethod(t *testing.T) {
	for _, method := range []string{"merge", "squash", "rebase"} {
		t.Run(method, func(t *testing.T) {
			w := newWorld(t)
			w.commit("develop", "Add another")
			base := w.commit("main", "Fix")
			pull, _ := w.promote(t)
			sha := emulator.Must(w.repository.MergePullRequest(pull.Number, method, "jane"))
			found, err := w.client.PullRequestOfCommit(testContext(t), sha, "main")
			if err != nil || found == nil || found.MergedBy != "jane" {
				t.Fatalf("found %+v, %v", found, err)
			}
			if side, err := w.client.BaseSide(testContext(t), *found); err != nil || side != base {
				t.Errorf("base side %s, %v; want %s", side, err, base)
			}
		})
	}
}

func TestMergeIsRefused(t *testing.T) {
	for _, tc := range []struct {
		name    string
		prepare func(*world, PullRequest)
		want    MergeOutcome
	}{
		{"the head moved", func(w *world, _ PullRequest) { w.commit(headBranch, "A person's") }, HeadMoved},
		{"reviews are missing", func(w *world, _ PullRequest) {
			_ = w.repository.Protect("main", emulator.Protection{RequiredApprovals: 1})
		}, NotMergeable},
		{"a check is missing", func(w *world, _ PullRequest) {
			_ = w.repository.Protect("main", emulator.Protection{RequiredChecks: []string{"build"}})
		}, NotMergeable},
		{"a conflict", func(w *world, _ PullRequest) {
			emulator.Must(w.repository.Commit("main", "Clash", "alice", map[string]string{"Add a feature.txt": "otherwise"}))
		}, NotMergeable},
		{"the token may not", func(w *world, _ PullRequest) {
			w.AddToken(emulator.Token{Value: testToken, Login: "mainstem-bot", Permissions: map[string]string{"metadata": "read", "contents": "read", "pull_requests": "write"}})
		}, MergeForbidden},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := newWorld(t)
			pull, sha := w.promote(t)
			tc.prepare(w, pull)
			before := w.repository.Head("main")
			result, err := w.client.MergePullRequest(testContext(t), MergeRequest{Number: pull.Number, HeadSHA: sha})
			if err != nil || result.Outcome != tc.want || result.Message == "" {
				t.Errorf("got %+v, %v; want %s with GitHub's words", result, err, tc.want)
			}
			if w.repository.Head("main") != before {
				t.Error("it was merged")
			}
		})
	}
}

// TestATransferredRepositoryFindsItsPullRequest : lists name heads by the owner that the repository has now.
func TestATransferredRepositoryFindsItsPullRequest(t *testing.T) {
	w := newWorld(t)
	w.commit("develop", "Second")
	if err := w.repository.Transfer("heirs"); err != nil {
		t.Fatal(err)
	}
	if _, err := NewObserver(w.clients).Observe(testContext(t), w.repo, w.credential, Request{}); err != nil {
		t.Fatal(err)
	}
	if err := w.client.EnsureBranch(testContext(t), headBranch, w.repository.Head("develop")); err != nil {
		t.Fatal(err)
	}
	wanted := NewPullRequest{Title: "Promote", Head: headBranch, Base: "main"}
	for _, created := range []bool{true, false} {
		opened, err := w.client.OpenPullRequest(testContext(t), wanted)
		if err != nil || opened.Created != created || opened.PullRequest.Number != 1 {
			t.Errorf("got %+v, %v; want #1, created: %t", opened, err, created)
		}
	}
}

func TestArchivedIsReadOnly(t *testing.T) {
	w := newWorld(t)
	w.repository.Archive()
	seen, err := w.client.Info(testContext(t))
	if err != nil || !seen.Archived {
		t.Errorf("got %+v, %v", seen, err)
	}
	if err = w.client.EnsureBranch(testContext(t), headBranch, w.repository.Head("develop")); !isType[*ArchivedError](err) {
		t.Errorf("writing: %v", err)
	}
}

func TestAMissingPermissionIsSaid(t *testing.T) {
	w := newWorld(t)
	w.AddToken(emulator.Token{Value: testToken, Login: "mainstem-bot", Permissions: map[string]string{"metadata": "read", "contents": "read"}})
	err := w.client.EnsureBranch(testContext(t), headBranch, w.repository.Head("develop"))
	var denied *PermissionDeniedError
	if !errors.As(err, &denied) || !strings.Contains(err.Error(), "contents=write") {
		t.Errorf("got %T %v", err, err)
	}
	w.RevokeToken(testToken)
	if _, err = w.client.Info(testContext(t)); !isType[*UnauthorizedError](err) || !strings.Contains(err.Error(), "Secret") {
		t.Errorf("revoked: %v", err)
	}
}

func TestChecksAndStatuses(t *testing.T) {
	w := newWorld(t)
	sha := w.repository.Head("develop")
	set := func(name, conclusion string) {
		t.Helper()
		if err := w.repository.SetCheckRun(sha, emulator.CheckRun{Name: name, Conclusion: conclusion}); err != nil {
			t.Fatal(err)
		}
	}
	states := func() map[string]CheckState {
		t.Helper()
		checks, err := w.client.Checks(testContext(t), ChecksRequest{SHA: sha, IgnorePrefix: "mainstem/"})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string]CheckState{}
		for _, check := range checks.Items {
			got[string(check.Source)+" "+check.Name] = check.State
		}
		return got
	}
	if got := states(); len(got) != 0 {
		t.Errorf("a commit without checks has %v", got)
	}
	set("build", "failure")
	set("build", "success")
	set("test", "")
	if err := w.repository.SetStatus(sha, "legacy", "pending", "…"); err != nil {
		t.Fatal(err)
	}
	if err := w.repository.SetStatus(sha, "legacy", "failure", "no"); err != nil {
		t.Fatal(err)
	}
	if _, err := w.client.EnsureStatus(testContext(t), sha, Status{Context: "mainstem/main", State: StatusPending}); err != nil {
		t.Fatal(err)
	}
	got := states()
	want := map[string]CheckState{"CheckRun build": CheckSuccess, "CheckRun test": CheckPending, "Status legacy": CheckFailure}
	for name, state := range want {
		if got[name] != state || len(got) != len(want) {
			t.Errorf("got %v, want %v", got, want)
		}
	}
}

func TestManyChecksArePaged(t *testing.T) {
	w := newWorld(t)
	sha := w.repository.Head("develop")
	const many = 130
	for i := range many {
		name := "check-" + strings.Repeat("x", i)
		if err := w.repository.SetCheckRun(sha, emulator.CheckRun{Name: name, Conclusion: "success"}); err != nil {
			t.Fatal(err)
		}
		if err := w.repository.SetStatus(sha, name, "success", ""); err != nil {
			t.Fatal(err)
		}
	}
	checks, err := w.client.Checks(testContext(t), ChecksRequest{SHA: sha})
	if err != nil || len(checks.Items) != 2*many {
		t.Errorf("got %d, %v; want %d", len(checks.Items), err, 2*many)
	}
}

func TestAStatusIsWrittenOnce(t *testing.T) {
	w := newWorld(t)
	sha := w.repository.Head("develop")
	status := Status{Context: "mainstem/main", State: StatusPending, Description: strings.Repeat("wärten ", 40), TargetURL: "https://example.com/x"}
	for _, step := range []struct {
		state   StatusState
		fresh   bool
		written bool
	}{{StatusPending, false, true}, {StatusPending, false, false}, {StatusPending, true, false}, {StatusSuccess, false, true}, {StatusSuccess, true, false}} {
		client := w.client
		if step.fresh {
			client = clientFor(t, NewClients(Options{}), w.repo, w.credential)
		}
		status.State = step.state
		if written, err := client.EnsureStatus(testContext(t), sha, status); err != nil || written != step.written {
			t.Errorf("%+v: got %t, %v", step, written, err)
		}
		if last, at, sent := client.StatusSent(sha, status.Context); sent != (step.written || !step.fresh) || sent && (last.State != step.state || at.IsZero()) {
			t.Errorf("%+v: sent %+v at %s, %t", step, last, at, sent)
		}
	}
	// Once when it is written first, and once by each that is fresh.
	if asked := w.Calls()[statusRoute].Total; asked != 3 {
		t.Errorf("GitHub was asked %d times for what this process has written itself", asked)
	}
	got := w.repository.Statuses(sha)
	if len(got) != 2 || len([]rune(got[0].Description)) > 140 || got[0].TargetURL != status.TargetURL {
		t.Errorf("statuses %+v", got)
	}
}

// TestAStatusIsWrittenOnceByManyAtATime is two applications of one repository that come to the same conclusion.
func TestAStatusIsWrittenOnceByManyAtATime(t *testing.T) {
	w := newWorld(t)
	sha := w.repository.Head("develop")
	w.Inject(emulator.Fault{Kind: emulator.Slow, Method: http.MethodPost, Delay: 100 * time.Millisecond})
	var everybody sync.WaitGroup
	for range 8 {
		everybody.Go(func() {
			if _, err := w.client.EnsureStatus(testContext(t), sha, Status{Context: "mainstem/main", State: StatusPending}); err != nil {
				t.Error(err)
			}
		})
	}
	everybody.Wait()
	if got := w.repository.Statuses(sha); len(got) != 1 {
		t.Errorf("statuses %+v", got)
	}
}

const statusRoute = "GET /repos/{owner}/{repo}/commits/{ref}/status"

// TestStatusesOfACommitAreReadOnce starts with a commit that has statuses of several environments.
func TestStatusesOfACommitAreReadOnce(t *testing.T) {
	w := newWorld(t)
	sha := w.repository.Head("develop")
	all := []Status{{Context: "mainstem/develop", State: StatusSuccess}, {Context: "mainstem/main", State: StatusPending, Description: "soaks"}}
	for _, status := range all {
		if _, err := w.client.EnsureStatus(testContext(t), sha, status); err != nil {
			t.Fatal(err)
		}
	}
	w.ResetCounts()
	fresh := clientFor(t, NewClients(Options{}), w.repo, w.credential)
	for _, status := range all {
		if written, err := fresh.EnsureStatus(testContext(t), sha, status); err != nil || written {
			t.Errorf("%+v: got %t, %v", status, written, err)
		}
		if _, _, sent := fresh.StatusSent(sha, status.Context); sent {
			t.Errorf("%+v was found, not sent", status)
		}
	}
	if asked := w.Calls()[statusRoute].Total; asked != 1 {
		t.Errorf("GitHub was asked %d times about one commit", asked)
	}
}
