package journey

import (
	"context"
	"fmt"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// AwaitTidy waits until nothing is left to do: the sources that no Kustomization refers to are removed, which takes a minute
// from when they were made, and every Environment counts its Application.
func (j *Journey) AwaitTidy(ctx context.Context) error {
	return j.await(ctx, func(ctx context.Context) error {
		var sources sourcev1.GitRepositoryList
		var appliers kustomizev1.KustomizationList
		var environments v1alpha1.EnvironmentList
		for _, list := range []client.ObjectList{&sources, &appliers, &environments} {
			if err := j.Client.List(ctx, list); err != nil {
				return fmt.Errorf("listing what is left: %w", err)
			}
		}
		referred := map[string]bool{}
		for i := range appliers.Items {
			referred[appliers.Items[i].Spec.SourceRef.Name] = true
		}
		for i := range sources.Items {
			if !referred[sources.Items[i].Name] {
				return fmt.Errorf("GitRepository %s is still there, and nothing refers to it", sources.Items[i].Name)
			}
		}
		for i := range environments.Items {
			count := environments.Items[i].Status.Applications
			if count == nil || *count != (v1alpha1.ApplicationCount{Total: 1, Healthy: 1}) {
				return fmt.Errorf("the Environment %s counts %+v, and not one healthy Application", environments.Items[i].Name, count)
			}
		}
		return nil
	})
}

// WritesSince are the writes that the operator has asked the API server for since a moment.
func (w *World) WritesSince(moment time.Time) ([]Write, error) {
	all, err := w.Writes()
	if err != nil {
		return nil, err
	}
	for i := range all {
		if all[i].At.After(moment) {
			return all[i:], nil
		}
	}
	return nil, nil
}
