// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package environment

import (
	"context"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
)

type queue = workqueue.TypedRateLimitingInterface[reconcile.Request]

// SetupWithManager starts the reconciler with the manager, whose cache must have the indexes of package index.
func (r *Reconciler) SetupWithManager(manager ctrl.Manager, options controller.Options) error {
	err := ctrl.NewControllerManagedBy(manager).
		Named("environment").
		WithOptions(options).
		For(&mainstemv1.Environment{}, builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&mainstemv1.Environment{}, handler.EnqueueRequestsFromMapFunc(r.everyEnvironment), builder.WithPredicates(graphChanged())).
		Watches(&mainstemv1.Application{}, applicationHandler()).
		Complete(r)
	if err != nil {
		return fmt.Errorf("setting up the Environment controller: %w", err)
	}
	return nil
}

// everyEnvironment asks for all of them: whether one can be used depends on what the others come after.
func (r *Reconciler) everyEnvironment(ctx context.Context, _ client.Object) []reconcile.Request {
	var environments mainstemv1.EnvironmentList
	if err := r.Client.List(ctx, &environments, client.UnsafeDisableDeepCopy); err != nil {
		log.FromContext(ctx).Error(err, "listing Environments after one of them changed")
		return nil
	}
	requests := make([]reconcile.Request, 0, len(environments.Items))
	for i := range environments.Items {
		requests = append(requests, requestFor(environments.Items[i].Name))
	}
	return requests
}

// graphChanged lets through what changes how Environments follow each other.
func graphChanged() predicate.Predicate {
	return predicate.Funcs{
		UpdateFunc: func(update event.UpdateEvent) bool {
			old, isOld := update.ObjectOld.(*mainstemv1.Environment)
			current, isCurrent := update.ObjectNew.(*mainstemv1.Environment)
			return isOld && isCurrent && !slices.Equal(old.Spec.After, current.Spec.After)
		},
		GenericFunc: func(event.GenericEvent) bool { return false },
	}
}

// applicationHandler asks for the Environments whose count an Application's change can alter, and for no others.
func applicationHandler() handler.EventHandler {
	return handler.Funcs{
		CreateFunc: func(_ context.Context, created event.CreateEvent, queue queue) {
			enqueueChanged(nil, created.Object, queue)
		},
		UpdateFunc: func(_ context.Context, update event.UpdateEvent, queue queue) {
			enqueueChanged(update.ObjectOld, update.ObjectNew, queue)
		},
		DeleteFunc: func(_ context.Context, deleted event.DeleteEvent, queue queue) {
			enqueueChanged(deleted.Object, nil, queue)
		},
	}
}

// enqueueChanged compares what the old and the new Application add to each Environment; nil adds nothing.
func enqueueChanged(old, current client.Object, queue queue) {
	before, after := standingsOf(old), standingsOf(current)
	for name, stands := range after {
		if was, listed := before[name]; !listed || was != stands {
			queue.Add(requestFor(name))
		}
	}
	for name := range before {
		if _, listed := after[name]; !listed {
			queue.Add(requestFor(name))
		}
	}
}

func standingsOf(object client.Object) map[string]standing {
	application, ok := object.(*mainstemv1.Application)
	if !ok {
		return nil
	}
	return standings(application)
}

func requestFor(environment string) reconcile.Request {
	return reconcile.Request{NamespacedName: types.NamespacedName{Name: environment}}
}
