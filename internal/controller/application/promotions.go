// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package application

import (
	"context"
	"errors"
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/apply"
	"github.com/mainstem-dev/mainstem/internal/index"
	"github.com/mainstem-dev/mainstem/internal/policy"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// advance brings every Promotion that is not over one step further. A step is written before the next Promotion is looked at, so
// that each decision sees the ones before it.
func (c *carrier) advance(ctx context.Context) error {
	for _, promotion := range c.state.Promotions {
		if promotion.Status.Phase.Terminal() {
			continue
		}
		if err := c.step(ctx, promotion); err != nil {
			return err
		}
	}
	return nil
}

// step brings one Promotion one step further.
func (c *carrier) step(ctx context.Context, promotion *v1alpha1.Promotion) error {
	next := policy.Next(c.state, promotion)
	if next.Effect == policy.EffectMerge {
		if err := c.confirm(ctx, promotion); err != nil {
			return err
		}
	}
	after := promotion.DeepCopy()
	next = c.act(ctx, after, next)
	policy.Record(c.state, after, next)
	c.lookAgainAt(next.RecheckAt)
	return c.writePromotion(ctx, promotion, after)
}

// confirm asks the API server whether a Promotion is what was observed. A merge cannot be taken back: nothing is merged for what has
// changed meanwhile, nor while it could not be recorded.
func (c *carrier) confirm(ctx context.Context, promotion *v1alpha1.Promotion) error {
	var live v1alpha1.Promotion
	key := client.ObjectKeyFromObject(promotion)
	if err := c.Live.Get(ctx, key, &live); err != nil {
		return fmt.Errorf("reading Promotion %s before its merge: %w", key, err)
	}
	if live.UID != promotion.UID || live.ResourceVersion != promotion.ResourceVersion {
		return apierrors.NewConflict(v1alpha1.GroupVersion.WithResource("promotions").GroupResource(), promotion.Name,
			errors.New("it has changed since it was observed"))
	}
	return nil
}

// writePromotion writes a Promotion's status where it differs from what was observed, and tells what happened. The write is
// refused where the observation was old: a step must never undo a later one.
func (c *carrier) writePromotion(ctx context.Context, promotion, after *v1alpha1.Promotion) error {
	observed := c.observed[promotion.Name]
	*promotion = *after
	switch {
	case equality.Semantic.DeepEqual(observed.Status, after.Status):
		return nil
	case observed.Status.Phase == v1alpha1.PromotionDeploying && after.Status.Phase == v1alpha1.PromotionDeploying &&
		observed.Status.DeployedRelease == after.Status.DeployedRelease:
		c.progress = append(c.progress, promotion)
		return nil
	}
	return c.patchPromotion(ctx, promotion)
}

// tellProgress writes how far deploys have come: once Flux is told what to do, which is what people wait for.
func (c *carrier) tellProgress(ctx context.Context) error {
	for _, promotion := range c.progress {
		if err := c.patchPromotion(ctx, promotion); err != nil {
			return err
		}
	}
	return nil
}

func (c *carrier) patchPromotion(ctx context.Context, promotion *v1alpha1.Promotion) error {
	observed := c.observed[promotion.Name]
	patch := client.MergeFromWithOptions(observed, client.MergeFromWithOptimisticLock{})
	err := c.Client.Status().Patch(ctx, promotion, patch, client.FieldOwner(apply.FieldOwner))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("writing the status of Promotion %s/%s: %w", promotion.Namespace, promotion.Name, err)
	}
	c.written.remember(promotion)
	if observed.Status.Phase != promotion.Status.Phase || observed.Status.Reason != promotion.Status.Reason {
		c.tellPhase(promotion)
	}
	return nil
}

// tellPhase tells where a Promotion has come.
func (c *carrier) tellPhase(promotion *v1alpha1.Promotion) {
	kind := corev1.EventTypeNormal
	if promotion.Status.Phase == v1alpha1.PromotionFailed {
		kind = corev1.EventTypeWarning
	}
	c.tell(promotion, kind, promotion.Status.Reason,
		fmt.Sprintf("%s into %s: %s", promotion.Spec.Release, promotion.Spec.Environment, promotion.Status.Message))
}

