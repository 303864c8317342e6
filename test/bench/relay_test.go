// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package bench

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// maxDelivery bounds a delivery, as GitHub does.
const maxDelivery = 25 << 20

// relay stands before the operator's webhooks and notes when a push is delivered.
type relay struct {
	server   *http.Server
	listener net.Listener

	mu     sync.Mutex
	proxy  *httputil.ReverseProxy
	pushes map[push]time.Time
}

// push is a commit that became the head of a branch.
type push struct{ repository, commit string }

func newRelay(ctx context.Context) (*relay, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listening for deliveries: %w", err)
	}
	r := &relay{listener: listener, pushes: map[push]time.Time{}}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: metricsTimeout}
	go func() { _ = r.server.Serve(listener) }() // always ends with ErrServerClosed, by close
	return r, nil
}

func (r *relay) close() error { return r.server.Close() }

func (r *relay) url() string { return "http://" + r.listener.Addr().String() + "/github" }

// lead makes deliveries go on to an address from now on.
func (r *relay) lead(address string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.proxy = httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address})
	r.proxy.ErrorLog = log.New(io.Discard, "", 0) // that nobody is there while the operator is away is no news
}

// delivered says when a push was delivered.
func (r *relay) delivered(p push) (time.Time, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	at, known := r.pushes[p]
	return at, known
}

func (r *relay) ServeHTTP(out http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(out, request.Body, maxDelivery))
	if err != nil {
		http.Error(out, err.Error(), http.StatusBadRequest)
		return
	}
	request.Body = io.NopCloser(bytes.NewReader(body))
	r.mu.Lock()
	proxy := r.proxy
	r.mu.Unlock()
	if proxy == nil {
		http.Error(out, "nobody is there yet", http.StatusBadGateway)
		return
	}
	if request.Header.Get("X-GitHub-Event") == "push" {
		r.note(body)
	}
	proxy.ServeHTTP(out, request)
}

func (r *relay) note(body []byte) {
	var payload struct {
		After      string `json:"after"`
		Repository struct {
			FullName string `json:"full_name"`
		} `json:"repository"`
	}
	if json.Unmarshal(body, &payload) != nil {
		return // the operator will refuse it
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	note(r.pushes, push{payload.Repository.FullName, payload.After})
}
