package github

import (
	"fmt"
	"maps"
)

// renderPullSimple is a pull request in a list.
func (r *Repository) renderPullSimple(p *pull) object {
	s := r.server
	html := fmt.Sprintf("%s/%s/pull/%d", s.URL(), r.fullName(), p.number)
	root := s.APIURL() + "/repos/" + r.fullName()
	api, issue := fmt.Sprintf("%s/pulls/%d", root, p.number), fmt.Sprintf("%s/issues/%d", root, p.number)
	reviewers := []object{}
	for _, reviewer := range p.reviewers {
		reviewers = append(reviewers, s.renderAccount(reviewer))
	}
	body := object{
		"url": api, "id": p.id, "node_id": nodeID("PullRequest", p.id), "html_url": html, "diff_url": html + ".diff",
		"patch_url": html + ".patch", "issue_url": issue, "number": p.number, "state": p.state, "locked": false, "title": p.title,
		"user": s.renderAccount(p.author), "body": textOrNull(p.body), "created_at": stamp(p.created), "updated_at": stamp(p.updated),
		"closed_at": stampOrNull(p.closed), "merged_at": stampOrNull(p.mergedAt), "merge_commit_sha": r.mergeCommitSHA(p),
		"assignee": nil, "assignees": []object{}, "requested_reviewers": reviewers, "requested_teams": []object{},
		"labels": r.renderLabels(p.labels), "milestone": nil, "draft": p.draft,
		"commits_url": api + "/commits", "review_comments_url": api + "/comments", "review_comment_url": root + "/pulls/comments{/number}",
		"comments_url": issue + "/comments", "statuses_url": root + "/statuses/" + p.headSHA,
		"head": r.renderSide(p.headRef, p.headSHA), "base": r.renderSide(p.baseRef, p.baseSHA),
		"author_association": association(p.author), "auto_merge": nil, "active_lock_reason": nil,
	}
	links := object{}
	for name, key := range map[string]string{
		"self": "url", "html": "html_url", "issue": "issue_url", "comments": "comments_url", "review_comments": "review_comments_url",
		"review_comment": "review_comment_url", "commits": "commits_url", "statuses": "statuses_url",
	} {
		links[name] = object{"href": body[key]}
	}
	body["_links"] = links
	return body
}

// mergeCommitSHA is the merge once there is one, before that GitHub's test merge.
func (r *Repository) mergeCommitSHA(p *pull) any {
	if p.merged {
		return p.mergeSHA
	}
	if r.known(p) {
		return textOrNull(p.testMerge)
	}
	return nil
}

func association(a *account) string {
	if a.kind == TypeBot {
		return "NONE"
	}
	return "COLLABORATOR"
}

func (r *Repository) renderSide(ref, sha string) object {
	return object{
		"label": r.owner.login + ":" + ref, "ref": ref, "sha": sha,
		"user": r.server.renderAccount(r.owner), "repo": r.server.renderRepository(r),
	}
}

// renderPull is a pull request by itself.
func (r *Repository) renderPull(p *pull) (object, error) {
	compared, err := r.pullComparison(p)
	if err != nil {
		return nil, err
	}
	files, err := r.pullFiles(p)
	if err != nil {
		return nil, err
	}
	additions, deletions := 0, 0
	for _, file := range files {
		additions, deletions = additions+file.additions, deletions+file.deletions
	}
	body := r.renderPullSimple(p)
	maps.Copy(body, object{
		"merged": p.merged, "mergeable": nil, "rebaseable": nil, "mergeable_state": "unknown", "merged_by": nil,
		"comments": len(p.comments), "review_comments": 0, "maintainer_can_modify": p.maintainerEdits && p.state == stateOpen,
		"commits": compared.ahead, "additions": additions, "deletions": deletions, "changed_files": len(files),
	})
	if p.merged {
		body["merged_by"] = r.server.renderAccount(p.mergedBy)
	}
	if p.state == stateOpen && r.known(p) {
		body["mergeable"], body["rebaseable"], body["mergeable_state"] = p.mergeable, p.mergeable, r.mergeableState(p)
	}
	return body, nil
}
