// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/fluxcd/pkg/apis/meta"
	"golang.org/x/sync/errgroup"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// Waker makes Applications be reconciled soon, with a fresh look at their repository. When it returns without an error, the
// wake-up cannot be lost any more, except with the leader's process, which begins by reconciling everything anyway.
type Waker interface {
	Wake(ctx context.Context, applications []types.NamespacedName, delivery Delivery) error
}

// ByElection wakes in memory on the leader and durably on every other replica.
type ByElection struct {
	// Elected is closed once this replica leads; a manager's Elected is one.
	Elected <-chan struct{}
	// Leading is asked after that, Following before.
	Leading, Following Waker
}

// Wake asks the one whose turn it is.
func (b *ByElection) Wake(ctx context.Context, applications []types.NamespacedName, delivery Delivery) error {
	select {
	case <-b.Elected:
		return b.Leading.Wake(ctx, applications, delivery)
	default:
		return b.Following.Wake(ctx, applications, delivery)
	}
}

const (
	// followerOwner is the field manager of the annotation.
	followerOwner = "mainstem-receiver"
	// followerWrites bounds how many Applications are written at once for one delivery.
	followerWrites = 8
	// wakePrefix begins the annotation's value, so that people see where it comes from.
	wakePrefix = "github-"
)

// Durable wakes by writing the annotation reconcile.fluxcd.io/requestedAt, which the leader watches. The value comes from the
// delivery, so that a redelivery writes nothing that is already there.
type Durable struct {
	// Client reads from the cache and writes.
	Client client.Client
}

// Wake writes each Application, and returns once all are written. One that is gone needs no waking.
func (d *Durable) Wake(ctx context.Context, applications []types.NamespacedName, delivery Delivery) error {
	value := wakePrefix + delivery.ID
	data, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]string{meta.ReconcileRequestAnnotation: value}}})
	if err != nil {
		return fmt.Errorf("encoding the annotation %s: %w", meta.ReconcileRequestAnnotation, err)
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(followerWrites)
	for _, name := range applications {
		group.Go(func() error { return d.write(ctx, name, value, data) })
	}
	return group.Wait()
}

func (d *Durable) write(ctx context.Context, name types.NamespacedName, value string, patch []byte) error {
	var application mainstemv1.Application
	err := d.Client.Get(ctx, name, &application)
	if err == nil && application.Annotations[meta.ReconcileRequestAnnotation] == value {
		return nil
	}
	if err == nil {
		err = d.Client.Patch(ctx, &application, client.RawPatch(types.MergePatchType, patch), client.FieldOwner(followerOwner))
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("asking for Application %s to be reconciled: %w", name, err)
	}
	return nil
}
