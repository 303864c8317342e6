package github

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	stateOpen   = "open"
	stateClosed = "closed"
)

// pull is a pull request between two branches of one repository.
type pull struct {
	id               int64
	number           int
	title, body      string
	author           *account
	headRef, headSHA string
	baseRef, baseSHA string
	draft            bool
	state            string
	created, updated time.Time
	closed, mergedAt time.Time
	merged           bool
	mergedBy         *account
	mergeSHA         string
	labels           []*label
	reviewers        []*account
	reviews          []*review
	comments         []*comment
	maintainerEdits  bool

	// judged is the head and base for which mergeable was computed; asked is the
	// pair that a client was answered null for.
	judged, asked [2]string
	mergeable     bool
	testMerge     string
}

func (p *pull) headRefName() string { return fmt.Sprintf("refs/pull/%d/head", p.number) }

// newPull is what is asked for when a pull request is opened.
type newPull struct {
	Title string `json:"title"`
	Head  string `json:"head"`
	Base  string `json:"base"`
	Body  string `json:"body"`
	Draft bool   `json:"draft"`
	// MaintainerCanModify is true when absent.
	MaintainerCanModify *bool `json:"maintainer_can_modify"`
}

func (r *Repository) openPull(asked newPull, by actor) (*pull, error) {
	head := asked.Head
	if owner, branch, named := strings.Cut(head, ":"); named {
		if !strings.EqualFold(owner, r.owner.login) {
			return nil, invalid(FieldError{Resource: "PullRequest", Field: "head", Code: "invalid"})
		}
		head = branch
	}
	if err := r.checkNewPull(asked, head); err != nil {
		return nil, err
	}
	s := r.server
	r.numbers++
	p := &pull{
		id: s.nextID(), number: r.numbers, title: asked.Title, body: asked.Body, author: by.account,
		headRef: head, headSHA: r.refs[heads+head], baseRef: asked.Base, baseSHA: r.refs[heads+asked.Base],
		draft: asked.Draft, state: stateOpen, created: s.now(), updated: s.now(),
		maintainerEdits: asked.MaintainerCanModify == nil || *asked.MaintainerCanModify,
	}
	if err := r.writeRef(p.headRefName(), p.headSHA); err != nil {
		return nil, err
	}
	r.pulls = append(r.pulls, p)
	s.record(Effect{Kind: PullOpened, Repository: r.fullName(), Number: p.number, SHA: p.headSHA, Ref: heads + p.headRef, Detail: p.baseRef}, by)
	r.emitPull(p, by, object{"action": "opened"})
	return p, nil
}

func (r *Repository) checkNewPull(asked newPull, head string) error {
	const resource = "PullRequest"
	var missing []FieldError
	if asked.Title == "" {
		missing = append(missing, FieldError{Resource: "Issue", Field: "title", Code: "missing_field"})
	}
	if r.refs[heads+asked.Base] == "" {
		missing = append(missing, FieldError{Resource: resource, Field: "base", Code: "invalid"})
	}
	if r.refs[heads+head] == "" {
		missing = append(missing, FieldError{Resource: resource, Field: "head", Code: "invalid"})
	}
	if len(missing) > 0 {
		return invalid(missing...)
	}
	for _, other := range r.pulls {
		if other.state == stateOpen && other.headRef == head && other.baseRef == asked.Base {
			return invalidCustom(resource, "A pull request already exists for %s:%s.", r.owner.login, head)
		}
	}
	contained, err := r.isAncestor(r.refs[heads+head], r.refs[heads+asked.Base])
	if err != nil {
		return err
	}
	if contained {
		return invalidCustom(resource, "No commits between %s and %s", asked.Base, head)
	}
	return nil
}

// closePull ends an open pull request without a merge.
func (r *Repository) closePull(p *pull, by actor) {
	if p.state == stateClosed {
		return
	}
	p.state, p.closed, p.updated = stateClosed, r.server.now(), r.server.now()
	r.server.record(Effect{Kind: PullClosed, Repository: r.fullName(), Number: p.number, SHA: p.headSHA}, by)
	r.emitPull(p, by, object{"action": "closed"})
}

