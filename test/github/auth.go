package github

import (
	"crypto/rand"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Permission levels of a token or an App.
const (
	Read  = "read"
	Write = "write"
)

// Token is a personal access token, or an installation token of an App.
type Token struct {
	Value string
	// Login is whom a personal access token speaks for.
	Login string
	// Permissions are named as those of GitHub Apps ("contents", "pull_requests",
	// "checks", "statuses", "administration"…) with Read or Write. Nil grants all.
	Permissions map[string]string
	// Repositories limits the token to these full names. Empty: every repository.
	Repositories []string
	// ExpiresAt by Options.WallClock; zero never.
	ExpiresAt time.Time
	// RateLimit is the number of requests an hour; zero means 5000.
	RateLimit int

	app *App
}

// AddToken makes a personal access token known; a Value that is known already gets
// the new meaning.
func (s *Server) AddToken(token Token) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.account(token.Login, TypeUser)
	s.tokens[token.Value] = &token
}

// AddUser makes a person known, so that they can be asked for reviews.
func (s *Server) AddUser(login string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.account(login, TypeUser)
}

// RevokeToken makes a token invalid at once: calls with it are answered 401.
func (s *Server) RevokeToken(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.tokens, value)
}

// RevokeInstallationTokens makes all installation tokens of an App invalid at once.
func (s *Server) RevokeInstallationTokens(appID int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for value, token := range s.tokens {
		if token.app != nil && token.app.ID == appID {
			delete(s.tokens, value)
		}
	}
}

type principalKind int

const (
	anonymous principalKind = iota
	personal
	installation
	appItself
)

// principal is who makes a request.
type principal struct {
	kind    principalKind
	account *account
	token   *Token
	app     *App
	// secret is the credential itself: entity tags and rate limits belong to it.
	secret string
}

func (p principal) actor() actor {
	return actor{account: p.account, source: SourceAPI, app: p.app}
}

// authenticate finds out who calls. Bad credentials are a 401 even where none are
// needed, as on GitHub.
func (c *call) authenticate() error {
	secret := credential(c.request)
	if secret == "" {
		return nil
	}
	if strings.Count(secret, ".") == 2 {
		app, err := c.verifyJWT(secret)
		if err != nil {
			return err
		}
		c.who = principal{kind: appItself, app: app, secret: app.slugOrID()}
		return nil
	}
	who, valid := c.principalOf(secret)
	if !valid {
		return refuse(http.StatusUnauthorized, "Bad credentials")
	}
	c.who = who
	return nil
}

// credential reads the secret of a request: Bearer, token, or the password of Basic.
func credential(r *http.Request) string {
	if _, password, basic := r.BasicAuth(); basic {
		return password
	}
	scheme, secret, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "bearer") || strings.EqualFold(scheme, "token") {
		return strings.TrimSpace(secret)
	}
	return ""
}

func (s *Server) principalOf(secret string) (principal, bool) {
	token := s.tokens[secret]
	if token == nil || !token.ExpiresAt.IsZero() && !s.wallNow().Before(token.ExpiresAt) {
		return principal{}, false
	}
	if token.app != nil {
		return principal{kind: installation, account: s.bot(token.app), token: token, app: token.app, secret: secret}, true
	}
	return principal{kind: personal, account: s.account(token.Login, TypeUser), token: token, secret: secret}, true
}

// need is what a route asks of its caller.
type need struct {
	// permission as Apps name it; empty for none.
	permission string
	level      string
	// credentials says that public visibility is not enough even to read.
	credentials bool
	// jwt says that only an App itself may call, with its JWT.
	jwt bool
}

func (n need) String() string {
	if n.permission == "" {
		return "metadata=read"
	}
	return n.permission + "=" + n.level
}

func reads(permission string) need { return need{permission: permission, level: Read} }
func writes(permission string) need {
	return need{permission: permission, level: Write, credentials: true}
}

// guarded is for what even a public repository does not show to everybody.
func guarded(permission string) need {
	return need{permission: permission, level: Read, credentials: true}
}

// allows says whether the token grants a permission at a level.
func (t *Token) allows(permission, level string) bool {
	if t.Permissions == nil || permission == "" || permission == "metadata" && level == Read {
		return true
	}
	got := t.Permissions[permission]
	return got == level || got == Write || got == "admin"
}

// sees says whether the token was given to this repository.
func (t *Token) sees(repo *Repository) bool {
	named := len(t.Repositories) == 0 || slices.ContainsFunc(t.Repositories, func(name string) bool {
		return strings.EqualFold(name, repo.fullName())
	})
	return named && (t.app == nil || strings.EqualFold(t.app.Owner, repo.owner.login))
}

// readable says whether a principal may know that the repository exists.
func (p principal) readable(repo *Repository) bool {
	return !repo.private || p.token != nil && p.token.sees(repo)
}

// can says whether a principal holds a permission on a repository.
func (p principal) can(repo *Repository, permission, level string) bool {
	return p.token != nil && p.token.sees(repo) && p.token.allows(permission, level)
}

func (c *call) findRepository() error {
	owner, named := c.vars["owner"]
	if !named {
		return nil
	}
	repo := c.repos[strings.ToLower(owner+"/"+c.vars["repo"])]
	if repo == nil || c.who.kind == anonymous && repo.private {
		return notFound()
	}
	if c.who.kind != appItself && !c.who.readable(repo) {
		return notFound()
	}
	c.repo = repo
	if !strings.EqualFold(repo.fullName(), owner+"/"+c.vars["repo"]) {
		return c.moved()
	}
	return nil
}

// authorize applies the route's need to who calls.
func (c *call) authorize() error {
	n := c.route.needs
	if n.jwt != (c.who.kind == appItself) {
		return wrongKind(n)
	}
	if n.jwt || c.repo == nil && !n.credentials {
		return nil
	}
	if n.credentials && c.who.kind == anonymous {
		return refuse(http.StatusUnauthorized, "Requires authentication")
	}
	if c.repo == nil {
		return nil
	}
	if c.repo.private || n.credentials {
		if !c.who.can(c.repo, n.permission, n.level) {
			return c.inaccessible()
		}
	}
	if c.repo.archived && n.level == Write {
		return refuse(http.StatusForbidden, "Repository was archived so is read-only.")
	}
	return nil
}

func wrongKind(n need) error {
	if n.jwt {
		return refuse(http.StatusUnauthorized, "A JSON web token could not be decoded")
	}
	return refuse(http.StatusForbidden, "This endpoint requires you to authenticate with an installation access token")
}

// inaccessible is the 403 of a credential that lacks a permission.
func (c *call) inaccessible() *Error {
	if c.who.kind == installation {
		return refuse(http.StatusForbidden, "Resource not accessible by integration")
	}
	return refuse(http.StatusForbidden, "Resource not accessible by personal access token")
}

// randomHex returns 2n hexadecimal digits.
func randomHex(n int) string {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails, see crypto/rand
	return hex.EncodeToString(raw)
}

func requestID() string {
	id := strings.ToUpper(randomHex(16))
	return id[:4] + ":" + id[4:10] + ":" + id[10:17] + ":" + id[17:24] + ":" + id[24:]
}
