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
	"github.com/mainstem-dev/mainstem/internal/apply"
	"github.com/mainstem-dev/mainstem/internal/observe"
	"github.com/mainstem-dev/mainstem/internal/policy"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// sourceRest is how long a source that nothing refers to is kept: another Application of the repository may have just made it,
// and its Kustomization not refer to it yet.
const sourceRest = time.Minute

// deploy makes Flux run what is pinned: first the source, and once that is at the commit, one write that flips the Kustomization.
// An environment that is not accepted is left as it is.
func (c *carrier) deploy(ctx context.Context) error {
	c.Observer.Refresh(c.observation)
	for i := range c.state.Application.Spec.Environments {
		env := c.state.Application.Spec.Environments[i].Name
		pinned := policy.Pinned(c.state, env)
		if pinned == nil || policy.Accept(c.state, env) != nil {
			continue
		}
		if err := c.deployTo(ctx, env, pinned); err != nil {
			return err
		}
	}
	return nil
}

func (c *carrier) deployTo(ctx context.Context, env v1alpha1.EnvironmentName, release *v1alpha1.Release) error {
	scope := c.Observer.Scope(c.observation, env, release)
	source := render.Source(scope)
	if c.repositoryUnusable() {
		// A source that is made now could not be fetched, or from the wrong place. What exists stays as it is.
		if live := c.observation.Sources[source.Name]; live == nil {
			return nil
		}
	} else if _, err := c.Applier.Apply(ctx, source); err != nil {
		return c.notOurs(ctx, env, err)
	}
	live := c.observation.Sources[source.Name]
	if live == nil || observe.ReportedSource(live).Commit != release.Spec.Commit {
		return nil // Flux's report about the source brings the next reconciliation.
	}
	kustomization, err := render.Kustomization(scope)
	if err != nil {
		return fmt.Errorf("rendering the Kustomization of environment %s: %w", env, err)
	}
	_, err = c.Applier.Apply(ctx, kustomization)
	return c.notOurs(ctx, env, err)
}

// repositoryUnusable says that the Application names a repository or a credential with which nothing can be read: somebody has to
// correct it first.
func (c *carrier) repositoryUnusable() bool {
	problem := c.state.GitHub.Problem
	if problem == nil {
		return false
	}
	switch problem.Reason {
	case v1alpha1.SecretNotFoundReason, v1alpha1.SecretInvalidReason, v1alpha1.UnauthorizedReason,
		v1alpha1.RepositoryInvalidReason, v1alpha1.RepositoryNotFoundReason:
		return true
	}
	return false
}

// notOurs tells people about an object that stands where Mainstem's is to be, and leaves it alone. Other errors are returned.
func (c *carrier) notOurs(_ context.Context, env v1alpha1.EnvironmentName, err error) error {
	if err == nil || !apply.IsNotOurs(err) {
		return err
	}
	if c.state.Targets == nil {
		c.state.Targets = map[v1alpha1.EnvironmentName]*policy.Problem{}
	}
	c.state.Targets[env] = &policy.Problem{Reason: v1alpha1.TargetConflictReason, Message: err.Error()}
	c.lookAgainAt(c.state.Now.Add(time.Minute))
	return nil
}

// letGo acts on the deletion policies of entries that the Application no longer lists, and removes sources that nobody needs.
func (c *carrier) letGo(ctx context.Context) error {
	for env, kustomization := range c.observation.Kustomizations {
		if c.state.Entry(env) != nil {
			continue
		}
		if err := c.release(ctx, kustomization, c.deletionPolicyOf(env)); err != nil {
			return err
		}
	}
	return c.removeSources(ctx)
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

// release lets go of a Kustomization as its deletion policy says.
func (r *Reconciler) release(ctx context.Context, kustomization *kustomizev1.Kustomization, deletion v1alpha1.DeletionPolicy) error {
	if deletion == v1alpha1.DeletionDelete {
		return r.Applier.Delete(ctx, kustomization)
	}
	return r.Applier.Release(ctx, kustomization)
}

// removeSources deletes the sources of this repository that nothing refers to any more.
func (c *carrier) removeSources(ctx context.Context) error {
	candidates := c.unusedSources()
	if len(candidates) == 0 {
		return nil
	}
	referred, err := c.referredSources(ctx)
	if err != nil {
		return err
	}
	for _, source := range candidates {
		if referred[source.Name] {
			continue
		}
		if rests := source.CreationTimestamp.Add(sourceRest); c.state.Now.Before(rests) {
			c.lookAgainAt(rests)
			continue
		}
		if err := c.Applier.Delete(ctx, source); err != nil {
			return err
		}
	}
	return nil
}

// unusedSources are the sources of this repository that are not what this Application runs.
func (c *carrier) unusedSources() []*sourcev1.GitRepository {
	app := c.state.Application
	ours := map[string]bool{}
	for i := range app.Spec.Environments {
		if pinned := policy.Pinned(c.state, app.Spec.Environments[i].Name); pinned != nil {
			ours[render.SourceName(app, pinned)] = true
		}
	}
	var unused []*sourcev1.GitRepository
	for name, source := range c.observation.Sources {
		if !ours[name] && source.Spec.URL == render.SourceURL(app.Spec.Repository.URL) {
			unused = append(unused, source)
		}
	}
	return unused
}

// referredSources are the sources that Kustomizations of the namespace refer to, orphaned ones included, and those of commits
// that another Application of the repository is deploying.
func (c *carrier) referredSources(ctx context.Context) (map[string]bool, error) {
	var kustomizations kustomizev1.KustomizationList
	if err := c.Client.List(ctx, &kustomizations, client.InNamespace(c.state.Application.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return nil, fmt.Errorf("listing Kustomizations: %w", err)
	}
	referred := map[string]bool{}
	for i := range kustomizations.Items {
		if ref := kustomizations.Items[i].Spec.SourceRef; ref.Kind == sourcev1.GitRepositoryKind && ref.Namespace == "" {
			referred[ref.Name] = true
		}
	}
	moving := map[string]bool{}
	for _, peer := range c.state.Peers {
		for i := range peer.Status.Environments {
			if next := peer.Status.Environments[i].Next; next != nil && peer.Namespace == c.state.Application.Namespace {
				moving[next.Commit] = true
			}
		}
	}
	for name, source := range c.observation.Sources {
		if source.Spec.Reference != nil && moving[source.Spec.Reference.Commit] {
			referred[name] = true
		}
	}
	return referred, nil
}
