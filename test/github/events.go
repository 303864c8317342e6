package github

import (
	"encoding/json"
	"strings"
)

func marshal(payload object) ([]byte, error) { return json.Marshal(payload) }

func (r *Repository) emitPull(p *pull, by actor, extra object) {
	if !r.heard("pull_request") {
		return
	}
	body, err := r.renderPull(p)
	if err != nil {
		body = r.renderPullSimple(p)
	}
	extra["number"], extra["pull_request"] = p.number, body
	r.server.emit(event{name: "pull_request", repo: r, by: by, payload: extra})
}

func (r *Repository) emitRelease(rel *release, action string, by actor) {
	body := r.renderRelease(rel)
	r.server.emit(event{name: "release", repo: r, by: by, payload: object{"action": action, "release": body}})
}

func (r *Repository) emitCheckRun(run *checkRun, action string, by actor) {
	if !r.heard("check_run") {
		return
	}
	body := r.renderCheck(run)
	body["check_suite"] = r.renderSuite(run.suite)
	r.server.emit(event{name: "check_run", repo: r, by: by, payload: object{"action": action, "check_run": body}})
}

func (r *Repository) emitCheckSuite(suite *checkSuite, action string, by actor) {
	if !r.heard("check_suite") {
		return
	}
	r.server.emit(event{name: "check_suite", repo: r, by: by, payload: object{"action": action, "check_suite": r.renderSuite(suite)}})
}

func (r *Repository) emitStatus(c *commit, status *commitStatus, by actor) error {
	if !r.heard("status") {
		return nil
	}
	containing, err := r.git("for-each-ref", "--contains="+c.sha, "--count="+itoa(maxStatusBranches), "--format=%(refname)", heads)
	if err != nil {
		return err
	}
	branches := []object{}
	for ref := range strings.FieldsSeq(containing) {
		name, tip := strings.TrimPrefix(ref, heads), r.refs[ref]
		branches = append(branches, object{
			"name": name, "protected": r.protected(name),
			"commit": object{"sha": tip, "url": r.server.APIURL() + "/repos/" + r.fullName() + "/commits/" + tip},
		})
	}
	payload := r.renderStatus(c.sha, status)
	delete(payload, "node_id")
	delete(payload, "url")
	payload["sha"], payload["name"], payload["branches"] = c.sha, r.fullName(), branches
	payload["commit"] = r.renderCommit(c)
	r.server.emit(event{name: "status", repo: r, by: by, payload: payload})
	return nil
}

// maxStatusBranches is how many branches a status event lists.
const maxStatusBranches = 10

// maxPushedCommits is how many commits a push event lists.
const maxPushedCommits = 2048

// emitPush tells of a ref that moved: create or delete, then push.
func (r *Repository) emitPush(change refChange, forced bool, by actor) error {
	if !r.heard("create", "delete", "push") {
		return nil
	}
	kind, short := "branch", strings.TrimPrefix(change.ref, heads)
	if name, isTag := strings.CutPrefix(change.ref, tags); isTag {
		kind, short = "tag", name
	}
	coming := object{"ref": short, "ref_type": kind, "pusher_type": "user"}
	switch {
	case change.created():
		coming["master_branch"], coming["description"] = r.defaultBranch, nil
		r.server.emit(event{name: "create", repo: r, by: by, payload: coming})
	case change.deleted():
		r.server.emit(event{name: "delete", repo: r, by: by, payload: coming})
	}
	payload, err := r.pushPayload(change, by)
	if err != nil {
		return err
	}
	payload["forced"] = forced
	r.server.emit(event{name: "push", repo: r, by: by, payload: payload})
	return nil
}

func (r *Repository) pushPayload(change refChange, by actor) (object, error) {
	html := r.server.URL() + "/" + r.fullName()
	payload := object{
		"ref": change.ref, "before": change.old, "after": change.new, "created": change.created(), "deleted": change.deleted(),
		"base_ref": nil, "compare": html + "/compare/" + change.old[:12] + "..." + change.new[:12], "commits": []object{}, "head_commit": nil,
		"pusher": object{"name": r.owner.login, "email": r.owner.email()},
	}
	if by.account != nil {
		payload["pusher"] = object{"name": by.account.login, "email": by.account.email()}
	}
	// The repository of a push event dates by seconds since the epoch.
	repo := r.server.renderRepository(r)
	repo["created_at"], repo["pushed_at"] = r.created.Unix(), r.pushed.Unix()
	repo["master_branch"], repo["stargazers"] = r.defaultBranch, 0
	if r.owner.kind == TypeOrganization {
		repo["organization"] = r.owner.login
	}
	owner := r.server.renderAccount(r.owner)
	owner["name"], owner["email"] = r.owner.login, r.owner.email()
	repo["owner"] = owner
	payload["repository"] = repo
	if change.deleted() {
		return payload, nil
	}
	head, err := r.peel(change.new)
	if err != nil {
		return nil, err
	}
	if payload["head_commit"], err = r.renderPushed(head); err != nil {
		return nil, err
	}
	if !strings.HasPrefix(change.ref, heads) {
		return payload, nil
	}
	args := []string{"--reverse", "--topo-order", "-" + itoa(maxPushedCommits), head.sha}
	if change.created() {
		for ref, sha := range r.refs {
			if ref != change.ref && strings.HasPrefix(ref, heads) {
				args = append(args, "^"+sha)
			}
		}
	} else {
		args = append(args, "^"+change.old)
	}
	commits, err := r.logCommits(append(args, "--")...)
	if err != nil {
		return nil, err
	}
	listing := make([]object, 0, len(commits))
	for _, one := range commits {
		rendered, err := r.renderPushed(one)
		if err != nil {
			return nil, err
		}
		listing = append(listing, rendered)
	}
	payload["commits"] = listing
	return payload, nil
}

// renderPushed is a commit as push events carry it.
func (r *Repository) renderPushed(c *commit) (object, error) {
	files, err := r.filesOf(c)
	if err != nil {
		return nil, err
	}
	touched := map[string][]string{"added": {}, "removed": {}, "modified": {}}
	for _, file := range files {
		switch file.status {
		case "added", "removed":
			touched[file.status] = append(touched[file.status], file.path)
		case "renamed":
			touched["added"], touched["removed"] = append(touched["added"], file.path), append(touched["removed"], file.previous)
		default:
			touched["modified"] = append(touched["modified"], file.path)
		}
	}
	user := func(who signature) object {
		body := object{"name": who.name, "email": who.email}
		if known := r.server.accountByEmail(who.email); known != nil {
			body["username"] = known.login
		}
		return body
	}
	return object{
		"id": c.sha, "tree_id": c.tree, "distinct": true, "message": c.message, "timestamp": stamp(c.committer.when),
		"url": r.server.URL() + "/" + r.fullName() + "/commit/" + c.sha, "author": user(c.author), "committer": user(c.committer),
		"added": touched["added"], "removed": touched["removed"], "modified": touched["modified"],
	}, nil
}
