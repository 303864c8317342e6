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
	gone := map[string]v1alpha1.DeletionPolicy{}
	for i := range kustomizations.Items {
		kustomization := &kustomizations.Items[i]
		deletion := finalPolicy(app, v1alpha1.EnvironmentName(kustomization.Labels[v1alpha1.EnvironmentLabel]))
		if err := r.release(ctx, kustomization, deletion); err != nil {
			return err
		}
		gone[kustomization.Name] = deletion
	}
	if err := r.finalizeSources(ctx, app, gone); err != nil {
		return err
	}
	controllerutil.RemoveFinalizer(app, v1alpha1.Finalizer)
	return r.patchFinalizers(ctx, app)
}

// finalizeSources lets go of the sources that an Application tends to and that nothing else needs.
func (r *Reconciler) finalizeSources(ctx context.Context, app *v1alpha1.Application, gone map[string]v1alpha1.DeletionPolicy) error {
	uses, err := r.usesOfSources(ctx, app.Namespace, gone)
	if err != nil {
		return err
	}
	var sources sourcev1.GitRepositoryList
	if err := r.Client.List(ctx, &sources, client.InNamespace(app.Namespace), client.MatchingLabels{v1alpha1.InstanceLabel: r.Observer.Instance}); err != nil {
		return fmt.Errorf("listing GitRepositories: %w", err)
	}
	others, err := r.othersTend(ctx, app)
	if err != nil {
		return err
	}
	for i := range sources.Items {
		source := &sources.Items[i]
		if others[source.Spec.URL] {
			continue
		}
		if err := r.releaseSource(ctx, source, uses[source.Name]); err != nil {
			return err
		}
	}
	return nil
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
