package github

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// App is a GitHub App with one installation.
type App struct {
	ID             int64
	InstallationID int64
	// Slug names the App; its bot is "<slug>[bot]". Empty: "app-<ID>".
	Slug string
	// Owner is the account on which it is installed.
	Owner string
	// PrivateKeyPEM is the key that signs its JWTs; see GenerateAppKey.
	PrivateKeyPEM string
	// Permissions of the installation. Nil grants all.
	Permissions map[string]string
	// Repositories limits the installation to these full names. Empty: all of Owner's.
	Repositories []string
	// RateLimit is the number of requests an hour of the installation's tokens; zero means 5000. GitHub gives more to
	// installations with more than 20 repositories or users, and to enterprises.
	RateLimit int
	// WebhookURL, if set, receives Events (empty: all) signed with WebhookSecret.
	WebhookURL    string
	WebhookSecret string
	Events        []string

	key     *rsa.PublicKey
	created time.Time
}

// GenerateAppKey makes a private key as GitHub hands it out: RSA, PKCS #1, PEM.
func GenerateAppKey() (string, error) {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return "", fmt.Errorf("generating an App key: %w", err)
	}
	block := &pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)}
	return string(pem.EncodeToMemory(block)), nil
}

// AddApp registers an App and installs it. The owner is made an organization unless
// the login is known already.
func (s *Server) AddApp(app App) error {
	block, _ := pem.Decode([]byte(app.PrivateKeyPEM))
	if block == nil {
		return errors.New("adding an App: PrivateKeyPEM holds no PEM block")
	}
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		return fmt.Errorf("adding an App: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	app.key = &key.PublicKey
	app.created = s.now()
	s.account(app.Owner, TypeOrganization)
	s.apps[app.ID] = &app
	s.bot(&app)
	if app.WebhookURL != "" {
		s.addHook(&hook{app: &app, url: app.WebhookURL, secret: app.WebhookSecret, events: app.Events})
	}
	return nil
}

func (a *App) slugOrID() string {
	if a.Slug != "" {
		return a.Slug
	}
	return "app-" + strconv.FormatInt(a.ID, 10)
}

func (s *Server) bot(app *App) *account { return s.account(app.slugOrID()+"[bot]", TypeBot) }

// verifyJWT checks an App's JWT (RFC 7519, RS256) as GitHub does.
func (s *Server) verifyJWT(token string) (*App, error) {
	bad := refuse(http.StatusUnauthorized, "A JSON web token could not be decoded")
	parts := strings.Split(token, ".")
	var header struct {
		Algorithm string `json:"alg"`
	}
	var claims struct {
		Issuer   any     `json:"iss"`
		IssuedAt float64 `json:"iat"`
		Expires  float64 `json:"exp"`
	}
	if decodeSegment(parts[0], &header) != nil || decodeSegment(parts[1], &claims) != nil || header.Algorithm != "RS256" {
		return nil, bad
	}
	issuer := fmt.Sprint(claims.Issuer)
	if number, isNumber := claims.Issuer.(float64); isNumber {
		issuer = strconv.FormatInt(int64(number), 10)
	}
	id, err := strconv.ParseInt(issuer, 10, 64)
	app := s.apps[id]
	if err != nil || app == nil {
		return nil, refuse(http.StatusNotFound, "Integration not found")
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if err != nil || rsa.VerifyPKCS1v15(app.key, crypto.SHA256, sum[:], signature) != nil {
		return nil, bad
	}
	now := float64(s.wallNow().Unix())
	switch {
	case claims.Expires <= now:
		return nil, refuse(http.StatusUnauthorized, "'Expiration time' claim ('exp') must be a numeric value representing the future time at which the assertion expires")
	case claims.Expires > now+660:
		return nil, refuse(http.StatusUnauthorized, "'Expiration time' claim ('exp') is too far in the future")
	case claims.IssuedAt > now+60:
		return nil, refuse(http.StatusUnauthorized, "'Issued at' claim ('iat') must be an Integer representing the time that the assertion was issued")
	}
	return app, nil
}

func decodeSegment(segment string, into any) error {
	raw, err := base64.RawURLEncoding.DecodeString(segment)
	if err != nil {
		return err
	}
	return json.Unmarshal(raw, into)
}

// allPermissions stands for an installation that was granted everything.
var allPermissions = map[string]string{
	"actions": Write, "administration": Write, "checks": Write, "contents": Write, "deployments": Write,
	"environments": Write, "issues": Write, "metadata": Read, "pull_requests": Write,
	"repository_hooks": Write, "statuses": Write, "workflows": Write,
}

func (a *App) granted() map[string]string {
	if a.Permissions == nil {
		return maps.Clone(allPermissions)
	}
	granted := maps.Clone(a.Permissions)
	granted["metadata"] = Read
	return granted
}

func (a *App) events() []string {
	if len(a.Events) == 0 {
		return []string{"check_run", "check_suite", "create", "delete", "pull_request", "push", "release", "status"}
	}
	return a.Events
}

func (a *App) selection() string {
	if len(a.Repositories) > 0 {
		return "selected"
	}
	return "all"
}

func (s *Server) renderApp(a *App) object {
	return object{
		"id": a.ID, "slug": a.slugOrID(), "node_id": nodeID("App", a.ID),
		"client_id": fmt.Sprintf("Iv1.%016x", a.ID), "owner": s.renderAccount(s.account(a.Owner, TypeOrganization)),
		"name": a.slugOrID(), "description": "", "external_url": s.URL(), "html_url": s.URL() + "/apps/" + a.slugOrID(),
		"created_at": stamp(a.created), "updated_at": stamp(a.created), "permissions": a.granted(), "events": a.events(),
	}
}

func (s *Server) renderInstallation(a *App) object {
	owner := s.account(a.Owner, TypeOrganization)
	api := fmt.Sprintf("%s/app/installations/%d", s.APIURL(), a.InstallationID)
	return object{
		"id": a.InstallationID, "account": s.renderAccount(owner), "repository_selection": a.selection(),
		"access_tokens_url": api + "/access_tokens", "repositories_url": s.APIURL() + "/installation/repositories",
		"html_url": fmt.Sprintf("%s/organizations/%s/settings/installations/%d", s.URL(), a.Owner, a.InstallationID),
		"app_id":   a.ID, "client_id": fmt.Sprintf("Iv1.%016x", a.ID), "app_slug": a.slugOrID(), "target_id": owner.id, "target_type": owner.kind,
		"permissions": a.granted(), "events": a.events(), "created_at": stamp(a.created), "updated_at": stamp(a.created),
		"single_file_name": nil, "has_multiple_single_files": false, "single_file_paths": []string{},
		"suspended_by": nil, "suspended_at": nil,
	}
}

func getApp(c *call) (reply, error) {
	body := c.renderApp(c.who.app)
	body["installations_count"] = 1
	return ok(body)
}

func listInstallations(c *call) (reply, error) {
	return listed(c, []*App{c.who.app}, c.renderInstallation)
}

func getInstallation(c *call) (reply, error) {
	if id, err := c.number("installation_id"); err != nil || id != c.who.app.InstallationID {
		return reply{}, notFound()
	}
	return ok(c.renderInstallation(c.who.app))
}

func getOrganizationInstallation(c *call) (reply, error) {
	return c.ownerInstallation(c.vars["org"], TypeOrganization)
}

func getUserInstallation(c *call) (reply, error) {
	return c.ownerInstallation(c.vars["username"], TypeUser)
}

func (c *call) ownerInstallation(login, kind string) (reply, error) {
	if !strings.EqualFold(login, c.who.app.Owner) || c.account(c.who.app.Owner, kind).kind != kind {
		return reply{}, notFound()
	}
	return ok(c.renderInstallation(c.who.app))
}

func getRepositoryInstallation(c *call) (reply, error) {
	if !c.who.app.installedOn(c.repo) {
		return reply{}, notFound()
	}
	return ok(c.renderInstallation(c.who.app))
}

func (a *App) installedOn(repo *Repository) bool {
	return (&Token{app: a, Repositories: a.Repositories}).sees(repo)
}

func createInstallationToken(c *call) (reply, error) {
	app := c.who.app
	if id, err := c.number("installation_id"); err != nil || id != app.InstallationID {
		return reply{}, notFound()
	}
	asked, err := decode[struct {
		Repositories []string          `json:"repositories"`
		Permissions  map[string]string `json:"permissions"`
	}](c)
	if err != nil {
		return reply{}, err
	}
	token := &Token{
		Value: "ghs_" + randomHex(18), Permissions: app.granted(), Repositories: app.Repositories,
		ExpiresAt: c.wallNow().Add(c.options.TokenLifetime), RateLimit: app.RateLimit, app: app,
	}
	if asked.Permissions != nil {
		for name, level := range asked.Permissions {
			if !token.allows(name, level) {
				return reply{}, refuse(http.StatusUnprocessableEntity, "The permissions requested are not granted to this installation.")
			}
		}
		token.Permissions = asked.Permissions
	}
	if len(asked.Repositories) > 0 {
		token.Repositories = nil
		for _, name := range asked.Repositories {
			repo := c.repos[strings.ToLower(app.Owner+"/"+name)]
			if repo == nil || !app.installedOn(repo) {
				return reply{}, refuse(http.StatusUnprocessableEntity, "There is at least one repository that does not exist or is not accessible to the parent installation.")
			}
			token.Repositories = append(token.Repositories, repo.fullName())
		}
	}
	c.tokens[token.Value] = token
	c.record(Effect{Kind: TokenIssued, Detail: strconv.FormatInt(app.InstallationID, 10)}, c.who.actor())
	selection := "all"
	if len(token.Repositories) > 0 {
		selection = "selected"
	}
	return reply{status: http.StatusCreated, body: object{
		"token": token.Value, "expires_at": stamp(token.ExpiresAt),
		"permissions": token.Permissions, "repository_selection": selection,
	}}, nil
}
