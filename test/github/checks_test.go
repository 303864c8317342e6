package github

import (
	"fmt"
	"strings"
	"testing"

	api "github.com/google/go-github/v92/github"
)

func TestCombinedStatus(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	combined, _, err := w.client.Repositories.GetCombinedStatus(ctx, owner, name, "main", nil)
	noError(t, err)
	equal(t, "state of none", combined.GetState(), "pending")
	equal(t, "count of none", combined.GetTotalCount(), 0)

	post := func(context, state string) {
		t.Helper()
		_, _, err := w.client.Repositories.CreateStatus(ctx, owner, name, w.first, api.RepoStatus{
			State: new(state), Context: new(context), Description: new("because"), TargetURL: new("https://mainstem.example/x"),
		})
		noError(t, err)
	}
	post("mainstem/main", "pending")
	post("mainstem/main", "success")
	post("other", "failure")
	combined, _, err = w.client.Repositories.GetCombinedStatus(ctx, owner, name, w.first, nil)
	noError(t, err)
	equal(t, "state", combined.GetState(), "failure")
	equal(t, "newest per context", combined.GetTotalCount(), 2)
	statuses, _, err := w.client.Repositories.ListStatuses(ctx, owner, name, "main", nil)
	noError(t, err)
	equal(t, "all", len(statuses), 3)
	equal(t, "newest first", statuses[0].GetContext(), "other")
	equal(t, "creator", statuses[0].GetCreator().GetLogin(), "alice")
	_, _, err = w.client.Repositories.CreateStatus(ctx, owner, name, strings.Repeat("1", 40), api.RepoStatus{State: new("success")})
	refused(t, err, 422, "No commit found for SHA")
	_, _, err = w.client.Repositories.CreateStatus(ctx, owner, name, w.first, api.RepoStatus{State: new("fine")})
	refused(t, err, 422, "state")
	equal(t, "statuses", len(w.repo.Statuses(w.first)), 3)
}

func TestStatusesOfOneContextAreBounded(t *testing.T) {
	w := newWorld(t, Options{})
	for i := range maxStatuses {
		noError(t, w.repo.SetStatus(w.first, "busy", "pending", fmt.Sprint(i)))
	}
	_, _, err := w.client.Repositories.CreateStatus(t.Context(), owner, name, w.first, api.RepoStatus{State: new("success"), Context: new("busy")})
	refused(t, err, 422, "maximum number of statuses")
	noError(t, w.repo.SetStatus(w.first, "other", "success", ""))
}

func TestCheckRuns(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	_, _, err := w.client.Checks.CreateCheckRun(ctx, owner, name, api.CreateCheckRunOptions{Name: "build", HeadSHA: w.first})
	refused(t, err, 403, "You must authenticate via a GitHub App.")
	app := w.installedApp(nil)
	run, _, err := app.Checks.CreateCheckRun(ctx, owner, name, api.CreateCheckRunOptions{Name: "scan", HeadSHA: w.first, Status: new("in_progress")})
	noError(t, err)
	run, _, err = app.Checks.UpdateCheckRun(ctx, owner, name, run.GetID(), api.UpdateCheckRunOptions{Name: "scan", Conclusion: new("success")})
	noError(t, err)
	equal(t, "status", run.GetStatus(), "completed")
	got, _, err := w.client.Checks.GetCheckRun(ctx, owner, name, run.GetID())
	noError(t, err)
	equal(t, "app", got.GetApp().GetSlug(), "mainstem-test")

	noError(t, w.repo.SetCheckRun(w.first, CheckRun{Name: "build", Conclusion: "failure"}))
	noError(t, w.repo.SetCheckRun(w.first, CheckRun{Name: "build", Conclusion: "success"}))
	count := func(options *api.ListCheckRunsOptions) int {
		t.Helper()
		runs, _, err := w.client.Checks.ListCheckRunsForRef(ctx, owner, name, "main", options)
		noError(t, err)
		return runs.GetTotal()
	}
	equal(t, "latest", count(nil), 2)
	equal(t, "all", count(&api.ListCheckRunsOptions{Filter: new("all")}), 3)
	equal(t, "by name", count(&api.ListCheckRunsOptions{CheckName: new("scan")}), 1)
	runs, _, err := w.client.Checks.ListCheckRunsForRef(ctx, owner, name, w.first, &api.ListCheckRunsOptions{CheckName: new("build")})
	noError(t, err)
	equal(t, "the re-run counts", runs.CheckRuns[0].GetConclusion(), "success")
	suites, _, err := w.client.Checks.ListCheckSuitesForRef(ctx, owner, name, "main", nil)
	noError(t, err)
	equal(t, "one suite an app", suites.GetTotal(), 2)
	_, _, err = app.Checks.UpdateCheckRun(ctx, owner, name, runs.CheckRuns[0].GetID(), api.UpdateCheckRunOptions{Name: "build", Conclusion: new("failure")})
	refused(t, err, 403, "can only be modified by the GitHub App that created it")
}

func TestVerdictOfChecksAndStatuses(t *testing.T) {
	w := newWorld(t, Options{})
	verdictNow := func() verdict {
		defer w.repo.lock()()
		return w.repo.verdictOf(w.first, "build")
	}
	equal(t, "none", verdictNow(), verdictMissing)
	noError(t, w.repo.SetStatus(w.first, "build", "success", ""))
	equal(t, "status", verdictNow(), verdictPassed)
	noError(t, w.repo.SetCheckRun(w.first, CheckRun{Name: "build"}))
	equal(t, "queued run", verdictNow(), verdictPending)
	noError(t, w.repo.SetCheckRun(w.first, CheckRun{Name: "build", Conclusion: "skipped"}))
	equal(t, "skipped passes", verdictNow(), verdictPassed)
	noError(t, w.repo.SetStatus(w.first, "build", "error", ""))
	equal(t, "one failure fails", verdictNow(), verdictFailed)
	noError(t, w.repo.SetStatus(w.first, "build", "pending", ""))
	equal(t, "pending again", verdictNow(), verdictPending)
}