func (r *Repository) reopenPull(p *pull, by actor) error {
	if p.state == stateOpen {
		return nil
	}
	if p.merged || r.refs[heads+p.headRef] == "" || r.refs[heads+p.baseRef] == "" {
		return invalid(FieldError{Resource: "PullRequest", Field: "state", Code: "invalid", Message: "state cannot be changed. The branch was deleted or the pull request was merged."})
	}
	if err := r.checkNewPull(newPull{Title: p.title, Base: p.baseRef}, p.headRef); err != nil {
		return err
	}
	p.state, p.closed, p.updated = stateOpen, time.Time{}, r.server.now()
	p.headSHA = r.refs[heads+p.headRef]
	r.server.record(Effect{Kind: PullReopened, Repository: r.fullName(), Number: p.number, SHA: p.headSHA}, by)
	r.emitPull(p, by, object{"action": "reopened"})
	return nil
}

// markMerged ends a pull request as merged by sha.
func (r *Repository) markMerged(p *pull, sha string, by actor) {
	now := r.server.now()
	p.state, p.merged, p.mergedBy, p.mergeSHA = stateClosed, true, by.account, sha
	p.mergedAt, p.closed, p.updated = now, now, now
	r.server.record(Effect{Kind: PullMerged, Repository: r.fullName(), Number: p.number, SHA: sha, Ref: heads + p.baseRef, Detail: p.headSHA}, by)
	r.emitPull(p, by, object{"action": "closed"})
}

func (r *Repository) pull(number int) *pull {
	for _, p := range r.pulls {
		if p.number == number {
			return p
		}
	}
	return nil
}

func (c *call) pullOf(name string) (*pull, error) {
	number, err := c.number(name)
	if err != nil {
		return nil, err
	}
	if p := c.repo.pull(int(number)); p != nil {
		return p, nil
	}
	return nil, notFound()
}

func createPull(c *call) (reply, error) {
	asked, err := decode[newPull](c)
	if err != nil {
		return reply{}, err
	}
	p, err := c.repo.openPull(asked, c.who.actor())
	if err != nil {
		return reply{}, err
	}
	body, err := c.repo.renderPull(p)
	if err != nil {
		return reply{}, err
	}
	return created(body)
}

func getPull(c *call) (reply, error) {
	p, err := c.pullOf("pull_number")
	if err != nil {
		return reply{}, err
	}
	if err := c.repo.judge(p); err != nil {
		return reply{}, err
	}
	body, err := c.repo.renderPull(p)
	if err != nil {
		return reply{}, err
	}
	return ok(body)
}

func listPulls(c *call) (reply, error) {
	state := c.query.Get("state")
	if state == "" {
		state = stateOpen
	}
	var matching []*pull
	for _, p := range c.repo.pulls {
		if state != "all" && p.state != state || !c.repo.fromHead(p, c.query.Get("head")) {
			continue
		}
		if base := c.query.Get("base"); base != "" && p.baseRef != base {
			continue
		}
		matching = append(matching, p)
	}
	by := func(p *pull) time.Time { return p.created }
	if c.query.Get("sort") == "updated" {
		by = func(p *pull) time.Time { return p.updated }
	}
	ascending := c.query.Get("direction") == "asc"
	slices.SortStableFunc(matching, func(a, b *pull) int {
		order := by(a).Compare(by(b))
		if order == 0 {
			order = a.number - b.number
		}
		if !ascending {
			order = -order
		}
		return order
	})
	return listed(c, matching, c.repo.renderPullSimple)
}

// fromHead applies the filter "owner:branch"; GitHub ignores one without an owner.
func (r *Repository) fromHead(p *pull, filter string) bool {
	owner, branch, named := strings.Cut(filter, ":")
	if !named {
		return true
	}
	return strings.EqualFold(owner, r.owner.login) && branch == p.headRef
}

