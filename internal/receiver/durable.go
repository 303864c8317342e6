// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"context"
	"encoding/json"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// followerOwner is the field manager of the annotation.
const followerOwner = "mainstem-receiver"

// Durable wakes by one write for each delivery: the annotation [mainstemv1.DeliveryAnnotation] on one of the Applications, which
// stands for all of them. The leader's [Relay] sees it. Its value is the delivery's name, so that a repeated delivery writes
// nothing that is there already. Make one with [NewDurable].
type Durable struct {
	client  client.Client
	retrier retrier
}

// NewDurable makes a waker that reads from the cache of writer, and writes through it. It attempts nothing again after stopping is
// closed.
func NewDurable(writer client.Client, stopping <-chan struct{}) *Durable {
	return &Durable{client: writer, retrier: retrier{stopping: stopping, pauses: shortPauses()}}
}

// Wake returns once the wake-up is written, or ctx ends.
func (d *Durable) Wake(ctx context.Context, applications []types.NamespacedName, delivery Delivery) error {
	return d.retrier.persist(ctx, func(ctx context.Context) error { return d.write(ctx, applications, delivery.ID) })
}

// write annotates the first of the Applications that is there; where none is any more, nobody needs waking.
func (d *Durable) write(ctx context.Context, applications []types.NamespacedName, value string) error {
	for _, name := range applications {
		there, err := d.annotate(ctx, name, value)
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
