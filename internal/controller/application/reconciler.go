// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package application carries releases of Applications through their environments. One reconciliation observes everything about
// one Application once, asks package policy what is to be done, does it, and reports: Releases, Promotions and Flux objects of an
// Application have this one writer, so that no two decisions are ever made on different observations.
package application

import (
	"context"
	"fmt"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/apply"
	"github.com/mainstem-dev/mainstem/internal/github"
	"github.com/mainstem-dev/mainstem/internal/index"
	"github.com/mainstem-dev/mainstem/internal/observe"
)

// Reconciler reconciles Applications.
type Reconciler struct {
	// Client reads from the cache and writes.
	Client client.Client
	// Live reads from the API server, where a stale answer could make something twice.
	Live client.Reader
	// Observer reads what decisions depend on.
	Observer *observe.Observer
	// Applier writes Flux objects.
	Applier *apply.Applier
	// GitHub is told which repositories to look at anew.
	GitHub *github.Clients
	// Events tells people what happened.
	Events Recorder
	// Now is the clock.
	Now func() time.Time

	written written
	rests   rests
}

// Recorder records events, on Kubernetes objects and, where there is one, with Flux's notification-controller.
type Recorder interface {
	Eventf(regarding, related runtime.Object, eventtype, reason, action, note string, args ...any)
}

// conflictPause is how long to wait after somebody else wrote first, or the cache was behind: it has the newer object by then.
const conflictPause = 100 * time.Millisecond

// Reconcile brings one Application one step further.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	result, err := r.reconcile(ctx, request)
	if apierrors.IsConflict(err) {
		return ctrl.Result{RequeueAfter: conflictPause}, nil
	}
	return result, err
}

func (r *Reconciler) reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	app := &v1alpha1.Application{}
	if err := r.Client.Get(ctx, request.NamespacedName, app); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.rests.end(request.NamespacedName)
			return ctrl.Result{}, r.cancelOrphans(ctx, request.NamespacedName)
		}
		return ctrl.Result{}, fmt.Errorf("reading Application %s: %w", request, err)
	}
	if result, resting := r.stillRests(ctx, app); resting {
		return result, nil
	}
	begun := r.rests.begin(request.NamespacedName)
	if r.written.ahead(app) {
		return ctrl.Result{RequeueAfter: catchUp}, nil
	}
	app = app.DeepCopy()
	if !app.DeletionTimestamp.IsZero() {
		return ctrl.Result{}, r.finalize(ctx, app)
	}
	if controllerutil.AddFinalizer(app, v1alpha1.Finalizer) {
		if err := r.patchFinalizers(ctx, app); err != nil {
			return ctrl.Result{}, err
		}
	}
	requested := r.lookAnewIfAsked(app)
	observation, err := r.Observer.Observe(ctx, app)
	if err != nil {
		return ctrl.Result{}, err
	}
	for _, promotion := range observation.State.Promotions {
		if r.written.ahead(promotion) {
			return ctrl.Result{RequeueAfter: catchUp}, nil
		}
	}
	c := &carrier{Reconciler: r, observation: observation, state: &observation.State, observed: map[string]*v1alpha1.Promotion{}, begun: begun}
	if !app.Spec.Suspend {
		if err := c.carry(ctx); err != nil {
			return ctrl.Result{}, err
		}
	}
	return c.finish(ctx, requested)
}

// in is how long it is until a moment.
func (r *Reconciler) in(at time.Time) time.Duration { return max(at.Sub(r.Now()), time.Millisecond) }

// lookAnewIfAsked makes what is known of the repository and its credential old, where somebody asks for a reconciliation in Flux's way. It returns
// the annotation's value.
func (r *Reconciler) lookAnewIfAsked(app *v1alpha1.Application) string {
	requested, _ := meta.ReconcileAnnotationValue(app.GetAnnotations())
	if requested != "" && requested != app.Status.LastHandledReconcileAt {
		r.Observer.ForgetSecret(app)
		for _, key := range index.RepositoryOf(app) {
			r.GitHub.InvalidateKey(key)
		}
	}
	return requested
}

// patchFinalizers writes an Application's finalizers.
func (r *Reconciler) patchFinalizers(ctx context.Context, app *v1alpha1.Application) error {
	before := app.DeepCopy()
	before.Finalizers = nil
	if !controllerutil.ContainsFinalizer(app, v1alpha1.Finalizer) {
		before.Finalizers = append(before.Finalizers, v1alpha1.Finalizer)
	}
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	err := r.Client.Patch(ctx, app, patch, client.FieldOwner(apply.FieldOwner))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the finalizer of Application %s/%s: %w", app.Namespace, app.Name, err)
	}
	r.written.remember(app)
	return nil
}
