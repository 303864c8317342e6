// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package application

import (
	"context"
	"fmt"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/policy"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// sourceRest is how long a source that nothing refers to is kept: another Application of the repository may have just made it,
// and its Kustomization not refer to it yet.
const sourceRest = time.Minute

// use is what refers to a source.
type use int

const (
	// unused : nothing.
	unused use = iota
	// orphaned : only Kustomizations that Mainstem has let go, whose owner is to have the source as well.
	orphaned
	// used : a Kustomization of this installation, or one that is on its way.
	used
)

// letGo acts on the deletion policies of entries that the Application no longer lists, and on sources that nobody needs.
func (c *carrier) letGo(ctx context.Context) error {
	for env, kustomization := range c.observation.Kustomizations {
		if c.state.Entry(env) != nil {
			continue
		}
		if err := c.release(ctx, kustomization, c.deletionPolicyOf(env)); err != nil {
			return err
		}
	}
	candidates, err := c.unpinnedSources(ctx)
	if err != nil || len(candidates) == 0 {
		return err
	}
	uses, err := c.usesOfSources(ctx, c.state.Application.Namespace, nil)
	if err != nil {
		return err
	}
	c.addMoving(uses)
	for _, source := range candidates {
		if rests := source.CreationTimestamp.Add(sourceRest); uses[source.Name] == unused && c.state.Now.Before(rests) {
			c.lookAgainAt(rests)
			continue
		}
		if err := c.releaseSource(ctx, source, uses[source.Name]); err != nil {
			return err
		}
	}
	return nil
}

// deletionPolicyOf is what a removed entry said when it was last seen. Where that is not known, nothing is deleted.
func (c *carrier) deletionPolicyOf(env v1alpha1.EnvironmentName) v1alpha1.DeletionPolicy {
	for i := range c.state.Application.Status.Environments {
		if state := &c.state.Application.Status.Environments[i]; state.Name == env && state.DeletionPolicy != "" {
			return state.DeletionPolicy
		}
	}
	return v1alpha1.DeletionOrphan
}

// unpinnedSources are the sources of this repository that are not what this Application runs, and those of addresses that no
// Application has any more.
func (c *carrier) unpinnedSources(ctx context.Context) ([]*sourcev1.GitRepository, error) {
	app := c.state.Application
	pinned := map[string]bool{}
	for i := range app.Spec.Environments {
		if release := policy.Pinned(c.state, app.Spec.Environments[i].Name); release != nil {
			pinned[render.SourceName(app, release)] = true
		}
	}
	others, err := c.othersTend(ctx, app)
	if err != nil {
		return nil, err
	}
	var sources []*sourcev1.GitRepository
	for name, source := range c.observation.Sources {
		if !pinned[name] && !others[source.Spec.URL] {
			sources = append(sources, source)
		}
	}
	return sources, nil
}

// othersTend are the addresses whose sources an Application leaves to others: those that another one in its namespace has, and it has
// not. What has an address that nobody has is for anybody: it was corrected, or its Application is gone.
func (r *Reconciler) othersTend(ctx context.Context, app *v1alpha1.Application) (map[string]bool, error) {
	var applications v1alpha1.ApplicationList
	if err := r.Client.List(ctx, &applications, client.InNamespace(app.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing the Applications in %s: %w", app.Namespace, err)
	}
	others := map[string]bool{}
	for i := range applications.Items {
		if other := &applications.Items[i]; other.UID != app.UID {
			others[render.SourceURL(other.Spec.Repository.URL)] = true
		}
	}
	delete(others, render.SourceURL(app.Spec.Repository.URL))
	return others, nil
}

// addMoving counts the sources of commits that another Application of the repository is deploying as used.
func (c *carrier) addMoving(uses map[string]use) {
	moving := map[string]bool{}
	for _, peer := range c.state.Peers {
		for i := range peer.Status.Environments {
			state := &peer.Status.Environments[i]
			if state.Next == nil || peer.Namespace != c.state.Application.Namespace {
				continue
			}
			moving[state.Next.Commit] = true
			if state.PullRequest != nil && state.PullRequest.MergeCommit != "" {
				moving[state.PullRequest.MergeCommit] = true
			}
		}
	}
	for name, source := range c.observation.Sources {
		if source.Spec.Reference != nil && moving[source.Spec.Reference.Commit] {
			uses[name] = used
		}
	}
}

// release lets go of a Kustomization as its deletion policy says.
func (r *Reconciler) release(ctx context.Context, kustomization *kustomizev1.Kustomization, deletion v1alpha1.DeletionPolicy) error {
	switch {
	case !kustomization.DeletionTimestamp.IsZero():
		return nil
	case deletion == v1alpha1.DeletionDelete:
		return r.Applier.Delete(ctx, kustomization)
	}
	return r.Applier.Release(ctx, kustomization)
}

// releaseSource lets go of a source as its use says. Flux needs no source to prune.
func (r *Reconciler) releaseSource(ctx context.Context, source *sourcev1.GitRepository, by use) error {
	switch by {
	case unused:
		return r.Applier.Delete(ctx, source)
	case orphaned:
		return r.Applier.Release(ctx, source)
	case used:
	}
	return nil
}

// usesOfSources says what refers to the sources of a namespace. gone are Kustomizations that are being let go of right now, and
// whether they are deleted or orphaned, which the cache does not show yet.
func (r *Reconciler) usesOfSources(ctx context.Context, namespace string, gone map[string]v1alpha1.DeletionPolicy) (map[string]use, error) {
	var kustomizations kustomizev1.KustomizationList
	if err := r.Client.List(ctx, &kustomizations, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing Kustomizations: %w", err)
	}
	uses := map[string]use{}
	for i := range kustomizations.Items {
		kustomization := &kustomizations.Items[i]
		ref := kustomization.Spec.SourceRef
		deletion, going := gone[kustomization.Name]
		if ref.Kind != sourcev1.GitRepositoryKind || (ref.Namespace != "" && ref.Namespace != namespace) || (going && deletion == v1alpha1.DeletionDelete) {
			continue
		}
		by := used
		if going || kustomization.Labels[v1alpha1.InstanceLabel] != r.Observer.Instance {
			by = orphaned
		}
		uses[ref.Name] = max(uses[ref.Name], by)
	}
	return uses, nil
}
