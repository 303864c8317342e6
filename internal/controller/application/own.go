// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package application

import (
	"context"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/apply"
)

// own gives what people made its owner, so that records go when what they are about goes: Promotions with their Application,
// Approvals with their Promotion.
func (c *carrier) own(ctx context.Context) error {
	app := c.state.Application
	for _, promotion := range c.state.Promotions {
		if err := c.ownedBy(ctx, promotion, app, v1alpha1.GroupVersion.WithKind("Application")); err != nil {
			return err
		}
		for _, approval := range c.state.Approvals {
			if approval.Spec.Promotion != promotion.Name || approval.Spec.PromotionUID != string(promotion.UID) || len(approval.OwnerReferences) > 0 {
				continue
			}
			if err := c.ownedBy(ctx, approval.DeepCopy(), promotion, v1alpha1.GroupVersion.WithKind("Promotion")); err != nil {
				return err
			}
		}
	}
	return nil
}

// ownedBy gives an object an owner, unless it has one.
func (c *carrier) ownedBy(ctx context.Context, object, owner client.Object, kind schema.GroupVersionKind) error {
	if len(object.GetOwnerReferences()) > 0 {
		return nil
	}
	before, isObject := object.DeepCopyObject().(client.Object)
	if !isObject {
		return fmt.Errorf("%T is no object", object)
	}
	object.SetOwnerReferences([]metav1.OwnerReference{*metav1.NewControllerRef(owner, kind)})
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	err := c.Client.Patch(ctx, object, patch, client.FieldOwner(apply.FieldOwner))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("giving %T %s/%s its owner: %w", object, object.GetNamespace(), object.GetName(), err)
	}
	return nil
}