// start creates the Promotions that are to be started, and takes their first step: what nothing keeps is on its way to Flux within
// one reconciliation. The API server is asked for the existing ones first: a cache that is behind must not lead to a second one.
func (c *carrier) start(ctx context.Context) error {
	var existing *v1alpha1.PromotionList
	for i := range c.state.Application.Spec.Environments {
		env := c.state.Application.Spec.Environments[i].Name
		decision := policy.Decide(c.state, env)
		c.lookAgainAt(decision.RecheckAt)
		if decision.Action != policy.ActionStart {
			continue
		}
		if existing == nil {
			existing = &v1alpha1.PromotionList{}
			if err := c.Live.List(ctx, existing, client.InNamespace(c.state.Application.Namespace), client.MatchingFields{index.ByApplication: c.state.Application.Name}); err != nil {
				return fmt.Errorf("listing the Promotions of Application %s: %w", c.key(), err)
			}
		}
		if unseen(c.state, existing, env) {
			continue // The cache has yet to see it; its event brings the next reconciliation.
		}
		if err := c.create(ctx, env, decision); err != nil {
			return err
		}
	}
	return nil
}

// unseen says whether there are Promotions into an environment that the observation does not have.
func unseen(state *policy.State, existing *v1alpha1.PromotionList, env v1alpha1.EnvironmentName) bool {
	return slices.ContainsFunc(existing.Items, func(p v1alpha1.Promotion) bool {
		return p.Spec.Environment == env && !slices.ContainsFunc(state.Promotions, func(known *v1alpha1.Promotion) bool { return known.UID == p.UID })
	})
}

func (c *carrier) create(ctx context.Context, env v1alpha1.EnvironmentName, decision policy.Decision) error {
	app := c.state.Application
	promotion := &v1alpha1.Promotion{
		ObjectMeta: c.recordMeta(render.PromotionName(app.Name, env, decision.Release.Name, decision.Attempt)),
		Spec: v1alpha1.PromotionSpec{
			Application: app.Name,
			Environment: env,
			Release:     decision.Release.Name,
			Attempt:     decision.Attempt,
			RequestedBy: c.state.Operator,
		},
	}
	promotion.Labels[v1alpha1.EnvironmentLabel] = string(env)
	if err := c.Client.Create(ctx, promotion, client.FieldOwner(apply.FieldOwner)); err != nil {
		if apierrors.IsAlreadyExists(err) {
			return nil
		}
		return fmt.Errorf("creating Promotion %s/%s: %w", promotion.Namespace, promotion.Name, err)
	}
	c.state.Promotions = append(c.state.Promotions, promotion)
	c.observed[promotion.Name] = promotion.DeepCopy()
	if err := c.Observer.Evidence(ctx, c.observation); err != nil {
		return err
	}
	return c.step(ctx, promotion)
}

// cancelOrphans ends the Promotions of an Application that is gone.
func (r *Reconciler) cancelOrphans(ctx context.Context, key types.NamespacedName) error {
	var promotions v1alpha1.PromotionList
	if err := r.Client.List(ctx, &promotions, client.InNamespace(key.Namespace), client.MatchingFields{index.ByApplication: key.Name}); err != nil {
		return fmt.Errorf("listing the Promotions of Application %s: %w", key, err)
	}
	for i := range promotions.Items {
		if promotion := promotions.Items[i].DeepCopy(); !promotion.Status.Phase.Terminal() {
			if err := r.cancel(ctx, promotion); err != nil {
				return err
			}
		}
	}
	return nil
}

func (r *Reconciler) cancel(ctx context.Context, promotion *v1alpha1.Promotion) error {
	patch := client.MergeFromWithOptions(promotion.DeepCopy(), client.MergeFromWithOptimisticLock{})
	policy.Record(&policy.State{Now: r.Now()}, promotion, policy.Step{
		Phase: v1alpha1.PromotionCancelled, Reason: v1alpha1.ApplicationGoneReason,
		Message: fmt.Sprintf("there is no Application %s in namespace %s: create it, then promote again", promotion.Spec.Application, promotion.Namespace),
	})
	err := r.Client.Status().Patch(ctx, promotion, patch, client.FieldOwner(apply.FieldOwner))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("cancelling Promotion %s/%s: %w", promotion.Namespace, promotion.Name, err)
	}
	return nil
}
