// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// followerOwner is the field manager of the annotation.
const followerOwner = "mainstem-receiver"

// Durable wakes by one write for each delivery: the annotation [mainstemv1.DeliveryAnnotation] on one of the Applications, which
// stands for all of them. The leader's [Relay] sees it. Its value is the delivery's name, so that a repeated delivery writes
// nothing that is there already.
//
// A wake-up that cannot be written in time is an error, so that GitHub shows the delivery as failed; it is kept all the same, in
// memory, and written once the API server takes it. Make one with [NewDurable] and add it to the manager.
type Durable struct {
	client  client.Client
	retrier retrier
	later   wait.Backoff
	metrics *Metrics
	limit   int
	arrived chan struct{}

	mutex sync.Mutex
	// kept are the wake-ups that are yet to be written, by the first of their Applications: a later one says all that an earlier
	// one did.
	kept map[types.NamespacedName]wakeUp
}

// wakeUp is what a delivery comes to: whom it wakes, in order.
type wakeUp struct {
	applications []types.NamespacedName
	delivery     Delivery
}

// NewDurable makes a waker that reads from the cache of client, and writes through it. It gives up waiting for the API server when
// stopping is closed.
func NewDurable(writer client.Client, metrics *Metrics, stopping <-chan struct{}) *Durable {
	return &Durable{
		client: writer, retrier: retrier{stopping: stopping, pauses: shortPauses()}, later: longPauses(),
		metrics: metrics, limit: maxPending, arrived: make(chan struct{}, 1), kept: map[types.NamespacedName]wakeUp{},
	}
}

// Wake returns once the wake-up is written, or ctx ends.
func (d *Durable) Wake(ctx context.Context, applications []types.NamespacedName, delivery Delivery) error {
	wake := wakeUp{applications: slices.SortedFunc(slices.Values(applications), byName), delivery: delivery}
	err := d.retrier.persist(ctx, func(ctx context.Context) error { return d.write(ctx, wake) })
	switch {
	case err == nil:
		d.drop(wake.applications[0])
	case !hopeless(err):
		d.keep(wake)
	}
	return err
}

func byName(a, b types.NamespacedName) int {
	return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// write annotates the first of the Applications that is there; where none is any more, nobody needs waking.
func (d *Durable) write(ctx context.Context, wake wakeUp) error {
	for _, name := range wake.applications {
		there, err := d.annotate(ctx, name, wake.delivery.ID)
		if err != nil {
			return fmt.Errorf("writing a delivery on Application %s: %w", name, err)
		}
		if there {
			return nil
		}
	}
	return nil
}

// annotate says whether the Application is there to stand for the others. One that is on its way out may be gone before the leader
// has seen anything.
func (d *Durable) annotate(ctx context.Context, name types.NamespacedName, value string) (bool, error) {
	var application mainstemv1.Application
	if err := d.client.Get(ctx, name, &application); err != nil {
		return false, client.IgnoreNotFound(err)
	}
	if !application.DeletionTimestamp.IsZero() {
		return false, nil
	}
	if application.Annotations[mainstemv1.DeliveryAnnotation] == value {
		return true, nil
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{mainstemv1.DeliveryAnnotation: value}}})
	if err != nil {
		return false, fmt.Errorf("encoding the annotation: %w", err)
	}
	err = d.client.Patch(ctx, &application, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(followerOwner))
	return err == nil, client.IgnoreNotFound(err)
}

// keep keeps a wake-up for [Durable.Start].
func (d *Durable) keep(wake wakeUp) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if _, known := d.kept[wake.applications[0]]; !known && len(d.kept) >= d.limit {
		return // Polling finds what it was about.
	}
	d.kept[wake.applications[0]] = wake
	d.metrics.unwritten.Set(float64(len(d.kept)))
	select {
	case d.arrived <- struct{}{}:
	default: // whoever writes has yet to look, and will find this one too
	}
}

// drop forgets what was kept for an Application.
func (d *Durable) drop(first types.NamespacedName) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	delete(d.kept, first)
	d.metrics.unwritten.Set(float64(len(d.kept)))
}

// NeedLeaderElection says that it runs on every replica.
func (d *Durable) NeedLeaderElection() bool { return false }

// Start writes what is kept, again and again until nothing is, whenever there is something, until ctx ends.
func (d *Durable) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-d.arrived:
		}
		pauses := d.later
		for left := d.writeKept(ctx); left > 0; left = d.writeKept(ctx) {
			pause := time.NewTimer(pauses.Step())
			select {
			case <-ctx.Done():
				pause.Stop()
				log.FromContext(ctx).Info("Webhook deliveries that could not be written are left to polling", "applications", left)
				return nil
			case <-pause.C:
			}
		}
	}
}

// writeKept attempts to write each wake-up that is kept, and gives how many still are.
func (d *Durable) writeKept(ctx context.Context) int {
	d.mutex.Lock()
	wakes := slices.Collect(maps.Values(d.kept))
	d.mutex.Unlock()
	for _, wake := range wakes {
		err := once(ctx, func(ctx context.Context) error { return d.write(ctx, wake) })
		logger := log.FromContext(ctx).WithValues("delivery", wake.delivery.ID, "application", wake.applications[0])
		switch {
		case err == nil:
			logger.Info("Wrote a webhook delivery that was answered with 503")
			d.dropThis(wake)
		case hopeless(err):
			logger.Error(err, "Writing a webhook delivery that was answered with 503: it is left to polling")
			d.dropThis(wake)
		case !errors.As(err, new(apierrors.APIStatus)):
			return len(wakes) // The API server does not answer: nor would it for the others.
		}
	}
	d.mutex.Lock()
	defer d.mutex.Unlock()
	return len(d.kept)
}

// dropThis forgets a wake-up, unless a later one has taken its place.
func (d *Durable) dropThis(wake wakeUp) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if d.kept[wake.applications[0]].delivery.ID == wake.delivery.ID {
		delete(d.kept, wake.applications[0])
	}
	d.metrics.unwritten.Set(float64(len(d.kept)))
}
