package github

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

type label struct {
	id   int64
	name string
}

type comment struct {
	id      int64
	author  *account
	app     *App
	body    string
	created time.Time
}

func (r *Repository) renderLabels(labels []*label) []object {
	rendered := make([]object, 0, len(labels))
	for _, l := range labels {
		rendered = append(rendered, object{
			"id": l.id, "node_id": nodeID("Label", l.id), "name": l.name, "description": "", "color": "ededed", "default": false,
			"url": r.server.APIURL() + "/repos/" + r.fullName() + "/labels/" + url.PathEscape(l.name),
		})
	}
	return rendered
}

func listLabels(c *call) (reply, error) {
	p, err := c.pullOf("issue_number")
	if err != nil {
		return reply{}, err
	}
	return listed(c, c.repo.renderLabels(p.labels), func(o object) object { return o })
}

// labelNames takes {"labels": [...]} and a bare array, names and objects: GitHub
// does as well, and its clients use all of them.
func labelNames(body []byte) ([]string, error) {
	bad := refuse(http.StatusUnprocessableEntity, "Invalid request.\n\n\"labels\" is not of the expected type.")
	list := bytes.TrimSpace(body)
	if !bytes.HasPrefix(list, []byte("[")) {
		var wrapped struct {
			Labels json.RawMessage `json:"labels"`
		}
		if json.Unmarshal(body, &wrapped) != nil {
			return nil, bad
		}
		list = wrapped.Labels
	}
	var entries []json.RawMessage
	if json.Unmarshal(list, &entries) != nil {
		return nil, bad
	}
	var names []string
	for _, entry := range entries {
		var name string
		var named struct {
			Name string `json:"name"`
		}
		if json.Unmarshal(entry, &name) != nil {
			if json.Unmarshal(entry, &named) != nil || named.Name == "" {
				return nil, bad
			}
			name = named.Name
		}
		names = append(names, name)
	}
	return names, nil
}

func addLabels(c *call) (reply, error) {
	p, err := c.pullOf("issue_number")
	if err != nil {
		return reply{}, err
	}
	names, err := labelNames(c.body)
	if err != nil {
		return reply{}, err
	}
	for _, name := range names {
		key := strings.ToLower(name)
		l := c.repo.labels[key]
		if l == nil {
			l = &label{id: c.nextID(), name: name}
			c.repo.labels[key] = l
		}
		if slices.Contains(p.labels, l) {
			continue
		}
		p.labels = append(p.labels, l)
		p.updated = c.now()
		c.record(Effect{Kind: LabelAdded, Repository: c.repo.fullName(), Number: p.number, Detail: l.name}, c.who.actor())
		c.repo.emitPull(p, c.who.actor(), object{"action": "labeled", "label": c.repo.renderLabels([]*label{l})[0]})
	}
	return ok(c.repo.renderLabels(p.labels))
}

func (r *Repository) renderComment(p *pull, one *comment) object {
	root := r.server.APIURL() + "/repos/" + r.fullName() + "/issues"
	body := object{
		"id": one.id, "node_id": nodeID("IssueComment", one.id), "url": fmt.Sprintf("%s/comments/%d", root, one.id),
		"html_url": fmt.Sprintf("%s/%s/pull/%d#issuecomment-%d", r.server.URL(), r.fullName(), p.number, one.id),
		"body":     one.body, "user": r.server.renderAccount(one.author), "created_at": stamp(one.created), "updated_at": stamp(one.created),
		"issue_url": fmt.Sprintf("%s/%d", root, p.number), "author_association": association(one.author), "performed_via_github_app": nil,
		"reactions": object{
			"url": fmt.Sprintf("%s/comments/%d/reactions", root, one.id), "total_count": 0, "+1": 0, "-1": 0, "laugh": 0,
			"hooray": 0, "confused": 0, "heart": 0, "rocket": 0, "eyes": 0,
		},
	}
	if one.app != nil {
		body["performed_via_github_app"] = r.server.renderApp(one.app)
	}
	return body
}

func listComments(c *call) (reply, error) {
	p, err := c.pullOf("issue_number")
	if err != nil {
		return reply{}, err
	}
	return listed(c, p.comments, func(one *comment) object { return c.repo.renderComment(p, one) })
}

func createComment(c *call) (reply, error) {
	p, err := c.pullOf("issue_number")
	if err != nil {
		return reply{}, err
	}
	asked, err := decode[struct {
		Body string `json:"body"`
	}](c)
	if err != nil {
		return reply{}, err
	}
	if asked.Body == "" {
		return reply{}, invalid(FieldError{Resource: "IssueComment", Field: "body", Code: "missing_field"})
	}
	one := &comment{id: c.nextID(), author: c.who.account, app: c.who.app, body: asked.Body, created: c.now()}
	p.comments = append(p.comments, one)
	p.updated = c.now()
	c.record(Effect{Kind: CommentCreated, Repository: c.repo.fullName(), Number: p.number}, c.who.actor())
	return created(c.repo.renderComment(p, one))
}
