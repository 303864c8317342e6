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
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/auth/githubapp"
	api "github.com/google/go-github/v92/github"
)

// signJWT makes the token by which an App speaks for itself.
func signJWT(t *testing.T, key string, claims map[string]any) string {
	t.Helper()
	block, _ := pem.Decode([]byte(key))
	private, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	noError(t, err)
	segment := func(v any) string { return base64.RawURLEncoding.EncodeToString(Must(json.Marshal(v))) }
	signed := segment(map[string]string{"alg": "RS256", "typ": "JWT"}) + "." + segment(claims)
	sum := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, private, crypto.SHA256, sum[:])
	noError(t, err)
	return signed + "." + base64.RawURLEncoding.EncodeToString(signature)
}

const (
	appID          = 4711
	installationID = 815
)

// installedApp installs an App with permissions and returns a client of its
// installation.
func (w *world) installedApp(permissions map[string]string) *api.Client {
	w.t.Helper()
	key := Must(GenerateAppKey())
	noError(w.t, w.AddApp(App{
		ID: appID, InstallationID: installationID, Slug: "mainstem-test", Owner: owner, PrivateKeyPEM: key, Permissions: permissions,
	}))
	now := w.options.WallClock().Unix()
	jwt := w.clientFor(signJWT(w.t, key, map[string]any{"iss": strconv.Itoa(appID), "iat": now - 10, "exp": now + 300}))
	token, _, err := jwt.Apps.CreateInstallationToken(w.t.Context(), installationID, nil)
	noError(w.t, err)
	return w.clientFor(token.GetToken())
}

func TestAppAuthenticatesAsFluxDoes(t *testing.T) {
	w := newWorld(t, Options{})
	key := Must(GenerateAppKey())
	noError(t, w.AddApp(App{ID: appID, InstallationID: installationID, Owner: owner, PrivateKeyPEM: key}))
	for target, value := range map[string]string{
		githubapp.KeyAppInstallationID: strconv.Itoa(installationID), githubapp.KeyAppInstallationOwner: owner,
	} {
		client, err := githubapp.New(githubapp.WithAppData(map[string][]byte{
			githubapp.KeyAppID: []byte(strconv.Itoa(appID)), githubapp.KeyAppPrivateKey: []byte(key),
			githubapp.KeyAppBaseURL: []byte(w.APIURL()), target: []byte(value),
		}))
		noError(t, err)
		token, err := client.GetToken(t.Context())
		noError(t, err)
		_, _, err = w.clientFor(token.Token).Repositories.Get(t.Context(), owner, name)
		noError(t, err)
		left := time.Until(token.ExpiresAt)
		equal(t, "lives an hour", left > 59*time.Minute && left <= time.Hour, true)
	}
	equal(t, "tokens", w.Effects().Count(TokenIssued), 2)
}

