// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package operator

import (
	"context"
	"fmt"
	"net"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	"sigs.k8s.io/controller-runtime/pkg/source"

	"github.com/mainstem-dev/mainstem/internal/github"
	"github.com/mainstem-dev/mainstem/internal/receiver"
)

// addReceiver takes webhook deliveries on every replica. It returns where the Applications come from that they wake: those that this
// replica took while it leads, and those that another one wrote down.
func addReceiver(ctx context.Context, mgr ctrl.Manager, o Options, clients *github.Clients) ([]source.Source, error) {
	if o.WebhookAddress == "0" {
		return nil, nil
	}
	secrets, err := receiver.NewSecrets(mgr.GetAPIReader(), time.Now)
	if err != nil {
		return nil, fmt.Errorf("setting the webhook receiver up: %w", err)
	}
	counters, err := receiver.NewMetrics(metrics.Registry)
	if err != nil {
		return nil, fmt.Errorf("setting the webhook receiver up: %w", err)
	}
	memory, durable, backlog := receiver.NewMemory(clients), receiver.NewDurable(mgr.GetClient(), ctx.Done()), receiver.NewBacklog(counters)
	handler, err := receiver.NewHandler(receiver.Options{
		Applications: mgr.GetCache(), Secrets: secrets, Backlog: backlog, Metrics: counters, Now: time.Now, Stopping: ctx.Done(),
		Waker: &receiver.ByElection{Elected: mgr.Elected(), Leading: memory, Following: durable},
	})
	if err != nil {
		return nil, fmt.Errorf("setting the webhook receiver up: %w", err)
	}
	// It listens from now on: a delivery that comes while the caches fill waits for them. GitHub would not send it again.
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", o.WebhookAddress)
	if err != nil {
		return nil, fmt.Errorf("listening for webhooks on %s: %w", o.WebhookAddress, err)
	}
	for _, runnable := range []manager.Runnable{memory, backlog, &receiver.Server{Listener: listener, Handler: handler}} {
		if err := mgr.Add(runnable); err != nil {
			return nil, fmt.Errorf("setting the webhook receiver up: %w", err)
		}
	}
	return []source.Source{memory.Source(), receiver.NewRelay(mgr.GetCache(), secrets, clients)}, nil
}
