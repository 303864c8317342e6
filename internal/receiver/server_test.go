// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/mainstem-dev/mainstem/internal/github"
)

var (
	_ manager.Runnable               = (*Server)(nil)
	_ manager.LeaderElectionRunnable = (*Server)(nil)
	_ manager.Runnable               = (*Memory)(nil)
	_ manager.LeaderElectionRunnable = (*Memory)(nil)
)

// serve starts a server and gives its address, what stops it, and what Start returned.
func serve(t *testing.T, handler http.Handler) (address string, stop context.CancelFunc, ended <-chan error) {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error, 1)
	go func() { result <- (&Server{Handler: handler, Listener: listener}).Start(ctx) }()
	t.Cleanup(cancel)
	return listener.Addr().String(), cancel, result
}

func TestServerServesOnePath(t *testing.T) {
	e := oneApplication(t)
	address, stop, ended := serve(t, e.handler)
	httpClient := &http.Client{Timeout: patience}
	for path, want := range map[string]int{Path: http.StatusAccepted, "/": http.StatusNotFound, "/github/other": http.StatusNotFound} {
		delivery := pushTo("acme/podinfo", keyA)
		request, err := delivery.request(t.Context(), "http://"+address+path, strings.NewReader(delivery.body))
		if err != nil {
			t.Fatal(err)
		}
		response, err := httpClient.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != want {
			t.Errorf("%s answers %d, want %d", path, response.StatusCode, want)
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Errorf("stopping: %v", err)
	}
}

// A body that ends before its Content-Length is no delivery.
func TestATruncatedBody(t *testing.T) {
	e := oneApplication(t)
	address, _, _ := serve(t, e.handler)
	connection, err := (&net.Dialer{Timeout: patience}).DialContext(t.Context(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = connection.Close() }()
	delivery := pushTo("acme/podinfo", keyA)
	_, err = fmt.Fprintf(connection, "POST %s HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n%s: push\r\n%s: %s\r\nContent-Length: %d\r\n\r\n%s",
		Path, github.HeaderEvent, github.HeaderSignature, delivery.signature, len(delivery.body), delivery.body[:50])
	if err != nil {
		t.Fatal(err)
	}
	half, ok := connection.(*net.TCPConn)
	if !ok {
		t.Fatal("not a TCP connection")
	}
	if err := half.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	_ = connection.SetReadDeadline(time.Now().Add(patience))
	response, err := http.ReadResponse(bufio.NewReader(connection), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusBadRequest || e.counted("push", outcomeMalformed) != 1 || len(e.waker.names) != 0 {
		t.Errorf("answered %d, woke %v", response.StatusCode, e.waker.names)
	}
}

// Stopping lets a delivery that is under way finish.
func TestStoppingIsGraceful(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	slow := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-release
		if r.Context().Err() != nil {
			w.WriteHeader(http.StatusInternalServerError)
			return
		}
		_, _ = io.WriteString(w, "done")
	})
	address, stop, ended := serve(t, slow)
	answered := make(chan int, 1)
	go func() {
		request, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, "http://"+address+Path, http.NoBody)
		if err != nil {
			answered <- 0
			return
		}
		response, err := (&http.Client{Timeout: patience}).Do(request)
		if err != nil {
			answered <- 0
			return
		}
		_ = response.Body.Close()
		answered <- response.StatusCode
	}()
	<-entered
	stop()
	select {
	case err := <-ended:
		t.Fatalf("the server ended before the delivery did: %v", err)
	default:
	}
	close(release)
	if status := <-answered; status != http.StatusOK {
		t.Errorf("the delivery was answered %d", status)
	}
	if err := <-ended; err != nil {
		t.Errorf("stopping: %v", err)
	}
}