func TestAppAnswersAboutItself(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	key := Must(GenerateAppKey())
	noError(t, w.AddApp(App{ID: appID, InstallationID: installationID, Owner: owner, PrivateKeyPEM: key}))
	now := time.Now().Unix()
	jwt := w.clientFor(signJWT(t, key, map[string]any{"iss": appID, "iat": now, "exp": now + 300}))
	app, _, err := jwt.Apps.Get(ctx, "")
	noError(t, err)
	equal(t, "app", app.GetID(), int64(appID))
	list, _, err := jwt.Apps.ListInstallations(ctx, nil)
	noError(t, err)
	equal(t, "installations", len(list), 1)
	for what, find := range map[string]func() (*api.Installation, *api.Response, error){
		"by id": func() (*api.Installation, *api.Response, error) { return jwt.Apps.GetInstallation(ctx, installationID) },
		"by organization": func() (*api.Installation, *api.Response, error) {
			return jwt.Apps.GetOrganizationInstallation(ctx, owner)
		},
		"by repository": func() (*api.Installation, *api.Response, error) {
			return jwt.Apps.GetRepositoryInstallation(ctx, owner, name)
		},
	} {
		found, _, err := find()
		noError(t, err)
		equal(t, what, found.GetID(), int64(installationID))
	}
	_, _, err = jwt.Apps.GetUserInstallation(ctx, owner)
	refused(t, err, 404, "Not Found")
	_, _, err = jwt.Apps.CreateInstallationToken(ctx, 1, nil)
	refused(t, err, 404, "")
	_, _, err = w.client.Apps.Get(ctx, "")
	refused(t, err, 401, "A JSON web token could not be decoded")

	for reason, claims := range map[string]map[string]any{
		"'exp'":               {"iss": appID, "iat": now - 700, "exp": now - 100},
		"too far":             {"iss": appID, "iat": now, "exp": now + 3600},
		"'iat'":               {"iss": appID, "iat": now + 300, "exp": now + 500},
		"Integration not fou": {"iss": 1, "iat": now, "exp": now + 300},
	} {
		_, _, err := w.clientFor(signJWT(t, key, claims)).Apps.Get(ctx, "")
		if err == nil || !strings.Contains(err.Error(), reason) {
			t.Errorf("got %v, want %s", err, reason)
		}
	}
	forged := signJWT(t, Must(GenerateAppKey()), map[string]any{"iss": appID, "iat": now, "exp": now + 300})
	_, _, err = w.clientFor(forged).Apps.Get(ctx, "")
	refused(t, err, 401, "could not be decoded")
}

func TestInstallationTokenExpiresAndIsRevoked(t *testing.T) {
	now := time.Now()
	w := newWorld(t, Options{WallClock: func() time.Time { return now }})
	app := w.installedApp(nil)
	read := func() error {
		_, _, err := app.Repositories.Get(t.Context(), owner, name)
		return err
	}
	noError(t, read())
	now = now.Add(time.Hour)
	refused(t, read(), 401, "Bad credentials")
	app = w.installedApp(nil)
	noError(t, read())
	w.RevokeInstallationTokens(appID)
	refused(t, read(), 401, "Bad credentials")
}

func TestPermissionsAreAskedFor(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	head := w.branch("develop")
	app := w.installedApp(map[string]string{"contents": Read, "pull_requests": Write})
	_, _, err := app.Repositories.CreateStatus(ctx, owner, name, head, api.RepoStatus{State: new("success")})
	refused(t, err, 403, "Resource not accessible by integration")
	pr, _, err := app.PullRequests.Create(ctx, owner, name, api.CreatePullRequest{Title: new("x"), Head: "develop", Base: "main"})
	noError(t, err)
	equal(t, "author", pr.GetUser().GetLogin(), "mainstem-test[bot]")
	_, _, err = app.PullRequests.Merge(ctx, owner, name, pr.GetNumber(), "", nil)
	refused(t, err, 403, "Resource not accessible by integration")
	_, _, err = app.Users.Get(ctx, "")
	refused(t, err, 403, "Resource not accessible by integration")

	w.AddToken(Token{Value: "ghp_narrow", Login: "narrow", Permissions: map[string]string{"contents": Read}})
	narrow := w.clientFor("ghp_narrow")
	_, _, err = narrow.Git.CreateRef(ctx, owner, name, api.CreateRef{Ref: "refs/heads/x", SHA: head})
	refused(t, err, 403, "Resource not accessible by personal access token")
	me, _, err := narrow.Users.Get(ctx, "")
	noError(t, err)
	equal(t, "login", me.GetLogin(), "narrow")
	_, _, err = w.clientFor("").Git.CreateRef(ctx, owner, name, api.CreateRef{Ref: "refs/heads/x", SHA: head})
	refused(t, err, 401, "Requires authentication")
	_, _, err = w.clientFor("ghp_wrong").Repositories.Get(ctx, owner, name)
	refused(t, err, 401, "Bad credentials")
}

