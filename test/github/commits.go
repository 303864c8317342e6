package github

import (
	"net/http"
	"strconv"
	"strings"
)

// maxComparedCommits and maxComparedFiles are GitHub's bounds for one comparison.
const (
	maxComparedCommits = 250
	maxComparedFiles   = 300
)

func (s *Server) renderGitUser(who signature) object {
	return object{"name": who.name, "email": who.email, "date": stamp(who.when)}
}

func unsigned() object {
	return object{"verified": false, "reason": "unsigned", "signature": nil, "payload": nil, "verified_at": nil}
}

// renderCommit is a commit without its files.
func (r *Repository) renderCommit(c *commit) object {
	s := r.server
	api, html := s.APIURL()+"/repos/"+r.fullName(), s.URL()+"/"+r.fullName()+"/commit/"
	parents := make([]object, 0, len(c.parents))
	for _, parent := range c.parents {
		parents = append(parents, object{"sha": parent, "url": api + "/commits/" + parent, "html_url": html + parent})
	}
	body := object{
		"sha": c.sha, "node_id": nodeID("Commit", c.sha), "url": api + "/commits/" + c.sha, "html_url": html + c.sha,
		"comments_url": api + "/commits/" + c.sha + "/comments",
		"commit": object{
			"url": api + "/git/commits/" + c.sha, "author": s.renderGitUser(c.author), "committer": s.renderGitUser(c.committer),
			"message": c.message, "comment_count": 0, "verification": unsigned(),
			"tree": object{"sha": c.tree, "url": api + "/git/trees/" + c.tree},
		},
		"author": nil, "committer": nil, "parents": parents,
	}
	for role, who := range map[string]signature{"author": c.author, "committer": c.committer} {
		if known := s.accountByEmail(who.email); known != nil {
			body[role] = s.renderAccount(known)
		}
	}
	return body
}

// commitOf resolves a name of the request's path.
func (c *call) commitOf(name string) (*commit, error) {
	if c.repo.empty() {
		return nil, errEmpty()
	}
	return c.repo.resolve(name)
}

func getCommit(c *call) (reply, error) {
	found, err := c.commitOf(c.vars["ref"])
	if err != nil {
		return reply{}, err
	}
	files, err := c.repo.filesOf(found)
	if err != nil {
		return reply{}, err
	}
	body := c.repo.renderCommit(found)
	additions, deletions := 0, 0
	for _, file := range files {
		additions, deletions = additions+file.additions, deletions+file.deletions
	}
	body["stats"] = object{"additions": additions, "deletions": deletions, "total": additions + deletions}
	p := page{number: positive(c.query.Get("page"), 1), size: min(positive(c.query.Get("per_page"), maxComparedFiles), maxComparedFiles)}
	from, to := p.bounds(len(files))
	body["files"] = c.repo.renderFiles(files[from:to], found.sha)
	return reply{status: http.StatusOK, body: body, header: c.links(p, len(files))}, nil
}

func listCommits(c *call) (reply, error) {
	start, err := c.commitOf(c.query.Get("sha"))
	if err != nil {
		if c.query.Get("sha") != "" && !c.repo.empty() {
			return reply{}, notFound()
		}
		return reply{}, err
	}
	p := c.page()
	count := []string{"rev-list", "--count", start.sha}
	list := []string{"--skip=" + strconv.Itoa((p.number-1)*p.size), "-" + strconv.Itoa(p.size), start.sha}
	for _, bound := range []string{"since", "until"} {
		if value := c.query.Get(bound); value != "" {
			count, list = append(count, "--"+bound+"="+value), append(list, "--"+bound+"="+value)
		}
	}
	count, list = append(count, "--"), append(list, "--")
	if path := c.query.Get("path"); path != "" {
		count, list = append(count, path), append(list, path)
	}
	text, err := c.repo.git(count...)
	if err != nil {
		return reply{}, err
	}
	total, _ := strconv.Atoi(text) // Git prints a number
	commits, err := c.repo.logCommits(list...)
	if err != nil {
		return reply{}, err
	}
	body := make([]object, 0, len(commits))
	for _, found := range commits {
		body = append(body, c.repo.renderCommit(found))
	}
	return reply{status: http.StatusOK, body: body, header: c.links(p, total)}, nil
}

func listCommitPulls(c *call) (reply, error) {
	found, err := c.commitOf(c.vars["commit_sha"])
	if err != nil {
		return reply{}, err
	}
	var containing []*pull
	for _, p := range c.repo.pulls {
		contains, err := c.repo.pullContains(p, found.sha)
		if err != nil {
			return reply{}, err
		}
		if contains {
			containing = append(containing, p)
		}
	}
	return listed(c, containing, c.repo.renderPullSimple)
}

