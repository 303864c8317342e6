package github

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// limitWindow counts the requests of one credential in the current hour.
type limitWindow struct {
	limit, used int
	reset       time.Time
}

// window returns the counter that this call is charged to. Tokens of one
// installation share theirs, as do those of one person.
func (c *call) window() *limitWindow {
	key, limit := "", 60
	if c.who.token != nil {
		key, limit = limitKey(c.who.token), c.who.token.RateLimit
	} else if c.who.app != nil {
		key = "jwt " + strconv.FormatInt(c.who.app.ID, 10)
		limit = 0
	}
	if limit == 0 {
		limit = 5000
	}
	w := c.limits[key]
	if w == nil || !c.wallNow().Before(w.reset) {
		w = &limitWindow{limit: limit, reset: c.wallNow().Add(time.Hour)}
		c.limits[key] = w
	}
	return w
}

func limitKey(t *Token) string {
	if t.app != nil {
		return "installation " + strconv.FormatInt(t.app.InstallationID, 10)
	}
	return "user " + t.Login
}

// SetRemaining leaves the credential that owns token only this many requests until
// its hour ends, which is lasts from now.
func (s *Server) SetRemaining(token string, remaining int, lasts time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.tokens[token]
	if known == nil {
		return
	}
	limit := known.RateLimit
	if limit == 0 {
		limit = 5000
	}
	s.limits[limitKey(known)] = &limitWindow{limit: limit, used: limit - remaining, reset: s.wallNow().Add(lasts)}
}

// checkLimit refuses a call whose credential has used up its hour.
func (c *call) checkLimit() error {
	w := c.window()
	if w.used < w.limit || c.route != nil && c.route.template == "/rate_limit" {
		return nil
	}
	return limitExceeded(c.who)
}

func limitExceeded(who principal) *Error {
	subject := "your IP address"
	switch {
	case who.kind == installation:
		subject = fmt.Sprintf("installation ID %d", who.app.InstallationID)
	case who.account != nil:
		subject = fmt.Sprintf("user ID %d", who.account.id)
	}
	return &Error{
		Status: http.StatusForbidden, Message: "API rate limit exceeded for " + subject + ".",
		Docs: "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api",
	}
}

// charge counts the call, unless it was answered 304 to a known caller or asks about
// the limit itself, and says whether it did.
func (c *call) charge(out rendered) bool {
	free := out.status == http.StatusNotModified && c.who.kind != anonymous
	if free || c.route != nil && c.route.template == "/rate_limit" {
		return false
	}
	w := c.window()
	w.used = min(w.used+1, w.limit)
	return true
}

func (c *call) limitHeaders(header http.Header) {
	w := c.window()
	header.Set("X-Ratelimit-Limit", strconv.Itoa(w.limit))
	header.Set("X-Ratelimit-Remaining", strconv.Itoa(w.limit-w.used))
	header.Set("X-Ratelimit-Used", strconv.Itoa(w.used))
	header.Set("X-Ratelimit-Reset", strconv.FormatInt(w.reset.Unix(), 10))
	header.Set("X-Ratelimit-Resource", "core")
}

func getRateLimit(c *call) (reply, error) {
	render := func(w *limitWindow) object {
		return object{"limit": w.limit, "used": w.used, "remaining": w.limit - w.used, "reset": w.reset.Unix()}
	}
	core := render(c.window())
	reset := c.wallNow().Truncate(time.Hour).Add(time.Hour)
	return ok(object{
		"resources": object{
			"core": core, "search": render(&limitWindow{limit: 30, reset: reset}),
			"graphql": render(&limitWindow{limit: 5000, reset: reset}),
		},
		"rate": core,
	})
}
