// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/log"
)

// Bounds of a [Backlog]. What does not fit is left to polling.
const (
	backlogDeliveries = 4096
	backlogBytes      = 16 << 20
)

// Backlog handles later what could not be handled while GitHub waited, because the API server did not answer: GitHub shows such a
// delivery as failed, and does not make it again. It is kept in memory. Make one with [NewBacklog] and add it to the manager.
type Backlog struct {
	pauses  wait.Backoff
	metrics *Metrics
	arrived chan struct{}

	mutex sync.Mutex
	kept  map[string]late
	bytes int
}

// late is a delivery that is to be handled later.
type late struct {
	// key is what it has in common with deliveries that say the same.
	key string
	// id is the delivery's name.
	id string
	// bytes is how much is held for it.
	bytes int
	// handle attempts it.
	handle func(context.Context) error
}

// NewBacklog makes an empty one.
func NewBacklog(metrics *Metrics) *Backlog {
	return &Backlog{pauses: longPauses(), metrics: metrics, arrived: make(chan struct{}, 1), kept: map[string]late{}}
}

// keep keeps a delivery, in the place of an earlier one with the same key.
func (b *Backlog) keep(delivery late) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	before, known := b.kept[delivery.key]
	if (!known && len(b.kept) >= backlogDeliveries) || b.bytes-before.bytes+delivery.bytes > backlogBytes {
		return
	}
	b.kept[delivery.key] = delivery
	b.bytes += delivery.bytes - before.bytes
	b.metrics.backlog.Set(float64(len(b.kept)))
	select {
	case b.arrived <- struct{}{}:
	default: // whoever handles has yet to look, and will find this one too
	}
}

// drop forgets what has a key.
func (b *Backlog) drop(key string) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	b.forget(key)
}

// finished forgets a delivery, unless a later one has taken its place.
func (b *Backlog) finished(delivery late) {
	b.mutex.Lock()
	defer b.mutex.Unlock()
	if b.kept[delivery.key].id == delivery.id {
		b.forget(delivery.key)
	}
}

func (b *Backlog) forget(key string) {
	b.bytes -= b.kept[key].bytes
	delete(b.kept, key)
	b.metrics.backlog.Set(float64(len(b.kept)))
}

// NeedLeaderElection says that it runs on every replica.
func (b *Backlog) NeedLeaderElection() bool { return false }

// Start handles what is kept, again and again until nothing is, whenever there is something, until ctx ends.
func (b *Backlog) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-b.arrived:
		}
		pauses := b.pauses
		for left := b.handle(ctx); left > 0; left = b.handle(ctx) {
			pause := time.NewTimer(pauses.Step())
			select {
			case <-ctx.Done():
				pause.Stop()
				log.FromContext(ctx).Info("Webhook deliveries that could not be handled are left to polling", "deliveries", left)
				return nil
			case <-pause.C:
			}
		}
	}
}

// handle attempts everything that is kept, and gives how much still is.
func (b *Backlog) handle(ctx context.Context) int {
	b.mutex.Lock()
	deliveries := slices.Collect(maps.Values(b.kept))
	b.mutex.Unlock()
	for _, delivery := range deliveries {
		logger := log.FromContext(ctx).WithName("receiver").WithValues("delivery", delivery.id)
		err := once(ctx, delivery.handle)
		switch {
		case err == nil:
			logger.Info("Handled a webhook delivery that was answered with 503")
			b.finished(delivery)
		case hopeless(err):
			logger.Error(err, "Handling a webhook delivery that was answered with 503: it is left to polling")
			b.finished(delivery)
		case !errors.As(err, new(apierrors.APIStatus)):
			return len(deliveries) // The API server does not answer: nor would it for the others.
		}
	}
	b.mutex.Lock()
	defer b.mutex.Unlock()
	return len(b.kept)
}
