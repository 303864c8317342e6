package github

import (
	"fmt"
	"strings"
)

func (r *Repository) renderCheck(run *checkRun) object {
	url := fmt.Sprintf("%s/repos/%s/check-runs/%d", r.server.APIURL(), r.fullName(), run.id)
	html := fmt.Sprintf("%s/%s/runs/%d", r.server.URL(), r.fullName(), run.id)
	return object{
		"id": run.id, "node_id": nodeID("CheckRun", run.id), "head_sha": run.sha, "external_id": run.externalID,
		"url": url, "html_url": html, "details_url": orElse(run.details, html), "status": run.status,
		"conclusion": textOrNull(run.conclusion), "started_at": stampOrNull(run.started), "completed_at": stampOrNull(run.completed),
		"output": object{
			"title": textOrNull(run.output.Title), "summary": textOrNull(run.output.Summary), "text": textOrNull(run.output.Text),
			"annotations_count": 0, "annotations_url": url + "/annotations",
		},
		"name": run.name, "check_suite": object{"id": run.suite.id}, "app": r.server.renderApp(run.suite.app),
		"pull_requests": r.renderPullsMinimal(run.sha),
	}
}

// renderPullsMinimal lists the open pull requests whose head is the commit.
func (r *Repository) renderPullsMinimal(sha string) []object {
	repo := object{"id": r.id, "name": r.name, "url": r.server.APIURL() + "/repos/" + r.fullName()}
	list := []object{}
	for _, p := range r.pulls {
		if p.state == stateOpen && p.headSHA == sha {
			list = append(list, object{
				"id": p.id, "number": p.number, "url": fmt.Sprintf("%s/pulls/%d", repo["url"], p.number),
				"head": object{"ref": p.headRef, "sha": p.headSHA, "repo": repo},
				"base": object{"ref": p.baseRef, "sha": p.baseSHA, "repo": repo},
			})
		}
	}
	return list
}

func (r *Repository) renderSuite(suite *checkSuite) object {
	status, conclusion := r.suiteState(suite)
	url := fmt.Sprintf("%s/repos/%s/check-suites/%d", r.server.APIURL(), r.fullName(), suite.id)
	var branch any // null for a commit that is no head
	for _, ref := range r.sortedRefs(heads) {
		if r.refs[ref] == suite.sha {
			branch = strings.TrimPrefix(ref, heads)
			break
		}
	}
	body := object{
		"id": suite.id, "node_id": nodeID("CheckSuite", suite.id), "head_branch": branch, "head_sha": suite.sha,
		"status": status, "conclusion": textOrNull(conclusion), "url": url, "before": nil, "after": suite.sha,
		"pull_requests": r.renderPullsMinimal(suite.sha), "app": r.server.renderApp(suite.app),
		"created_at": stamp(suite.created), "updated_at": stamp(suite.created), "rerequestable": true, "runs_rerequestable": true,
		"latest_check_runs_count": len(r.latestChecks(suite.sha, suite)), "check_runs_url": url + "/check-runs",
	}
	if head := r.commits[suite.sha]; head != nil {
		body["head_commit"] = object{
			"id": head.sha, "tree_id": head.tree, "message": head.message, "timestamp": stamp(head.committer.when),
			"author":    object{"name": head.author.name, "email": head.author.email},
			"committer": object{"name": head.committer.name, "email": head.committer.email},
		}
	}
	return body
}
