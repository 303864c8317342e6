// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
)

// maxConcurrent bounds the requests of one credential that are under way; GitHub's secondary limit is 100.
const maxConcurrent = 50

// maxRedirects bounds the redirects of one request: a renamed and transferred repository takes two.
const maxRedirects = 5

// errBodyTooLong and errBodyCut say why an answer could not be read.
var (
	errBodyTooLong = errors.New("the answer is longer than allowed")
	errBodyCut     = errors.New("the answer was cut")
)

// transport adds to every request what all need: the limit or outage that is in force, the token, the ETag; and takes from every
// answer the budget and the limits. It reads bodies whole, so that a cut or endless one fails here. It never sleeps.
type transport struct {
	base    http.RoundTripper
	root    *url.URL
	tokens  tokenSource
	limits  *limiter
	outage  *outage
	etags   *etagCache
	maxBody int64
	onCall  func(route string, status int)
	slots   chan struct{}
}

// RoundTrip fails with the typed errors of this package where it answers by itself.
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		defer func() { _ = req.Body.Close() }()
	}
	if req.URL.Scheme != t.root.Scheme || req.URL.Host != t.root.Host {
		return nil, fmt.Errorf("the token of %s is not sent to %s", t.root.Host, req.URL.Host)
	}
	if err := t.limits.inForce(); err != nil {
		return nil, err
	}
	select {
	case t.slots <- struct{}{}:
		defer func() { <-t.slots }()
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
	token, err := t.tokens.token(req.Context())
	if err != nil {
		return nil, err
	}
	// Only now, because a token that has to be got first is asked for at the same place.
	if err := t.outage.admit(); err != nil {
		return nil, err
	}
	resp, err := t.send(req, token)
	if err != nil || resp.StatusCode != http.StatusUnauthorized || !t.tokens.discard(token) {
		return resp, err
	}
	// An App token that GitHub revoked before its time: a new one is worth one more try.
	retry, ok := replay(req)
	if !ok {
		return resp, nil
	}
	if token, err = t.tokens.token(req.Context()); err != nil {
		return nil, err
	}
	return t.send(retry, token)
}

// replay copies a request whose body was sent already.
func replay(req *http.Request) (*http.Request, bool) {
	again := req.Clone(req.Context())
	if req.Body == nil {
		return again, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	body, err := req.GetBody()
	if err != nil {
		return nil, false
	}
	again.Body = body
	return again, true
}

// send makes one exchange and reads its answer whole.
func (t *transport) send(req *http.Request, token string) (*http.Response, error) {
	out := req.Clone(req.Context())
	if token != "" {
		out.Header.Set("Authorization", "Bearer "+token)
	}
	route := routeOf(req.Method, req.URL.Path, t.root.Path)
	key, kept := "", etagEntry{}
	if t.etags != nil && req.Method == http.MethodGet && !unchanging[route] {
		key = req.URL.String() + "\n" + req.Header.Get("Accept") + "\n" + hashToken(token)
		if entry, ok := t.etags.get(key); ok {
			kept = entry
			out.Header.Set("If-None-Match", entry.etag)
		}
	}
	asked := t.outage.now()
	resp, err := t.base.RoundTrip(out)
	if err != nil {
		t.onCall(route, 0)
		t.outage.unanswered(req.Context(), asked, err)
		return nil, err
	}
	t.onCall(route, resp.StatusCode)
	body, err := t.readBody(resp)
	if errors.Is(err, errBodyCut) {
		t.outage.unanswered(req.Context(), asked, err)
	} else {
		t.outage.answered()
	}
	if err != nil {
		return nil, err
	}
	if err := t.limits.observe(resp.StatusCode, resp.Header, body); err != nil {
		return nil, err
	}
	if resp.StatusCode == http.StatusNotModified && kept.etag != "" {
		return kept.restore(resp), nil
	}
	if key != "" && resp.StatusCode == http.StatusOK {
		t.etags.put(key, resp.Header, body)
	}
	return resp, nil
}

// readBody reads the answer within its bound and puts it back.
func (t *transport) readBody(resp *http.Response) ([]byte, error) {
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, t.maxBody+1))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBodyCut, err)
	}
	if int64(len(body)) > t.maxBody {
		return nil, fmt.Errorf("%w (%d bytes)", errBodyTooLong, t.maxBody)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return body, nil
}

// sameHost follows redirects of renamed repositories and nothing else: never to another host, and never by turning a
// write into a read, as net/http does for 301 and 302.
func sameHost(req *http.Request, via []*http.Request) error {
	first := via[0]
	if len(via) >= maxRedirects {
		return fmt.Errorf("GitHub redirects more than %d times", maxRedirects)
	}
	if req.URL.Host != first.URL.Host || req.URL.Scheme != first.URL.Scheme {
		return fmt.Errorf("GitHub redirects to another host, %s", req.URL.Host)
	}
	if req.Method != first.Method {
		return fmt.Errorf("GitHub redirects a %s in a way that loses its content: correct the repository's address", first.Method)
	}
	return nil
}
