// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package environment reconciles Environments: it says whether one can be used, and counts how its Applications are doing.
// It writes nothing but their status, and only when that changes.
package environment

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiequality "k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// conflictPause is how long to wait after somebody else wrote first: the cache has the newer object by then.
const conflictPause = time.Second

// Recorder records events; the recorder of a manager is one.
type Recorder interface {
	Eventf(regarding, related runtime.Object, eventtype, reason, action, note string, args ...any)
}

// Reconciler keeps the status of Environments.
type Reconciler struct {
	// Client reads from a cache that has the indexes of package index, and writes.
	Client client.Client
	// Recorder gets one event when Ready turns.
	Recorder Recorder
	// Now is the clock. Default: time.Now.
	Now func() time.Time

	tallies tallies
}

// Reconcile assesses one Environment and, when it is time, counts its Applications.
func (r *Reconciler) Reconcile(ctx context.Context, request ctrl.Request) (ctrl.Result, error) {
	stored := &mainstemv1.Environment{}
	if err := r.Client.Get(ctx, request.NamespacedName, stored); err != nil {
		if apierrors.IsNotFound(err) {
			r.tallies.forget(request.Name)
			return ctrl.Result{}, nil
		}
		return ctrl.Result{}, fmt.Errorf("reading Environment %s: %w", request.Name, err)
	}
	if stored.DeletionTimestamp != nil {
		return ctrl.Result{}, nil
	}
	after, err := r.upstreams(ctx)
	if err != nil {
		return ctrl.Result{}, err
	}
	now := r.now()
	environment := stored.DeepCopy()
	report(environment, assess(environment, after), now)

	wait := r.tallies.wait(request.Name, now)
	if wait <= 0 {
		count, err := r.tally(ctx, request.Name)
		if err != nil {
			return ctrl.Result{}, err
		}
		r.tallies.done(request.Name, now)
		environment.Status.Applications = &count
		wait = 0
	}
	if err := r.finish(ctx, stored, environment); err != nil {
		if apierrors.IsConflict(err) {
			return ctrl.Result{RequeueAfter: conflictPause}, nil
		}
		return ctrl.Result{}, err
	}
	return ctrl.Result{RequeueAfter: wait}, nil
}

// upstreams gives spec.after of every Environment by name.
func (r *Reconciler) upstreams(ctx context.Context) (map[string][]string, error) {
	var environments mainstemv1.EnvironmentList
	if err := r.Client.List(ctx, &environments, client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing Environments: %w", err)
	}
	after := make(map[string][]string, len(environments.Items))
	for i := range environments.Items {
		names := make([]string, 0, len(environments.Items[i].Spec.After))
		for _, name := range environments.Items[i].Spec.After {
			names = append(names, string(name))
		}
		after[environments.Items[i].Name] = names
	}
	return after, nil
}

// report puts a verdict into the status.
func report(environment *mainstemv1.Environment, found verdict, now time.Time) {
	ready := metav1.Condition{
		Type: mainstemv1.ReadyCondition, Status: metav1.ConditionTrue, Reason: found.reason, Message: found.message,
		ObservedGeneration: environment.Generation, LastTransitionTime: metav1.NewTime(now),
	}
	if !found.usable() {
		ready.Status = metav1.ConditionFalse
	}
	apimeta.SetStatusCondition(&environment.Status.Conditions, ready)
	if found.stalled {
		stalled := ready
		stalled.Type, stalled.Status = mainstemv1.StalledCondition, metav1.ConditionTrue
		apimeta.SetStatusCondition(&environment.Status.Conditions, stalled)
	} else {
		apimeta.RemoveStatusCondition(&environment.Status.Conditions, mainstemv1.StalledCondition)
	}
	environment.Status.ObservedGeneration = environment.Generation
}

// finish writes the status if it changed, and then tells when Ready turned. An Environment that is gone is fine.
func (r *Reconciler) finish(ctx context.Context, stored, environment *mainstemv1.Environment) error {
	if apiequality.Semantic.DeepEqual(stored.Status, environment.Status) {
		return nil
	}
	// The lock keeps a status that was computed from a lagging cache from being written over a newer one.
	patch := client.MergeFromWithOptions(stored, client.MergeFromWithOptimisticLock{})
	if err := r.Client.Status().Patch(ctx, environment, patch); err != nil {
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("writing the status of Environment %s: %w", stored.Name, err)
	}
	r.tell(stored, environment)
	return nil
}

// tell records an event when Ready turned, or is false for another reason. To begin well is no news.
func (r *Reconciler) tell(stored, environment *mainstemv1.Environment) {
	before := apimeta.FindStatusCondition(stored.Status.Conditions, mainstemv1.ReadyCondition)
	ready := apimeta.FindStatusCondition(environment.Status.Conditions, mainstemv1.ReadyCondition)
	if before != nil && before.Status == ready.Status && before.Reason == ready.Reason {
		return
	}
	kind := corev1.EventTypeWarning
	if ready.Status == metav1.ConditionTrue {
		if before == nil {
			return
		}
		kind = corev1.EventTypeNormal
	}
	r.Recorder.Eventf(environment, nil, kind, ready.Reason, "Assess", "%s", ready.Message)
}

func (r *Reconciler) now() time.Time {
	if r.Now == nil {
		return time.Now()
	}
	return r.Now()
}
