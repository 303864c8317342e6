// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package tenant

import (
	"context"
	"fmt"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// App is an Application of a tenant, and what there is about it. Environments are named as the tenant names them.
type App struct {
	*Tenant
	Name string
}

// App speaks of an Application, whether there is one or not.
func (t *Tenant) App(name string) App { return App{Tenant: t, Name: name} }

// Read reads the Application; it is empty where there is none.
func (a App) Read(ctx context.Context) (*v1alpha1.Application, error) {
	found := &v1alpha1.Application{}
	if err := client.IgnoreNotFound(a.Admin.Get(ctx, client.ObjectKey{Namespace: a.Namespace, Name: a.Name}, found)); err != nil {
		return nil, fmt.Errorf("reading Application %s: %w", a.Name, err)
	}
	return found, nil
}

// State reads how the Application stands in an environment; it is empty where its status says nothing about that.
func (a App) State(ctx context.Context, env string) (v1alpha1.EnvironmentState, error) {
	app, err := a.Read(ctx)
	if err != nil {
		return v1alpha1.EnvironmentState{}, err
	}
	for _, state := range app.Status.Environments {
		if state.Name == a.Env(env) {
			return state, nil
		}
	}
	return v1alpha1.EnvironmentState{}, nil
}

// Kustomization reads what was made for an environment. The error is the API server's own.
func (a App) Kustomization(ctx context.Context, env string) (*kustomizev1.Kustomization, error) {
	found := &kustomizev1.Kustomization{}
	return found, a.Admin.Get(ctx, client.ObjectKey{Namespace: a.Namespace, Name: render.KustomizationName(a.Name, a.Env(env))}, found)
}

// Release is the name of the Release of a commit, and of a tag where there is one.
func (a App) Release(commit string, tag ...string) string {
	return render.ReleaseName(a.Name, commit, append(tag, "")[0])
}

// Promotions lists those into an environment.
func (a App) Promotions(ctx context.Context, env string) ([]v1alpha1.Promotion, error) {
	var all v1alpha1.PromotionList
	if err := a.Admin.List(ctx, &all, client.InNamespace(a.Namespace)); err != nil {
		return nil, fmt.Errorf("listing Promotions: %w", err)
	}
	var into []v1alpha1.Promotion
	for i := range all.Items {
		if spec := &all.Items[i].Spec; spec.Environment == a.Env(env) && spec.Application == a.Name {
			into = append(into, all.Items[i])
		}
	}
	return into, nil
}

// Attempt reads the newest Promotion of a release into an environment; it is one without a name where there is none.
func (a App) Attempt(ctx context.Context, env, release string) (*v1alpha1.Promotion, error) {
	all, err := a.Promotions(ctx, env)
	newest := &v1alpha1.Promotion{}
	for i := range all {
		if all[i].Spec.Release == release && all[i].Spec.Attempt > newest.Spec.Attempt {
			newest = &all[i]
		}
	}
	return newest, err
}

// Ledger reads what the ledger of a Release says about an environment; it is empty where that says nothing.
func (a App) Ledger(ctx context.Context, env, release string) (v1alpha1.LedgerEntry, error) {
	found := &v1alpha1.Release{}
	if err := a.Admin.Get(ctx, client.ObjectKey{Namespace: a.Namespace, Name: release}, found); err != nil {
		return v1alpha1.LedgerEntry{}, fmt.Errorf("reading Release %s: %w", release, err)
	}
	for _, entry := range found.Status.Environments {
		if entry.Name == a.Env(env) {
			return entry, nil
		}
	}
	return v1alpha1.LedgerEntry{}, nil
}