// pullContains says whether a commit is one that the pull request brings or brought,
// or what its merge made.
func (r *Repository) pullContains(p *pull, sha string) (bool, error) {
	if p.merged && p.mergeSHA == sha || p.headSHA == sha {
		return true, nil
	}
	onHead, err := r.isAncestor(sha, p.headSHA)
	if err != nil || !onHead {
		return false, err
	}
	onBase, err := r.isAncestor(sha, p.baseSHA)
	return !onBase, err
}

// comparison is what lies between two commits; it never changes.
type comparison struct {
	mergeBase     *commit
	ahead, behind int
	commits       []*commit
}

// compare returns nil when the two have no common ancestor.
func (r *Repository) compare(base, head *commit) (*comparison, error) {
	key := [2]string{base.sha, head.sha}
	if known := r.comparisons[key]; known != nil {
		return known, nil
	}
	common, err := r.mergeBase(base.sha, head.sha)
	if err != nil || common == "" {
		return nil, err
	}
	made := &comparison{}
	if made.mergeBase, err = r.commit(common); err != nil {
		return nil, err
	}
	counts, err := r.git("rev-list", "--left-right", "--count", base.sha+"..."+head.sha)
	if err != nil {
		return nil, err
	}
	left, right, _ := strings.Cut(counts, "\t")
	made.behind, _ = strconv.Atoi(left) // Git prints numbers
	made.ahead, _ = strconv.Atoi(right)
	if made.ahead > 0 {
		if made.commits, err = r.logCommits("--reverse", "--topo-order", base.sha+".."+head.sha, "--"); err != nil {
			return nil, err
		}
	}
	r.comparisons[key] = made
	return made, nil
}

func (c *comparison) status() string {
	switch {
	case c.ahead > 0 && c.behind > 0:
		return "diverged"
	case c.ahead > 0:
		return "ahead"
	case c.behind > 0:
		return "behind"
	}
	return "identical"
}

// side resolves one side of a comparison, "ref" or "owner:ref".
func (c *call) side(name string) (*commit, error) {
	if owner, ref, named := strings.Cut(name, ":"); named {
		if !strings.EqualFold(owner, c.repo.owner.login) {
			return nil, notFound()
		}
		name = ref
	}
	found, err := c.repo.resolve(name)
	if err != nil || name == "" {
		return nil, notFound()
	}
	return found, nil
}

func compareCommits(c *call) (reply, error) {
	baseName, headName, well := strings.Cut(c.vars["basehead"], "...")
	if !well {
		return reply{}, notFound()
	}
	base, err := c.side(baseName)
	if err != nil {
		return reply{}, err
	}
	head, err := c.side(headName)
	if err != nil {
		return reply{}, err
	}
	compared, err := c.repo.compare(base, head)
	if err != nil {
		return reply{}, err
	}
	if compared == nil {
		return reply{}, refuse(http.StatusNotFound, "No common ancestor between %s and %s.", baseName, headName)
	}
	files, err := c.repo.diff(compared.mergeBase.sha, head.sha)
	if err != nil {
		return reply{}, err
	}
	return c.renderComparison(base, head, compared, files)
}

func (c *call) renderComparison(base, head *commit, compared *comparison, files []fileChange) (reply, error) {
	p := page{number: 1, size: maxComparedCommits}
	paged := c.query.Has("page") || c.query.Has("per_page")
	if paged {
		p = c.page()
		p.size = min(positive(c.query.Get("per_page"), maxComparedCommits), maxComparedCommits)
	}
	from, to := p.bounds(len(compared.commits))
	listing := compared.commits[from:to]
	if !paged {
		// Without paging, GitHub keeps the newest commits when there are too many.
		listing = compared.commits[max(0, len(compared.commits)-maxComparedCommits):]
	}
	commits := make([]object, 0, len(listing))
	for _, one := range listing {
		commits = append(commits, c.repo.renderCommit(one))
	}
	span := "/compare/" + c.vars["basehead"]
	html := c.URL() + "/" + c.repo.fullName() + span
	body := object{
		"url": c.APIURL() + "/repos/" + c.repo.fullName() + span, "html_url": html, "diff_url": html + ".diff", "patch_url": html + ".patch",
		"permalink_url": c.URL() + "/" + c.repo.fullName() + "/compare/" + base.sha[:12] + "..." + head.sha[:12],
		"base_commit":   c.repo.renderCommit(base), "merge_base_commit": c.repo.renderCommit(compared.mergeBase),
		"status": compared.status(), "ahead_by": compared.ahead, "behind_by": compared.behind, "total_commits": compared.ahead,
		"commits": commits,
	}
	if p.number == 1 {
		body["files"] = c.repo.renderFiles(files[:min(len(files), maxComparedFiles)], head.sha)
	}
	header := http.Header{}
	if paged {
		header = c.links(p, len(compared.commits))
	}
	return reply{status: http.StatusOK, body: body, header: header}, nil
}
