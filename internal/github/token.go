// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strconv"
	"sync"
	"time"

	gogithub "github.com/google/go-github/v92/github"
	"golang.org/x/sync/singleflight"
)

const (
	// maxTokenLife is GitHub's own for installation tokens; an expiry further away is not believed.
	maxTokenLife = time.Hour
	// A token is renewed when this part of its life is over, so that no request is made with one that expires under way.
	tokenLifeNumerator, tokenLifeDenominator = 8, 10
	// A JWT is good for a few minutes and begins in the past, because clocks differ
	// (https://docs.github.com/en/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app).
	jwtLife, jwtSkew = 5 * time.Minute, time.Minute
)

// tokenSource gives the token of a request.
type tokenSource interface {
	// token gives a token, or "" for anonymous requests.
	token(ctx context.Context) (string, error)
	// discard forgets a token that GitHub did not accept, and says whether another may be had.
	discard(token string) bool
}

// fixedToken never changes.
type fixedToken string

func (t fixedToken) token(context.Context) (string, error) { return string(t), nil }

func (fixedToken) discard(string) bool { return false }

// hashToken identifies a token in cache keys.
func hashToken(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:16])
}

// appJWT authenticates as the App itself, which may do one thing: mint installation tokens.
type appJWT struct {
	id  int64
	key *rsa.PrivateKey
	now func() time.Time
}

// token signs a JSON Web Token with RS256 (RFC 7519, RFC 7518 section 3.3).
func (s appJWT) token(context.Context) (string, error) {
	now := s.now().Truncate(time.Second)
	claims, err := json.Marshal(map[string]any{
		"iat": now.Add(-jwtSkew).Unix(),
		"exp": now.Add(jwtLife).Unix(),
		"iss": strconv.FormatInt(s.id, 10),
	})
	if err != nil {
		return "", fmt.Errorf("encoding the claims of GitHub App %d: %w", s.id, err)
	}
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(claims)
	digest := sha256.Sum256([]byte(signed))
	signature, err := rsa.SignPKCS1v15(rand.Reader, s.key, crypto.SHA256, digest[:])
	if err != nil {
		return "", fmt.Errorf("signing as GitHub App %d: %w", s.id, err)
	}
	return signed + "." + encode(signature), nil
}

func (appJWT) discard(string) bool { return false }

// installationTokens mints installation tokens and keeps the newest until 80 % of its life is over.
type installationTokens struct {
	app     appIdentity
	api     *gogithub.Client
	now     func() time.Time
	flights singleflight.Group

	mu             sync.Mutex
	installationID int64
	current        string
	renewAt        time.Time
}

func (s *installationTokens) token(ctx context.Context) (string, error) {
	if token, ok := s.kept(); ok {
		return token, nil
	}
	return share(ctx, &s.flights, "", s.mint)
}

func (s *installationTokens) kept() (string, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.current, s.current != "" && s.now().Before(s.renewAt)
}

func (s *installationTokens) discard(token string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.current == token {
		s.current = ""
	}
	return true
}

func (s *installationTokens) mint(ctx context.Context) (string, error) {
	if token, ok := s.kept(); ok {
		return token, nil
	}
	id, err := s.installation(ctx)
	if err != nil {
		return "", err
	}
	asked := s.now()
	minted, _, err := s.api.Apps.CreateInstallationToken(ctx, id, nil)
	if err == nil && minted.GetToken() == "" {
		err = errIncomplete
	}
	if err != nil {
		return "", explain(ctx, fmt.Sprintf("getting a token for installation %d of GitHub App %d", id, s.app.id), err)
	}
	life := min(minted.GetExpiresAt().Sub(asked), maxTokenLife)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.current = minted.GetToken()
	s.renewAt = asked.Add(life * tokenLifeNumerator / tokenLifeDenominator)
	return s.current, nil
}

// installation gives the installation's id, found once by its owner when the Secret names that.
func (s *installationTokens) installation(ctx context.Context) (int64, error) {
	s.mu.Lock()
	id := s.installationID
	s.mu.Unlock()
	if id != 0 {
		return id, nil
	}
	doing := fmt.Sprintf("looking for the installation of GitHub App %d at %s", s.app.id, s.app.owner)
	found, _, err := s.api.Apps.GetOrganizationInstallation(ctx, s.app.owner)
	if err == nil && found.GetID() == 0 {
		err = errIncomplete
	}
	if err = explain(ctx, doing, err); IsNotFound(err) {
		found, _, err = s.api.Apps.GetUserInstallation(ctx, s.app.owner)
		err = explain(ctx, doing, err)
	}
	if err != nil {
		return 0, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.installationID = found.GetID()
	return s.installationID, nil
}
