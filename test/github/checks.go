package github

import (
	"net/http"
	"slices"
	"strconv"
	"time"
)

const (
	statusQueued    = "queued"
	statusCompleted = "completed"
)

// checkRun is one run of a check on a commit.
type checkRun struct {
	id                  int64
	sha                 string
	name                string
	status              string
	conclusion          string
	externalID, details string
	started, completed  time.Time
	output              checkOutput
	suite               *checkSuite
}

type checkOutput struct {
	Title   string `json:"title"`
	Summary string `json:"summary"`
	Text    string `json:"text"`
}

// checkSuite holds the runs of one App on one commit.
type checkSuite struct {
	id      int64
	sha     string
	app     *App
	created time.Time
	done    bool
}

// checkRequest creates or updates a run.
type checkRequest struct {
	Name        string       `json:"name"`
	HeadSHA     string       `json:"head_sha"`
	DetailsURL  string       `json:"details_url"`
	ExternalID  string       `json:"external_id"`
	Status      string       `json:"status"`
	Conclusion  string       `json:"conclusion"`
	StartedAt   *time.Time   `json:"started_at"`
	CompletedAt *time.Time   `json:"completed_at"`
	Output      *checkOutput `json:"output"`
}

var (
	checkStatuses    = []string{statusQueued, "in_progress", statusCompleted, "waiting", "requested", "pending"}
	checkConclusions = []string{"action_required", "cancelled", "failure", "neutral", "success", "skipped", "stale", "timed_out"}
)

// actionsApp is the App behind GitHub Actions.
func (s *Server) actionsApp() *App {
	const id = 15368
	if s.apps[id] == nil {
		s.apps[id] = &App{ID: id, Slug: "github-actions", Owner: "github", Permissions: map[string]string{"checks": Write}, created: s.now()}
	}
	return s.apps[id]
}

func (r *Repository) createCheck(asked checkRequest, by actor) (*checkRun, error) {
	found, err := r.commitBySHA(asked.HeadSHA)
	if err != nil {
		return nil, err
	}
	if asked.Name == "" {
		return nil, refuse(http.StatusUnprocessableEntity, "Invalid request.\n\n\"name\" wasn't supplied.")
	}
	run := &checkRun{id: r.server.nextID(), sha: found.sha, status: statusQueued, suite: r.suiteOf(found.sha, by)}
	if err := r.applyCheck(run, asked); err != nil {
		return nil, err
	}
	r.checks = append(r.checks, run)
	r.afterCheck(run, "created", CheckRunCreated, by)
	return run, nil
}

func (r *Repository) updateCheck(run *checkRun, asked checkRequest, by actor) error {
	if err := r.applyCheck(run, asked); err != nil {
		return err
	}
	action := "created"
	if run.status == statusCompleted {
		action = "completed"
	}
	r.afterCheck(run, action, CheckRunUpdated, by)
	return nil
}

func (r *Repository) applyCheck(run *checkRun, asked checkRequest) error {
	if asked.Status != "" && !slices.Contains(checkStatuses, asked.Status) {
		return invalid(FieldError{Resource: "CheckRun", Field: "status", Code: "invalid"})
	}
	if asked.Conclusion != "" && !slices.Contains(checkConclusions, asked.Conclusion) {
		return invalid(FieldError{Resource: "CheckRun", Field: "conclusion", Code: "invalid"})
	}
	if asked.Status == statusCompleted && asked.Conclusion == "" {
		return invalid(FieldError{Resource: "CheckRun", Field: "conclusion", Code: "missing_field"})
	}
	now := r.server.now()
	run.name, run.details, run.externalID = orElse(asked.Name, run.name), orElse(asked.DetailsURL, run.details), orElse(asked.ExternalID, run.externalID)
	run.status = orElse(asked.Status, run.status)
	if asked.Output != nil {
		run.output = *asked.Output
	}
	if run.started.IsZero() {
		run.started = now
	}
	if asked.StartedAt != nil {
		run.started = asked.StartedAt.UTC()
	}
	if asked.Conclusion == "" {
		if run.status != statusCompleted {
			run.conclusion, run.completed = "", time.Time{}
		}
		return nil
	}
	run.status, run.conclusion, run.completed = statusCompleted, asked.Conclusion, now
	if asked.CompletedAt != nil {
		run.completed = asked.CompletedAt.UTC()
	}
	return nil
}

// afterCheck records and announces a run, and its suite's end.
func (r *Repository) afterCheck(run *checkRun, action string, kind EffectKind, by actor) {
	detail := run.name + "=" + orElse(run.conclusion, run.status)
	r.server.record(Effect{Kind: kind, Repository: r.fullName(), SHA: run.sha, Detail: detail}, by)
	r.emitCheckRun(run, action, by)
	if action == "created" && run.status == statusCompleted {
		r.emitCheckRun(run, "completed", by)
	}
	status, _ := r.suiteState(run.suite)
	done := status == statusCompleted
	if done {
		r.emitCheckSuite(run.suite, "completed", by)
	}
	run.suite.done = done
}

// suiteOf returns the App's suite of a commit and announces it when it is new.
func (r *Repository) suiteOf(sha string, by actor) *checkSuite {
	app := by.app
	if app == nil {
		app = r.server.actionsApp()
	}
	for _, suite := range r.suites {
		if suite.sha == sha && suite.app.ID == app.ID {
			return suite
		}
	}
	suite := &checkSuite{id: r.server.nextID(), sha: sha, app: app, created: r.server.now()}
	r.suites = append(r.suites, suite)
	r.emitCheckSuite(suite, "requested", by)
	return suite
}