func updatePull(c *call) (reply, error) {
	p, err := c.pullOf("pull_number")
	if err != nil {
		return reply{}, err
	}
	asked, err := decode[struct {
		Title *string `json:"title"`
		Body  *string `json:"body"`
		State string  `json:"state"`
		Base  string  `json:"base"`
	}](c)
	if err != nil {
		return reply{}, err
	}
	by := c.who.actor()
	switch asked.State {
	case "":
	case stateClosed:
		c.repo.closePull(p, by)
	case stateOpen:
		if err := c.repo.reopenPull(p, by); err != nil {
			return reply{}, err
		}
	default:
		return reply{}, invalid(FieldError{Resource: "PullRequest", Field: "state", Code: "invalid"})
	}
	if asked.Base != "" && asked.Base != p.baseRef {
		if c.repo.refs[heads+asked.Base] == "" || p.state == stateClosed {
			return reply{}, invalid(FieldError{Resource: "PullRequest", Field: "base", Code: "invalid"})
		}
	}
	c.repo.editPull(p, edit{title: asked.Title, body: asked.Body, base: asked.Base}, by)
	body, err := c.repo.renderPull(p)
	if err != nil {
		return reply{}, err
	}
	return ok(body)
}

type edit struct {
	title, body *string
	base        string
}

func (r *Repository) editPull(p *pull, e edit, by actor) {
	changes := object{}
	if e.title != nil && *e.title != p.title {
		changes["title"] = object{"from": p.title}
		p.title = *e.title
	}
	if e.body != nil && *e.body != p.body {
		changes["body"] = object{"from": p.body}
		p.body = *e.body
	}
	if e.base != "" && e.base != p.baseRef {
		changes["base"] = object{"ref": object{"from": p.baseRef}, "sha": object{"from": p.baseSHA}}
		p.baseRef, p.baseSHA = e.base, r.refs[heads+e.base]
	}
	if len(changes) == 0 {
		return
	}
	p.updated = r.server.now()
	r.server.record(Effect{Kind: PullEdited, Repository: r.fullName(), Number: p.number}, by)
	r.emitPull(p, by, object{"action": "edited", "changes": changes})
}

func listPullCommits(c *call) (reply, error) {
	p, err := c.pullOf("pull_number")
	if err != nil {
		return reply{}, err
	}
	compared, err := c.repo.pullComparison(p)
	if err != nil {
		return reply{}, err
	}
	return listed(c, compared.commits[:min(len(compared.commits), maxComparedCommits)], c.repo.renderCommit)
}

func listPullFiles(c *call) (reply, error) {
	p, err := c.pullOf("pull_number")
	if err != nil {
		return reply{}, err
	}
	files, err := c.repo.pullFiles(p)
	if err != nil {
		return reply{}, err
	}
	rendered := c.repo.renderFiles(files, p.headSHA)
	return listed(c, rendered, func(o object) object { return o })
}

// pullComparison compares head and base as they were when the pull request last
// moved: after the merge there would be nothing left to see.
func (r *Repository) pullComparison(p *pull) (*comparison, error) {
	base, err := r.commit(p.baseSHA)
	if err != nil {
		return nil, err
	}
	head, err := r.commit(p.headSHA)
	if err != nil {
		return nil, err
	}
	compared, err := r.compare(base, head)
	if err == nil && compared == nil {
		compared = &comparison{mergeBase: base}
	}
	return compared, err
}

func (r *Repository) pullFiles(p *pull) ([]fileChange, error) {
	compared, err := r.pullComparison(p)
	if err != nil {
		return nil, err
	}
	return r.diff(compared.mergeBase.sha, p.headSHA)
}

func mergePull(c *call) (reply, error) {
	p, err := c.pullOf("pull_number")
	if err != nil {
		return reply{}, err
	}
	asked, err := decode[mergeRequest](c)
	if err != nil {
		return reply{}, err
	}
	sha, err := c.repo.merge(p, asked, c.who.actor())
	if err != nil {
		return reply{}, err
	}
	return reply{status: http.StatusOK, body: object{"sha": sha, "merged": true, "message": "Pull Request successfully merged"}}, nil
}
