// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package observe

import (
	"context"
	"fmt"
	"slices"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/index"
	"github.com/mainstem-dev/mainstem/internal/policy"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// overlap says that an object which an environment applies is applied for somebody else too, who has the better right to it. Each of
// the two would undo what the other does, for ever. Flux knows only once it has applied both.
func (o *Observer) overlap(ctx context.Context, observation *Observation, env v1alpha1.EnvironmentName) (*policy.Problem, error) {
	mine := observation.Kustomizations[env]
	for _, target := range index.TargetsOf(mine) {
		var appliers kustomizev1.KustomizationList
		if err := o.Cache.List(ctx, &appliers, client.MatchingFields{index.KustomizationsByTarget: target}, client.UnsafeDisableDeepCopy); err != nil {
			return nil, fmt.Errorf("listing the Kustomizations that apply %s: %w", target, err)
		}
		for i := range appliers.Items {
			other := &appliers.Items[i]
			if other.UID == mine.UID {
				continue
			}
			holder, err := o.holder(ctx, observation.State.Application, env, other)
			if err != nil {
				return nil, err
			}
			if holder != "" {
				return &policy.Problem{Reason: v1alpha1.TargetConflictReason, RetryAt: o.Now().Add(conflictRetry), Message: fmt.Sprintf(
					"%s is deployed by %s too, so that each undoes what the other does: give one of them another targetNamespace or path, or take it away",
					index.DescribeTarget(target), holder)}, nil
			}
		}
	}
	return nil, nil
}

// holder names whom a Kustomization belongs to, where that has the better right to what both apply: an older Application, or an entry
// of this one that is listed before.
func (o *Observer) holder(ctx context.Context, app *v1alpha1.Application, env v1alpha1.EnvironmentName, other *kustomizev1.Kustomization) (string, error) {
	name, theirs := other.Labels[v1alpha1.ApplicationLabel], v1alpha1.EnvironmentName(other.Labels[v1alpha1.EnvironmentLabel])
	if other.Name != render.KustomizationName(name, theirs) {
		return "", nil
	}
	place := func(env v1alpha1.EnvironmentName) int {
		return slices.IndexFunc(app.Spec.Environments, func(e v1alpha1.ApplicationEnvironment) bool { return e.Name == env })
	}
	if other.Namespace == app.Namespace && name == app.Name {
		if at := place(theirs); at >= 0 && at < place(env) {
			return fmt.Sprintf("environment %s of this Application", theirs), nil
		}
		return "", nil
	}
	var peer v1alpha1.Application
	if err := o.Cache.Get(ctx, types.NamespacedName{Namespace: other.Namespace, Name: name}, &peer); err != nil {
		return "", client.IgnoreNotFound(err)
	}
	if !policy.Older(&peer, app) {
		return "", nil
	}
	return fmt.Sprintf("Application %s/%s in environment %s", peer.Namespace, peer.Name, theirs), nil
}
