// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package application

import (
	"context"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/runtime/predicates"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/builder"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/predicate"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"
	"sigs.k8s.io/controller-runtime/pkg/source"

	corev1 "k8s.io/api/core/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/index"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// SetupWithManager watches everything that may change a decision about an Application. woken bring Applications that a webhook
// is about; these stay at rest unless GitHub, which they ask anew, has something new.
func (r *Reconciler) SetupWithManager(mgr ctrl.Manager, woken []source.Source, options controller.Options) error {
	build := ctrl.NewControllerManagedBy(mgr).
		Named("application").
		WithOptions(options).
		For(&v1alpha1.Application{}, builder.WithPredicates(predicate.Or[client.Object](predicate.GenerationChangedPredicate{}, predicates.ReconcileRequestedPredicate{}))).
		Watches(&v1alpha1.Application{}, r.waking(r.besides), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&v1alpha1.Promotion{}, r.waking(named)).
		Watches(&v1alpha1.Release{}, r.waking(named)).
		Watches(&v1alpha1.Approval{}, r.waking(r.ofApproval)).
		Watches(&v1alpha1.Hold{}, r.waking(r.ofHold)).
		Watches(&v1alpha1.Environment{}, r.waking(r.ofEnvironment), builder.WithPredicates(predicate.GenerationChangedPredicate{})).
		Watches(&corev1.Namespace{}, r.waking(r.inNamespace), builder.WithPredicates(predicate.LabelChangedPredicate{})).
		Watches(&kustomizev1.Kustomization{}, r.waking(r.ofKustomization)).
		Watches(&sourcev1.GitRepository{}, r.waking(r.ofSource))
	for _, from := range woken {
		build = build.WatchesRawSource(from)
	}
	return build.Complete(r)
}

func requestFor(namespace, name string) []reconcile.Request {
	return []reconcile.Request{{NamespacedName: types.NamespacedName{Namespace: namespace, Name: name}}}
}

// named maps a Release or Promotion to the Application that it names.
func named(_ context.Context, object client.Object) []reconcile.Request {
	for _, name := range index.ApplicationOf(object) {
		return requestFor(object.GetNamespace(), name)
	}
	return nil
}

// ofKustomization maps a Kustomization to the Application in its labels and to those that apply the same objects, or to the one in
// whose way it stands, or stood.
func (r *Reconciler) ofKustomization(ctx context.Context, object client.Object) []reconcile.Request {
	if name := object.GetLabels()[v1alpha1.ApplicationLabel]; name != "" {
		return append(requestFor(object.GetNamespace(), name), r.applyingTheSame(ctx, object)...)
	}
	var applications v1alpha1.ApplicationList
	if err := r.Client.List(ctx, &applications, client.InNamespace(object.GetNamespace()), client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	for i := range applications.Items {
		app := &applications.Items[i]
		for j := range app.Spec.Environments {
			if render.KustomizationName(app.Name, app.Spec.Environments[j].Name) == object.GetName() {
				return requestFor(app.Namespace, app.Name)
			}
		}
	}
	return nil
}

// applyingTheSame maps a Kustomization to the other Applications for which Flux applies what it applies.
func (r *Reconciler) applyingTheSame(ctx context.Context, object client.Object) []reconcile.Request {
	var requests []reconcile.Request
	for _, target := range index.TargetsOf(object) {
		var appliers kustomizev1.KustomizationList
		if err := r.Client.List(ctx, &appliers, client.MatchingFields{index.KustomizationsByTarget: target}, client.UnsafeDisableDeepCopy); err != nil {
			return requests
		}
		for i := range appliers.Items {
			if other := &appliers.Items[i]; other.UID != object.GetUID() {
				requests = append(requests, requestFor(other.Namespace, other.Labels[v1alpha1.ApplicationLabel])...)
			}
		}
	}
	return requests
}

// besides maps an Application to the others of its repository: of those that promote through pull requests into one branch, the first has
// it until it goes or takes another one; and all that share a commit and an environment tell GitHub together how that is.
func (r *Reconciler) besides(ctx context.Context, object client.Object) []reconcile.Request {
	keys := index.RepositoryOf(object)
	if len(keys) == 0 {
		return nil
	}
	var peers v1alpha1.ApplicationList
	if err := r.Client.List(ctx, &peers, client.MatchingFields{index.ApplicationsByRepository: keys[0]}, client.UnsafeDisableDeepCopy); err != nil {
		return nil
	}
	var requests []reconcile.Request
	for i := range peers.Items {
		if peer := &peers.Items[i]; peer.UID != object.GetUID() {
			requests = append(requests, requestFor(peer.Namespace, peer.Name)...)
		}
	}
	return requests
}

func (r *Reconciler) ofApproval(ctx context.Context, object client.Object) []reconcile.Request {
	approval, is := object.(*v1alpha1.Approval)
	if !is {
		return nil
	}
	var promotion v1alpha1.Promotion
	if err := r.Client.Get(ctx, types.NamespacedName{Namespace: approval.Namespace, Name: approval.Spec.Promotion}, &promotion); err != nil {
		return nil // An approval of nothing changes nothing; the Promotion's own event comes when it is made.
	}
	return named(ctx, &promotion)
}

func (r *Reconciler) ofHold(ctx context.Context, object client.Object) []reconcile.Request {
	hold, is := object.(*v1alpha1.Hold)
	if !is {
		return nil
	}
	switch {
	case hold.Spec.Application != "":
		return requestFor(hold.Namespace, hold.Spec.Application)
	case hold.Namespace == r.Observer.SystemNamespace:
		return r.list(ctx, client.MatchingFields{index.ApplicationsByEnvironment: string(hold.Spec.Environment)})
	}
	return r.list(ctx, client.InNamespace(hold.Namespace), client.MatchingFields{index.ApplicationsByEnvironment: string(hold.Spec.Environment)})
}

func (r *Reconciler) ofEnvironment(ctx context.Context, _ client.Object) []reconcile.Request {
	// An Environment may be upstream of one that it does not know: whoever may be concerned looks again.
	return r.list(ctx)
}

func (r *Reconciler) inNamespace(ctx context.Context, object client.Object) []reconcile.Request {
	return r.list(ctx, client.InNamespace(object.GetName()))
}

// ofSource maps a source to the Applications of its namespace that may run it: those of its repository.
func (r *Reconciler) ofSource(ctx context.Context, object client.Object) []reconcile.Request {
	git, is := object.(*sourcev1.GitRepository)
	if !is || git.Labels[v1alpha1.InstanceLabel] != r.Observer.Instance {
		return nil
	}
	probe := &v1alpha1.Application{Spec: v1alpha1.ApplicationSpec{Repository: v1alpha1.Repository{URL: git.Spec.URL}}}
	keys := index.RepositoryOf(probe)
	if len(keys) == 0 {
		return nil
	}
	return r.list(ctx, client.InNamespace(git.Namespace), client.MatchingFields{index.ApplicationsByRepository: keys[0]})
}

func (r *Reconciler) list(ctx context.Context, options ...client.ListOption) []reconcile.Request {
	var applications v1alpha1.ApplicationList
	if err := r.Client.List(ctx, &applications, append(options, client.UnsafeDisableDeepCopy)...); err != nil {
		return nil
	}
	requests := make([]reconcile.Request, 0, len(applications.Items))
	for i := range applications.Items {
		requests = append(requests, requestFor(applications.Items[i].Namespace, applications.Items[i].Name)...)
	}
	return requests
}
