// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package application

import (
	"context"
	"fmt"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// finalize acts on the deletion policies of an Application that is being deleted, and lets it go.
func (r *Reconciler) finalize(ctx context.Context, app *v1alpha1.Application) error {
	if !controllerutil.ContainsFinalizer(app, v1alpha1.Finalizer) {
		return nil
	}
	if err := r.cancelOrphans(ctx, client.ObjectKeyFromObject(app)); err != nil {
		return err
	}
	var kustomizations kustomizev1.KustomizationList
	if err := r.Client.List(ctx, &kustomizations, client.InNamespace(app.Namespace),
		client.MatchingLabels{v1alpha1.InstanceLabel: r.Observer.Instance, v1alpha1.ApplicationLabel: app.Name}); err != nil {
		return fmt.Errorf("listing Kustomizations: %w", err)
	}
	for i := range kustomizations.Items {
		kustomization := &kustomizations.Items[i]
		deletion := finalPolicy(app, v1alpha1.EnvironmentName(kustomization.Labels[v1alpha1.EnvironmentLabel]))
		if err := r.release(ctx, kustomization, deletion); err != nil {
			return err
		}
		if deletion == v1alpha1.DeletionDelete {
			if err := r.releaseSource(ctx, kustomization); err != nil {
				return err
			}
		}
	}
	controllerutil.RemoveFinalizer(app, v1alpha1.Finalizer)
	return r.patchFinalizers(ctx, app)
}

// finalPolicy is what an Application's entry says, or said when it was last seen.
func finalPolicy(app *v1alpha1.Application, env v1alpha1.EnvironmentName) v1alpha1.DeletionPolicy {
	for i := range app.Spec.Environments {
		if entry := &app.Spec.Environments[i]; entry.Name == env {
			return entry.DeletionPolicy
		}
	}
	for i := range app.Status.Environments {
		if state := &app.Status.Environments[i]; state.Name == env {
			return state.DeletionPolicy
		}
	}
	return v1alpha1.DeletionOrphan
}

// releaseSource deletes the source of a Kustomization that is being deleted, unless another one refers to it. Flux needs no source
// to prune.
func (r *Reconciler) releaseSource(ctx context.Context, gone *kustomizev1.Kustomization) error {
	var kustomizations kustomizev1.KustomizationList
	if err := r.Client.List(ctx, &kustomizations, client.InNamespace(gone.Namespace)); err != nil {
		return fmt.Errorf("listing Kustomizations: %w", err)
	}
	for i := range kustomizations.Items {
		if other := &kustomizations.Items[i]; other.Name != gone.Name && other.Spec.SourceRef.Name == gone.Spec.SourceRef.Name {
			return nil
		}
	}
	var source sourcev1.GitRepository
	key := client.ObjectKey{Namespace: gone.Namespace, Name: gone.Spec.SourceRef.Name}
	if err := r.Client.Get(ctx, key, &source); err != nil {
		return client.IgnoreNotFound(err)
	}
	if source.Labels[v1alpha1.InstanceLabel] != r.Observer.Instance || source.Labels[render.ManagedByLabel] != render.ManagedBy {
		return nil
	}
	return r.Applier.Delete(ctx, &source)
}
