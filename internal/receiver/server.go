// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Bounds of the HTTP server. GitHub gives up on a delivery after 10 s
// (https://docs.github.com/en/webhooks/using-webhooks/best-practices-for-using-webhooks).
const (
	readHeaderTimeout = 5 * time.Second
	readTimeout       = 10 * time.Second
	writeTimeout      = 15 * time.Second
	idleTimeout       = time.Minute
	shutdownTimeout   = 10 * time.Second
	maxHeaderBytes    = 16 << 10
)

// DefaultPath is where GitHub posts deliveries to.
const DefaultPath = "/github"

// Server serves a [Handler] until its context ends. Add it to a manager: it runs on every replica.
type Server struct {
	// Address is host:port to listen on, such as ":9292".
	Address string
	// Path is the one path that is served. Default: [DefaultPath].
	Path string
	// Handler takes the deliveries.
	Handler http.Handler
	// Listener, when set, is used instead of Address.
	Listener net.Listener
}

// NeedLeaderElection says that replicas that are not the leader take deliveries too.
func (s *Server) NeedLeaderElection() bool { return false }

// Start listens and serves until ctx ends; then it lets deliveries that are under way finish, for at most 10 s.
func (s *Server) Start(ctx context.Context) error {
	listener := s.Listener
	if listener == nil {
		var err error
		if listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", s.Address); err != nil {
			return fmt.Errorf("listening for webhooks on %s: %w", s.Address, err)
		}
	}
	path := s.Path
	if path == "" {
		path = DefaultPath
	}
	routes := http.NewServeMux()
	routes.Handle(path, s.Handler)
	server := &http.Server{
		Handler:           routes,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		// Deliveries that are under way when ctx ends are finished, so they must not inherit its end.
		BaseContext: func(net.Listener) context.Context { return context.WithoutCancel(ctx) },
	}
	log.FromContext(ctx).Info("listening for webhooks", "address", listener.Addr().String(), "path", path)

	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("serving webhooks: %w", err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if err := server.Shutdown(stop); err != nil {
		return errors.Join(fmt.Errorf("letting deliveries finish: %w", err), server.Close())
	}
	return nil
}
