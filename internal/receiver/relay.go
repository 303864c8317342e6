// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"context"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/index"
)

const (
	// relayRetries is how often Secrets that cannot be read are read again for one delivery, with pauses from relayPause up to
	// relayPauses.
	relayRetries = 10
	relayPause   = 100 * time.Millisecond
	relayPauses  = 10 * time.Second
)

// Relay acts on the leader on what [Durable] wrote on another replica. It is a source of the Application controller, so it looks
// from before the first reconciliation on: what was written earlier, that one does not need.
//
// The write is on one Application whose secret signed the delivery. Whoever signed had that secret, so the delivery is about
// exactly those Applications of the repository that have the same one: they are found by comparing the secrets themselves. The
// annotation so says nothing that could be believed wrongly. Who writes it by hand wakes those whose secret they have anyway.
type Relay struct {
	source.SyncingSource

	reader      client.Reader
	secrets     *Secrets
	invalidator Invalidator
	written     workqueue.TypedRateLimitingInterface[types.NamespacedName]
}

// NewRelay makes a source that tells invalidator first. applications is a cache with the index [index.ApplicationsByRepository].
func NewRelay(applications cache.Cache, secrets *Secrets, invalidator Invalidator) *Relay {
	r := &Relay{reader: applications, secrets: secrets, invalidator: invalidator}
	r.written = workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[types.NamespacedName](relayPause, relayPauses))
	r.SyncingSource = source.Kind(applications, &mainstemv1.Application{}, handler.TypedFuncs[*mainstemv1.Application, reconcile.Request]{
		UpdateFunc: func(_ context.Context, update event.TypedUpdateEvent[*mainstemv1.Application], _ workqueue.TypedRateLimitingInterface[reconcile.Request]) {
			r.written.Add(client.ObjectKeyFromObject(update.ObjectNew))
		},
	}, predicate.TypedFuncs[*mainstemv1.Application]{UpdateFunc: delivered})
	return r
}

// delivered says that a delivery was written.
func delivered(update event.TypedUpdateEvent[*mainstemv1.Application]) bool {
	now := update.ObjectNew.Annotations[mainstemv1.DeliveryAnnotation]
	return now != "" && now != update.ObjectOld.Annotations[mainstemv1.DeliveryAnnotation]
}

// Start begins to look, until ctx ends.
func (r *Relay) Start(ctx context.Context, requests workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	context.AfterFunc(ctx, r.written.ShutDown)
	go r.work(ctx, requests)
	return r.SyncingSource.Start(ctx, requests)
}

func (r *Relay) work(ctx context.Context, requests workqueue.TypedRateLimitingInterface[reconcile.Request]) {
	for {
		name, over := r.written.Get()
		if over {
			return
		}
		err := r.wake(ctx, name, requests)
		switch {
		case err == nil:
			r.written.Forget(name)
		case r.written.NumRequeues(name) < relayRetries:
			r.written.AddRateLimited(name)
		default:
			log.FromContext(ctx).Error(err, "Not all Applications that a webhook delivery is about are woken: polling finds what it was about", "application", name)
			r.written.Forget(name)
		}
		r.written.Done(name)
	}
}

// wake wakes those for whom an Application stands: first those with the very same Secret, then those with the same secret in
// another one. An error is about Secrets that could not be read.
func (r *Relay) wake(ctx context.Context, name types.NamespacedName, requests workqueue.TypedRateLimitingInterface[reconcile.Request]) error {
	var application mainstemv1.Application
	if err := r.reader.Get(ctx, name, &application); err != nil {
		return client.IgnoreNotFound(err)
	}
	own, signs := secretOf(&application)
	keys := index.RepositoryOf(&application)
	if !signs || len(keys) == 0 {
		return nil
	}
	var peers mainstemv1.ApplicationList
	if err := r.reader.List(ctx, &peers, client.MatchingFields{index.ApplicationsByRepository: keys[0]}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("finding the Applications of a repository: %w", err)
	}
	log.FromContext(ctx).V(1).Info("Relaying a webhook delivery", "delivery", application.Annotations[mainstemv1.DeliveryAnnotation], "application", name)
	r.invalidator.InvalidateKey(keys[0])
	users := usersOf(peers.Items)
	add(requests, users[own])
	delete(users, own)
	others, err := r.secrets.sameAs(ctx, own, users)
	for _, secret := range others {
		add(requests, users[secret])
	}
	return err
}

func add(requests workqueue.TypedRateLimitingInterface[reconcile.Request], names []types.NamespacedName) {
	for _, name := range names {
		requests.Add(reconcile.Request{NamespacedName: name})
	}
}
