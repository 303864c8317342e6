// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package application

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/apply"
	"github.com/mainstem-dev/mainstem/internal/index"
	"github.com/mainstem-dev/mainstem/internal/policy"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// discover makes Releases of what was observed. The sequence that orders them must have no gap in what it builds on, so the
// Releases that exist are read from the API server first; there is something to discover only once per commit.
func (c *carrier) discover(ctx context.Context) error {
	if len(policy.Discover(c.state)) == 0 {
		return nil
	}
	app := c.state.Application
	var existing v1alpha1.ReleaseList
	if err := c.Live.List(ctx, &existing, client.InNamespace(app.Namespace), client.MatchingFields{index.ByApplication: app.Name}); err != nil {
		return fmt.Errorf("listing the Releases of Application %s: %w", c.key(), err)
	}
	c.state.Releases = nil
	for i := range existing.Items {
		c.state.Releases = append(c.state.Releases, &existing.Items[i])
	}
	for _, spec := range policy.Discover(c.state) {
		release := &v1alpha1.Release{ObjectMeta: c.recordMeta(render.ReleaseName(app.Name, spec.Commit, spec.Tag)), Spec: spec}
		err := c.Client.Create(ctx, release, client.FieldOwner(apply.FieldOwner))
		if apierrors.IsAlreadyExists(err) {
			return fmt.Errorf("another Application's Release %s/%s stands in the way: delete it: %w", release.Namespace, release.Name, err)
		}
		if err != nil {
			return fmt.Errorf("creating Release %s/%s: %w", release.Namespace, release.Name, err)
		}
		c.state.Releases = append(c.state.Releases, release)
	}
	return c.Observer.Evidence(ctx, c.observation)
}

// recordMeta is the metadata of a Release or Promotion. The Application owns it: its records go with it.
func (c *carrier) recordMeta(name string) metav1.ObjectMeta {
	app := c.state.Application
	return metav1.ObjectMeta{
		Namespace: app.Namespace,
		Name:      name,
		Labels:    map[string]string{v1alpha1.ApplicationLabel: app.Name},
		OwnerReferences: []metav1.OwnerReference{
			*metav1.NewControllerRef(app, v1alpha1.GroupVersion.WithKind("Application")),
		},
	}
}

// enterLedger writes what the Promotions and Flux say into the Releases' ledgers.
func (c *carrier) enterLedger(ctx context.Context) error {
	before := make(map[string]*v1alpha1.Release, len(c.state.Releases))
	for _, release := range c.state.Releases {
		before[release.Name] = release.DeepCopy()
	}
	for _, release := range policy.Ledger(c.state) {
		patch := client.MergeFromWithOptions(before[release.Name], client.MergeFromWithOptimisticLock{})
		err := c.Client.Status().Patch(ctx, release, patch, client.FieldOwner(apply.FieldOwner))
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("writing the ledger of Release %s/%s: %w", release.Namespace, release.Name, err)
		}
	}
	return nil
}

// forget deletes records that have had their time.
func (c *carrier) forget(ctx context.Context) error {
	promotions, releases := policy.Expired(c.state)
	for _, promotion := range promotions {
		if err := c.delete(ctx, promotion); err != nil {
			return err
		}
	}
	for _, release := range releases {
		if err := c.delete(ctx, release); err != nil {
			return err
		}
	}
	return nil
}

func (c *carrier) delete(ctx context.Context, record client.Object) error {
	uid := record.GetUID()
	err := c.Client.Delete(ctx, record, client.Preconditions{UID: &uid})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting %T %s/%s: %w", record, record.GetNamespace(), record.GetName(), err)
	}
	return nil
}