func TestPrivateRepositoryIsInvisible(t *testing.T) {
	w := newWorld(t, Options{})
	ctx := t.Context()
	w.repo = Must(w.CreateRepository("acme/secret", RepositoryOptions{Private: true}))
	Must(w.repo.Commit("main", "Start", "alice", map[string]string{"a": "a\n"}))
	w.AddToken(Token{Value: "ghp_other", Login: "other", Repositories: []string{"acme/podinfo"}})
	w.AddToken(Token{Value: "ghp_nopull", Login: "nopull", Permissions: map[string]string{"statuses": Write}})
	for _, token := range []string{"", "ghp_other"} {
		_, _, err := w.clientFor(token).Repositories.Get(ctx, owner, "secret")
		refused(t, err, 404, "Not Found")
	}
	_, _, err := w.clientFor("ghp_nopull").Repositories.GetCommit(ctx, owner, "secret", "main", nil)
	refused(t, err, 403, "Resource not accessible by personal access token")
	dir := t.TempDir()
	for i, address := range []string{w.repo.CloneURL(), w.cloneURL("ghp_other"), w.cloneURL("ghp_wrong")} {
		if out, err := w.git(dir, "clone", address, strconv.Itoa(i)); err == nil {
			t.Errorf("cloned a private repository: %s", out)
		}
	}
	w.mustGit(dir, "clone", "--quiet", w.cloneURL(aliceToken), "mine")
	w.AddToken(Token{Value: "ghp_reader", Login: "reader", Permissions: map[string]string{"contents": Read}})
	w.mustGit(dir, "clone", "--quiet", w.cloneURL("ghp_reader"), "theirs")
	w.mustGit(dir+"/theirs", "commit", "--quiet", "--allow-empty", "-m", "x")
	out, err := w.git(dir+"/theirs", "push", "origin", "main")
	if err == nil || !strings.Contains(out, "403") {
		t.Errorf("pushed with a reader's token: %v %s", err, out)
	}
}

func TestEntityTagsBelongToTheToken(t *testing.T) {
	w := newWorld(t, Options{})
	w.AddToken(Token{Value: "ghp_second", Login: "alice"})
	get := func(token, tag string) answer {
		t.Helper()
		header := http.Header{"Authorization": {"Bearer " + token}}
		if tag != "" {
			header.Set("If-None-Match", tag)
		}
		return w.get("/repos/acme/podinfo/branches/main", header)
	}
	first := get(aliceToken, "")
	tag := first.header.Get("ETag")
	equal(t, "max-age", first.header.Get("Cache-Control"), "private, max-age=60, s-maxage=60")
	remaining := first.header.Get("X-Ratelimit-Remaining")
	again := get(aliceToken, tag)
	equal(t, "unchanged", again.status, http.StatusNotModified)
	equal(t, "304 is free", again.header.Get("X-Ratelimit-Remaining"), remaining)
	equal(t, "another token", get("ghp_second", tag).status, http.StatusOK)
	w.branch("main")
	equal(t, "changed", get(aliceToken, tag).status, http.StatusOK)
	count := w.Calls()["GET /repos/{owner}/{repo}/branches/{branch}"]
	equal(t, "counts", count, CallCount{Total: 4, Charged: 3, NotModified: 1})
	w.ResetCounts()
	equal(t, "reset", len(w.Calls()), 0)
}

func TestPrimaryLimitRunsOutAndResets(t *testing.T) {
	now := time.Now()
	w := newWorld(t, Options{WallClock: func() time.Time { return now }})
	ctx := t.Context()
	w.SetRemaining(aliceToken, 1, 10*time.Minute)
	_, response, err := w.client.Repositories.Get(ctx, owner, name)
	noError(t, err)
	equal(t, "remaining", response.Rate.Remaining, 0)
	_, _, err = w.client.Repositories.Get(ctx, owner, name)
	if _, limited := err.(*api.RateLimitError); !limited { //nolint:errorlint // the client returns it unwrapped
		t.Fatalf("got %v, want a rate limit error", err)
	}
	limits, _, err := w.client.RateLimit.Get(ctx)
	noError(t, err)
	equal(t, "told", limits.GetCore().Remaining, 0)
	equal(t, "reset", limits.GetCore().Reset.Unix(), now.Add(10*time.Minute).Unix())
	now = now.Add(10 * time.Minute)
	_, _, err = w.client.Repositories.Get(ctx, owner, name)
	noError(t, err)
}
