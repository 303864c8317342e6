package github

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxStatuses is GitHub's bound for one commit and context.
const maxStatuses = 1000

func itoa(n int) string { return strconv.Itoa(n) }

// commitStatus is one status of a commit; the newest of a context counts.
type commitStatus struct {
	id                                  int64
	state, context, description, target string
	creator                             *account
	created                             time.Time
}

// newStatus is what is asked for when a status is set.
type newStatus struct {
	State       string `json:"state"`
	Context     string `json:"context"`
	Description string `json:"description"`
	TargetURL   string `json:"target_url"`
}

func (r *Repository) setStatus(sha string, asked newStatus, by actor) (*commitStatus, error) {
	found, err := r.commitBySHA(sha)
	if err != nil {
		return nil, err
	}
	asked.Context = orElse(asked.Context, "default")
	if !slices.Contains([]string{"error", "failure", "pending", "success"}, asked.State) {
		return nil, invalid(FieldError{Resource: "Status", Field: "state", Code: "invalid"})
	}
	if len([]rune(asked.Description)) > 140 {
		return nil, invalid(FieldError{Resource: "Status", Field: "description", Code: "custom", Message: "description is too long (maximum is 140 characters)"})
	}
	same := 0
	for _, status := range r.statuses[found.sha] {
		if status.context == asked.Context {
			same++
		}
	}
	if same >= maxStatuses {
		return nil, invalidCustom("Status", "This SHA and context has reached the maximum number of statuses.")
	}
	status := &commitStatus{
		id: r.server.nextID(), state: asked.State, context: asked.Context, description: asked.Description, target: asked.TargetURL,
		creator: by.account, created: r.server.now(),
	}
	r.statuses[found.sha] = append(r.statuses[found.sha], status)
	r.server.record(Effect{Kind: StatusCreated, Repository: r.fullName(), SHA: found.sha, Detail: status.context + "=" + status.state}, by)
	return status, r.emitStatus(found, status, by)
}

// commitBySHA takes full SHAs only, as where something is attached to a commit.
func (r *Repository) commitBySHA(sha string) (*commit, error) {
	if r.empty() {
		return nil, errEmpty()
	}
	if !isSHA(strings.ToLower(sha)) {
		return nil, noCommit(sha)
	}
	return r.peel(strings.ToLower(sha))
}

// latestStatuses returns the newest status of every context, newest first.
func (r *Repository) latestStatuses(sha string) []*commitStatus {
	seen := map[string]bool{}
	var latest []*commitStatus
	for _, status := range slices.Backward(r.statuses[sha]) {
		if !seen[status.context] {
			seen[status.context] = true
			latest = append(latest, status)
		}
	}
	return latest
}

// combinedState sums statuses up as GitHub does: none at all is pending.
func combinedState(latest []*commitStatus) string {
	state := "success"
	if len(latest) == 0 {
		state = "pending"
	}
	for _, status := range latest {
		switch status.state {
		case "error", "failure":
			return "failure"
		case "pending":
			state = "pending"
		}
	}
	return state
}

func (r *Repository) renderStatus(sha string, status *commitStatus) object {
	avatar := r.server.renderAccount(status.creator)["avatar_url"]
	return object{
		"url": r.server.APIURL() + "/repos/" + r.fullName() + "/statuses/" + sha, "avatar_url": avatar,
		"id": status.id, "node_id": nodeID("StatusContext", status.id), "state": status.state,
		"description": textOrNull(status.description), "target_url": textOrNull(status.target), "context": status.context,
		"created_at": stamp(status.created), "updated_at": stamp(status.created),
	}
}

func createStatus(c *call) (reply, error) {
	asked, err := decode[newStatus](c)
	if err != nil {
		return reply{}, err
	}
	status, err := c.repo.setStatus(c.vars["sha"], asked, c.who.actor())
	if err != nil {
		return reply{}, err
	}
	body := c.repo.renderStatus(strings.ToLower(c.vars["sha"]), status)
	body["creator"] = c.renderAccount(status.creator)
	return created(body)
}

func getCombinedStatus(c *call) (reply, error) {
	found, err := c.commitOf(c.vars["ref"])
	if err != nil {
		return reply{}, err
	}
	latest := c.repo.latestStatuses(found.sha)
	statuses, header := pageOf(c, latest, func(s *commitStatus) object { return c.repo.renderStatus(found.sha, s) })
	api := c.APIURL() + "/repos/" + c.repo.fullName() + "/commits/" + found.sha
	return reply{status: http.StatusOK, header: header, body: object{
		"state": combinedState(latest), "statuses": statuses, "sha": found.sha, "total_count": len(latest),
		"repository": c.renderRepository(c.repo), "commit_url": api, "url": api + "/status",
	}}, nil
}

func listStatuses(c *call) (reply, error) {
	found, err := c.commitOf(c.vars["ref"])
	if err != nil {
		return reply{}, err
	}
	all := slices.Clone(c.repo.statuses[found.sha])
	slices.Reverse(all)
	return listed(c, all, func(status *commitStatus) object {
		body := c.repo.renderStatus(found.sha, status)
		body["creator"] = c.renderAccount(status.creator)
		return body
	})
}
