package github

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

const (
	approved         = "APPROVED"
	changesRequested = "CHANGES_REQUESTED"
)

// review is one person's word on a pull request.
type review struct {
	id        int64
	author    *account
	state     string
	body      string
	sha       string
	submitted time.Time
}

// standing returns each reviewer's last decisive review.
func (p *pull) standing() map[*account]string {
	last := map[*account]string{}
	for _, one := range p.reviews {
		if one.state == approved || one.state == changesRequested {
			last[one.author] = one.state
		}
	}
	return last
}

func (p *pull) approvals() int {
	count := 0
	for _, state := range p.standing() {
		if state == approved {
			count++
		}
	}
	return count
}

func (p *pull) changesRequested() bool {
	for _, state := range p.standing() {
		if state == changesRequested {
			return true
		}
	}
	return false
}

// reviewEvents are what a review may say, and the state that it gets.
var reviewEvents = map[string]string{
	"": "PENDING", "APPROVE": approved, "REQUEST_CHANGES": changesRequested, "COMMENT": "COMMENTED",
}

func (r *Repository) submitReview(p *pull, verdict, text string, by actor) (*review, error) {
	state, known := reviewEvents[verdict]
	if !known {
		return nil, refuse(http.StatusUnprocessableEntity, "Invalid request.\n\n%q is not a possible event.", verdict)
	}
	if by.account == p.author && (state == approved || state == changesRequested) {
		word := map[string]string{approved: "approve", changesRequested: "request changes on"}[state]
		return nil, refuse(http.StatusUnprocessableEntity, "Unprocessable Entity: Can not %s your own pull request", word)
	}
	one := &review{id: r.server.nextID(), author: by.account, state: state, body: text, sha: p.headSHA, submitted: r.server.now()}
	p.reviews = append(p.reviews, one)
	p.reviewers = slices.DeleteFunc(p.reviewers, func(a *account) bool { return a == by.account })
	p.updated = r.server.now()
	r.server.record(Effect{Kind: ReviewSubmitted, Repository: r.fullName(), Number: p.number, SHA: p.headSHA, Detail: state}, by)
	body := r.renderReview(p, one)
	body["state"] = strings.ToLower(state)
	r.server.emit(event{name: "pull_request_review", repo: r, by: by, payload: object{
		"action": "submitted", "review": body, "pull_request": r.renderPullSimple(p),
	}})
	return one, nil
}

func (r *Repository) renderReview(p *pull, one *review) object {
	html := fmt.Sprintf("%s/%s/pull/%d#pullrequestreview-%d", r.server.URL(), r.fullName(), p.number, one.id)
	api := fmt.Sprintf("%s/repos/%s/pulls/%d", r.server.APIURL(), r.fullName(), p.number)
	return object{
		"id": one.id, "node_id": nodeID("PullRequestReview", one.id), "user": r.server.renderAccount(one.author), "body": one.body,
		"state": one.state, "html_url": html, "pull_request_url": api, "commit_id": one.sha, "submitted_at": stamp(one.submitted),
		"author_association": association(one.author),
		"_links":             object{"html": object{"href": html}, "pull_request": object{"href": api}},
	}
}

func listReviews(c *call) (reply, error) {
	p, err := c.pullOf("pull_number")
	if err != nil {
		return reply{}, err
	}
	return listed(c, p.reviews, func(one *review) object { return c.repo.renderReview(p, one) })
}

func createReview(c *call) (reply, error) {
	p, err := c.pullOf("pull_number")
	if err != nil {
		return reply{}, err
	}
	asked, err := decode[struct {
		Event string `json:"event"`
		Body  string `json:"body"`
	}](c)
	if err != nil {
		return reply{}, err
	}
	one, err := c.repo.submitReview(p, asked.Event, asked.Body, c.who.actor())
	if err != nil {
		return reply{}, err
	}
	return ok(c.repo.renderReview(p, one))
}

func requestReviewers(c *call) (reply, error) {
	p, err := c.pullOf("pull_number")
	if err != nil {
		return reply{}, err
	}
	asked, err := decode[struct {
		Reviewers []string `json:"reviewers"`
		Teams     []string `json:"team_reviewers"`
	}](c)
	if err != nil {
		return reply{}, err
	}
	var people []*account
	for _, login := range asked.Reviewers {
		known := c.accounts[strings.ToLower(login)]
		switch {
		case known == nil || known.kind != TypeUser:
			return reply{}, refuse(http.StatusUnprocessableEntity, "Reviews may only be requested from collaborators. One or more of the users or teams you specified is not a collaborator of the %s repository.", c.repo.fullName())
		case known == p.author:
			return reply{}, refuse(http.StatusUnprocessableEntity, "Review cannot be requested from pull request author.")
		}
		people = append(people, known)
	}
	if len(asked.Teams) > 0 {
		return reply{}, refuse(http.StatusUnprocessableEntity, "Could not resolve to a node with the global id of '%s'.", asked.Teams[0])
	}
	for _, person := range people {
		if slices.Contains(p.reviewers, person) {
			continue
		}
		p.reviewers = append(p.reviewers, person)
		c.record(Effect{Kind: ReviewRequested, Repository: c.repo.fullName(), Number: p.number, Detail: person.login}, c.who.actor())
		c.repo.emitPull(p, c.who.actor(), object{"action": "review_requested", "requested_reviewer": c.renderAccount(person)})
	}
	return reply{status: http.StatusCreated, body: c.repo.renderPullSimple(p)}, nil
}
