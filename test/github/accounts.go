package github

import (
	"encoding/base64"
	"fmt"
	"strings"
	"time"
)

// Account types, as in the "type" of a user.
const (
	TypeUser         = "User"
	TypeOrganization = "Organization"
	TypeBot          = "Bot"
)

type account struct {
	id      int64
	login   string
	kind    string
	created time.Time
}

// account returns the account with this login and creates it when it is new. kind
// matters only then.
func (s *Server) account(login, kind string) *account {
	key := strings.ToLower(login)
	if found := s.accounts[key]; found != nil {
		return found
	}
	made := &account{id: s.nextID(), login: login, kind: kind, created: s.now()}
	s.accounts[key] = made
	return made
}

// email is the address under which GitHub hides people's own.
func (a *account) email() string {
	return fmt.Sprintf("%d+%s@users.noreply.github.com", a.id, a.login)
}

// accountByEmail recognises no-reply addresses, with and without the number.
func (s *Server) accountByEmail(email string) *account {
	local, isNoReply := strings.CutSuffix(strings.ToLower(email), "@users.noreply.github.com")
	if !isNoReply {
		return nil
	}
	if _, login, numbered := strings.Cut(local, "+"); numbered {
		local = login
	}
	return s.accounts[local]
}

func nodeID(kind string, id any) string {
	return base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "0%d:%s%v", len(kind), kind, id))
}

func (s *Server) renderAccount(a *account) object {
	if a == nil {
		return nil
	}
	api := s.APIURL() + "/users/" + a.login
	return object{
		"login": a.login, "id": a.id, "node_id": nodeID("User", a.id),
		"avatar_url":  fmt.Sprintf("%s/avatars/u/%d?v=4", s.URL(), a.id),
		"gravatar_id": "", "url": api, "html_url": s.URL() + "/" + strings.TrimSuffix(a.login, "[bot]"),
		"followers_url": api + "/followers", "following_url": api + "/following{/other_user}",
		"gists_url": api + "/gists{/gist_id}", "starred_url": api + "/starred{/owner}{/repo}",
		"subscriptions_url": api + "/subscriptions", "organizations_url": api + "/orgs",
		"repos_url": api + "/repos", "events_url": api + "/events{/privacy}",
		"received_events_url": api + "/received_events",
		"type":                a.kind, "user_view_type": "public", "site_admin": false,
	}
}

// renderOrganization is the organization as webhook payloads carry it.
func (s *Server) renderOrganization(a *account) object {
	api := s.APIURL() + "/orgs/" + a.login
	return object{
		"login": a.login, "id": a.id, "node_id": nodeID("Organization", a.id), "url": api,
		"repos_url": api + "/repos", "events_url": api + "/events", "hooks_url": api + "/hooks",
		"issues_url": api + "/issues", "members_url": api + "/members{/member}",
		"public_members_url": api + "/public_members{/member}",
		"avatar_url":         fmt.Sprintf("%s/avatars/u/%d?v=4", s.URL(), a.id), "description": "",
	}
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// stampOrNull renders an instant that may not have come yet.
func stampOrNull(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return stamp(t)
}

// textOrNull renders a string that GitHub leaves null when it is empty.
func textOrNull(text string) any {
	if text == "" {
		return nil
	}
	return text
}

func getUser(c *call) (reply, error) {
	if c.who.kind != personal {
		return reply{}, c.inaccessible()
	}
	body := c.renderAccount(c.who.account)
	for _, key := range []string{"name", "company", "location", "email", "hireable", "bio", "twitter_username"} {
		body[key] = nil
	}
	body["name"], body["blog"] = c.who.account.login, ""
	for _, key := range []string{"public_repos", "public_gists", "followers", "following", "private_gists", "total_private_repos", "owned_private_repos", "disk_usage", "collaborators"} {
		body[key] = 0
	}
	body["two_factor_authentication"], body["user_view_type"] = true, "private"
	body["created_at"], body["updated_at"] = stamp(c.who.account.created), stamp(c.who.account.created)
	body["plan"] = object{"name": "pro", "space": 976562499, "private_repos": 9999, "collaborators": 0}
	return ok(body)
}
