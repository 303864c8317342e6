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

// Path is where GitHub posts deliveries to. No other path is served.
const Path = "/github"

// Server serves a [Handler] until its context ends. Add it to a manager: it runs on every replica.
type Server struct {
	// Listener is where deliveries come.
	Listener net.Listener
	// Handler takes the deliveries, at [Path].
	Handler http.Handler
}

// NeedLeaderElection says that replicas that are not the leader take deliveries too.
func (s *Server) NeedLeaderElection() bool { return false }

// Start serves until ctx ends; then it lets deliveries that are under way finish, for at most 10 s.
func (s *Server) Start(ctx context.Context) error {
	routes := http.NewServeMux()
	routes.Handle(Path, s.Handler)
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
	log.FromContext(ctx).Info("listening for webhooks", "address", s.Listener.Addr().String(), "path", Path)

	ended := make(chan error, 1)
	go func() { ended <- server.Serve(s.Listener) }()
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
