// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	gogithub "github.com/google/go-github/v92/github"
	lru "github.com/hashicorp/golang-lru/v2"
	"golang.org/x/sync/singleflight"
)

const (
	// maxConnections bounds the credentials that are held at a time. One that was pushed out begins anew: cold caches.
	maxConnections = 512
	maxCommits     = 65536
	maxComparisons = 4096
	maxMerges      = 4096
	maxSent        = 16384
)

// Clients gives a [Client] for a repository and a credential, and shares between them what belongs to the credential:
// connections, App tokens, conditional requests, the rate budget; and what never changes: commits and comparisons, kept
// per credential, so that nobody sees what only another may. Use one for the whole process.
type Clients struct {
	options Options
	etags   *etagCache
	memory  *memory

	commits     *forever[Commit]
	comparisons *forever[Comparison]
	ranges      *ranges
	// merges are the merged pull requests of commits, sent the statuses that were sent last, saying those on their way.
	merges *lru.Cache[string, PullRequest]
	sent   *lru.Cache[string, sentStatus]
	saying singleflight.Group

	mu          sync.Mutex
	connections *lru.Cache[string, *connection]
	// outages are of API roots: whether one answers does not depend on who asks.
	outages *lru.Cache[string, *outage]
}

// connection is what one credential shares at one API root.
type connection struct {
	key         string
	apiURL      string
	fingerprint string
	sdk         *gogithub.Client
	limits      *limiter
	outage      *outage
	closeIdle   func()
}

// NewClients makes an empty registry. It asks nothing of GitHub.
func NewClients(options Options) *Clients {
	options = options.withDefaults()
	c := &Clients{
		options: options, etags: newETagCache(), memory: newMemory(options.Now),
		commits: newForever[Commit](maxCommits), comparisons: newForever[Comparison](maxComparisons), ranges: newRanges(),
	}
	// New and NewWithEvict fail only for a size that is not positive.
	c.merges, _ = lru.New[string, PullRequest](maxMerges)
	c.sent, _ = lru.New[string, sentStatus](maxSent)
	c.connections, _ = lru.NewWithEvict(maxConnections, func(_ string, evicted *connection) { evicted.closeIdle() })
	c.outages, _ = lru.New[string, *outage](maxConnections)
	return c
}

// For gives the client of a repository with a credential. It is cheap and asks nothing of GitHub.
func (c *Clients) For(repo Repository, credential Credential) (*Client, error) {
	key := repo.APIURL + " " + credential.Fingerprint()
	c.mu.Lock()
	defer c.mu.Unlock()
	shared, ok := c.connections.Get(key)
	if !ok {
		var err error
		if shared, err = c.connect(key, repo.APIURL, credential); err != nil {
			return nil, err
		}
		c.connections.Add(key, shared)
	}
	return &Client{clients: c, shared: shared, repo: repo}, nil
}

// InvalidateKey makes everything that is remembered about a repository old, for every credential: the next observation asks. The key
// is [Event.Key], or [Repository.Key]. Webhooks call it, and so does every write of a [Client].
func (c *Clients) InvalidateKey(key string) { c.memory.invalidate(key) }

// connect makes what a credential shares.
func (c *Clients) connect(key, apiURL string, credential Credential) (*connection, error) {
	root, err := url.Parse(apiURL)
	if err != nil || root.Host == "" {
		return nil, &URLError{Field: "apiURL", Reason: fmt.Sprintf("is %q, which cannot be asked", apiURL)}
	}
	shared := &connection{
		key: key, apiURL: apiURL, fingerprint: credential.Fingerprint(),
		limits: &limiter{now: c.options.Now}, outage: c.outageOf(apiURL), closeIdle: func() {},
	}
	base := c.options.Transport
	if base == nil {
		own, err := newBaseTransport(credential)
		if err != nil {
			return nil, err
		}
		base, shared.closeIdle = own, own.CloseIdleConnections
	}
	over := transport{
		base: base, root: root, outage: shared.outage, limits: shared.limits, etags: c.etags,
		maxBody: c.options.MaxBody, onCall: c.options.OnCall, slots: make(chan struct{}, maxConcurrent),
	}
	if over.tokens, err = c.tokensOf(credential, over); err != nil {
		return nil, err
	}
	shared.sdk, err = c.newSDK(&over)
	return shared, err
}

// outageOf gives what is remembered of an API root that does not answer.
func (c *Clients) outageOf(apiURL string) *outage {
	of, ok := c.outages.Get(apiURL)
	if !ok {
		of = &outage{now: c.options.Now}
		c.outages.Add(apiURL, of)
	}
	return of
}

// tokensOf gives the source of tokens that suits the credential; an App's are asked for as everything is, over a transport of its own.
func (c *Clients) tokensOf(credential Credential, over transport) (tokenSource, error) {
	if credential.Kind() != App {
		return fixedToken(credential.secret().token), nil
	}
	app := credential.secret().app
	// An App's own requests have a budget of their own, so a limiter of their own; and nothing of theirs is cached.
	over.tokens = appJWT{id: app.id, key: app.key, now: c.options.Now}
	over.limits, over.etags, over.slots = &limiter{now: c.options.Now}, nil, make(chan struct{}, maxConcurrent)
	sdk, err := c.newSDK(&over)
	if err != nil {
		return nil, err
	}
	return &installationTokens{app: app, api: sdk, now: c.options.Now, installationID: app.installationID}, nil
}

// newSDK makes GitHub's Go client over a transport. Its own rate-limit check is off: it knows no clock but the wall's,
// and the transport does it.
func (c *Clients) newSDK(over *transport) (*gogithub.Client, error) {
	base := over.root.String() + "/"
	sdk, err := gogithub.NewClient(
		gogithub.WithHTTPClient(&http.Client{Transport: over, Timeout: c.options.Timeout, CheckRedirect: sameHost}),
		gogithub.WithURLs(&base, &base),
		gogithub.WithUserAgent(c.options.UserAgent),
		gogithub.WithDisableRateLimitCheck(),
	)
	if err != nil {
		return nil, fmt.Errorf("making a client for %s: %w", over.root.Host, err)
	}
	return sdk, nil
}

// newBaseTransport makes the connections of one credential, trusting the Secret's authorities besides the system's.
func newBaseTransport(credential Credential) (*http.Transport, error) {
	standard, ok := http.DefaultTransport.(*http.Transport)
	if !ok {
		standard = &http.Transport{Proxy: http.ProxyFromEnvironment}
	}
	own := standard.Clone()
	own.MaxIdleConnsPerHost = maxConcurrent
	own.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12}
	if credential.secret().authorities == nil {
		return own, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(credential.secret().authorities) {
		return nil, &CredentialError{Key: keyCACert, Reason: "it holds no certificate in PEM form"}
	}
	own.TLSClientConfig.RootCAs = pool
	return own, nil
}
