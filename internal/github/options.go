// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"net/http"
	"time"
)

// Bounds that hold for everything said to GitHub.
const (
	// defaultTimeout bounds one request, its redirects and its body.
	defaultTimeout = 30 * time.Second
	// defaultMaxBody bounds one answer.
	defaultMaxBody = 10 << 20
	// defaultMaxReleases bounds the releases that are observed: one page. Each needs its commit once, so a cold start
	// costs up to this many requests for a repository whose releases are used.
	defaultMaxReleases = 100
	// pageSize is the largest page that GitHub gives.
	pageSize = 100
	// maxPages bounds every list that has no bound of its own.
	maxPages = 10
)

// Options tunes [NewClients]. The zero value is good for production.
type Options struct {
	// UserAgent is sent with every request; GitHub demands one. Default "mainstem".
	UserAgent string
	// Timeout bounds one request, its redirects and its body. Default 30 s.
	Timeout time.Duration
	// MaxBody bounds one answer, in bytes. Default 10 MiB.
	MaxBody int64
	// MaxReleases bounds the releases that an observation holds, newest first, at most 100. Default 100.
	MaxReleases int
	// Now is the clock. Default time.Now.
	Now func() time.Time
	// OnCall is told of every request that was sent: its route, such as "GET /repos/{owner}/{repo}/git/ref/{ref}"
	// (a bounded set), and the HTTP status (304 means free), 0 when there was no answer. It must not block.
	OnCall func(route string, status int)
	// Transport makes the connections, for tests. Default: one per credential, from http.DefaultTransport, with the
	// credential's ca.crt.
	Transport http.RoundTripper
}

// withDefaults fills what is not set.
func (o Options) withDefaults() Options {
	if o.UserAgent == "" {
		o.UserAgent = "mainstem"
	}
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.MaxBody <= 0 {
		o.MaxBody = defaultMaxBody
	}
	if o.MaxReleases <= 0 || o.MaxReleases > pageSize {
		o.MaxReleases = defaultMaxReleases
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.OnCall == nil {
		o.OnCall = func(string, int) {}
	}
	return o
}