// suiteState sums up the newest runs of a suite.
func (r *Repository) suiteState(suite *checkSuite) (status, conclusion string) {
	runs := r.latestChecks(suite.sha, suite)
	if len(runs) == 0 {
		return statusQueued, ""
	}
	conclusion = "success"
	for _, run := range runs {
		if run.status != statusCompleted {
			return "in_progress", ""
		}
		if !passes(run.conclusion) {
			conclusion = run.conclusion
		}
	}
	return statusCompleted, conclusion
}

func passes(conclusion string) bool {
	return conclusion == "success" || conclusion == "neutral" || conclusion == "skipped"
}

// latestChecks returns the newest run of every name and suite on a commit, newest
// first; only those of one suite when it is given.
func (r *Repository) latestChecks(sha string, only *checkSuite) []*checkRun {
	type key struct {
		suite *checkSuite
		name  string
	}
	seen := map[key]bool{}
	var latest []*checkRun
	for _, run := range slices.Backward(r.checks) {
		k := key{run.suite, run.name}
		if run.sha != sha || seen[k] || only != nil && run.suite != only {
			continue
		}
		seen[k] = true
		latest = append(latest, run)
	}
	return latest
}

// verdict is how one required check stands.
type verdict int

const (
	verdictMissing verdict = iota
	verdictPending
	verdictFailed
	verdictPassed
)

// verdictOf judges the statuses and check runs of one name together: all must pass.
func (r *Repository) verdictOf(sha, name string) verdict {
	result := verdictMissing
	take := func(one verdict) {
		if result == verdictMissing || one < result && result != verdictFailed || one == verdictFailed {
			result = one
		}
	}
	for _, status := range r.latestStatuses(sha) {
		if status.context == name {
			take(map[string]verdict{"success": verdictPassed, "pending": verdictPending}[status.state])
			if status.state == "failure" || status.state == "error" {
				take(verdictFailed)
			}
		}
	}
	for _, run := range r.latestChecks(sha, nil) {
		switch {
		case run.name != name:
		case run.status != statusCompleted:
			take(verdictPending)
		case passes(run.conclusion):
			take(verdictPassed)
		default:
			take(verdictFailed)
		}
	}
	return result
}

// allPassed says whether nothing on a commit is failing or pending.
func (r *Repository) allPassed(sha string) bool {
	latest := r.latestStatuses(sha)
	if len(latest) > 0 && combinedState(latest) != "success" {
		return false
	}
	return !slices.ContainsFunc(r.latestChecks(sha, nil), func(run *checkRun) bool {
		return run.status != statusCompleted || !passes(run.conclusion)
	})
}

func listCheckRuns(c *call) (reply, error) {
	found, err := c.commitOf(c.vars["ref"])
	if err != nil {
		return reply{}, err
	}
	runs := c.repo.latestChecks(found.sha, nil)
	if c.query.Get("filter") == "all" {
		runs = nil
		for _, run := range slices.Backward(c.repo.checks) {
			if run.sha == found.sha {
				runs = append(runs, run)
			}
		}
	}
	runs = slices.DeleteFunc(runs, func(run *checkRun) bool {
		name, status, app := c.query.Get("check_name"), c.query.Get("status"), c.query.Get("app_id")
		return name != "" && name != run.name || status != "" && status != run.status || app != "" && app != strconv.FormatInt(run.suite.app.ID, 10)
	})
	rendered, header := pageOf(c, runs, c.repo.renderCheck)
	return reply{status: http.StatusOK, header: header, body: object{"total_count": len(runs), "check_runs": rendered}}, nil
}

func (c *call) checkRunOf() (*checkRun, error) {
	id, err := c.number("check_run_id")
	if err != nil {
		return nil, err
	}
	for _, run := range c.repo.checks {
		if run.id == id {
			return run, nil
		}
	}
	return nil, notFound()
}

func getCheckRun(c *call) (reply, error) {
	run, err := c.checkRunOf()
	if err != nil {
		return reply{}, err
	}
	return ok(c.repo.renderCheck(run))
}

func createCheckRun(c *call) (reply, error) {
	if c.who.kind != installation {
		return reply{}, refuse(http.StatusForbidden, "You must authenticate via a GitHub App.")
	}
	asked, err := decode[checkRequest](c)
	if err != nil {
		return reply{}, err
	}
	run, err := c.repo.createCheck(asked, c.who.actor())
	if err != nil {
		return reply{}, err
	}
	return created(c.repo.renderCheck(run))
}

func updateCheckRun(c *call) (reply, error) {
	run, err := c.checkRunOf()
	if err != nil {
		return reply{}, err
	}
	if c.who.kind != installation || c.who.app.ID != run.suite.app.ID {
		return reply{}, refuse(http.StatusForbidden, "Invalid app_id `%d` - check run can only be modified by the GitHub App that created it.", run.suite.app.ID)
	}
	asked, err := decode[checkRequest](c)
	if err != nil {
		return reply{}, err
	}
	if err := c.repo.updateCheck(run, asked, c.who.actor()); err != nil {
		return reply{}, err
	}
	return ok(c.repo.renderCheck(run))
}

func listCheckSuites(c *call) (reply, error) {
	found, err := c.commitOf(c.vars["ref"])
	if err != nil {
		return reply{}, err
	}
	var suites []*checkSuite
	for _, suite := range c.repo.suites {
		if suite.sha == found.sha {
			suites = append(suites, suite)
		}
	}
	rendered, header := pageOf(c, suites, func(suite *checkSuite) object {
		body := c.repo.renderSuite(suite)
		body["repository"] = c.renderRepository(c.repo)
		return body
	})
	return reply{status: http.StatusOK, header: header, body: object{"total_count": len(suites), "check_suites": rendered}}, nil
}
