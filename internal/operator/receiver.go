// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package operator

import (
	"fmt"
	"time"

	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/manager"
	"sigs.k8s.io/controller-runtime/pkg/metrics"

	"github.com/mainstem-dev/mainstem/internal/github"
	"github.com/mainstem-dev/mainstem/internal/receiver"
)

// addReceiver takes webhook deliveries on every replica. It returns where the Applications come from that they wake.
func addReceiver(mgr ctrl.Manager, o Options, clients *github.Clients) (<-chan event.GenericEvent, error) {
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
	memory := receiver.NewMemory(clients)
	waker := &receiver.ByElection{Elected: mgr.Elected(), Leading: memory, Following: &receiver.Durable{Client: mgr.GetClient()}}
	handler := receiver.NewHandler(mgr.GetCache(), secrets, waker, counters)
	for _, runnable := range []manager.Runnable{memory, &receiver.Server{Address: o.WebhookAddress, Handler: handler}} {
		if err := mgr.Add(runnable); err != nil {
			return nil, fmt.Errorf("setting the webhook receiver up: %w", err)
		}
	}
	return memory.Channel(), nil
}
