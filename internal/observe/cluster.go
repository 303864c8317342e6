// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package observe

import (
	"context"
	"fmt"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/apply"
	"github.com/mainstem-dev/mainstem/internal/github"
	"github.com/mainstem-dev/mainstem/internal/index"
	"github.com/mainstem-dev/mainstem/internal/policy"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// cluster reads Mainstem's own kinds and the namespace from the cache. Releases and Promotions are copies: they are changed while
// decisions are carried out. All else in an Observation is the cache's own, and only read: to copy all that a namespace holds was
// most of what an idle reconciliation cost.
func (o *Observer) cluster(ctx context.Context, observation *Observation) error {
	state := &observation.State
	app := state.Application
	here := client.InNamespace(app.Namespace)
	ofApplication := client.MatchingFields{index.ByApplication: app.Name}

	var environments v1alpha1.EnvironmentList
	if err := o.Cache.List(ctx, &environments, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing Environments: %w", err)
	}
	state.Environments = make(map[v1alpha1.EnvironmentName]*v1alpha1.Environment, len(environments.Items))
	for i := range environments.Items {
		state.Environments[v1alpha1.EnvironmentName(environments.Items[i].Name)] = &environments.Items[i]
	}
	var namespace corev1.Namespace
	err := o.Cache.Get(ctx, types.NamespacedName{Name: app.Namespace}, &namespace)
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("reading Namespace %s: %w", app.Namespace, err)
	}
	state.NamespaceLabels = namespace.Labels

	var releases v1alpha1.ReleaseList
	if err := o.Cache.List(ctx, &releases, here, ofApplication, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing Releases: %w", err)
	}
	for i := range releases.Items {
		state.Releases = append(state.Releases, releases.Items[i].DeepCopy())
	}
	var promotions v1alpha1.PromotionList
	if err := o.Cache.List(ctx, &promotions, here, ofApplication, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing Promotions: %w", err)
	}
	for i := range promotions.Items {
		state.Promotions = append(state.Promotions, promotions.Items[i].DeepCopy())
	}
	if err := o.decisions(ctx, observation); err != nil {
		return err
	}
	return o.peers(ctx, observation)
}

// decisions reads what people decided: Approvals and Holds.
func (o *Observer) decisions(ctx context.Context, observation *Observation) error {
	state := &observation.State
	var approvals v1alpha1.ApprovalList
	if err := o.Cache.List(ctx, &approvals, client.InNamespace(state.Application.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing Approvals: %w", err)
	}
	for i := range approvals.Items {
		state.Approvals = append(state.Approvals, &approvals.Items[i])
	}
	namespaces := map[string]bool{state.Application.Namespace: true, o.SystemNamespace: true}
	for namespace := range namespaces {
		var holds v1alpha1.HoldList
		if err := o.Cache.List(ctx, &holds, client.InNamespace(namespace), client.UnsafeDisableDeepCopy); err != nil {
			return fmt.Errorf("listing Holds: %w", err)
		}
		for i := range holds.Items {
			state.Holds = append(state.Holds, &holds.Items[i])
		}
	}
	return nil
}

// peers reads the other Applications of the repository.
func (o *Observer) peers(ctx context.Context, observation *Observation) error {
	app := observation.State.Application
	repository, err := github.ParseURL(app.Spec.Repository.URL, app.Spec.Repository.APIURL, "")
	if err != nil {
		return nil //nolint:nilerr // An address that cannot be read has no peers; reading the repository says what is wrong with it.
	}
	var applications v1alpha1.ApplicationList
	if err := o.Cache.List(ctx, &applications, client.MatchingFields{index.ApplicationsByRepository: repository.Key()}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing the Applications of %s: %w", repository, err)
	}
	for i := range applications.Items {
		if peer := &applications.Items[i]; peer.UID != app.UID {
			observation.State.Peers = append(observation.State.Peers, peer)
		}
	}
	return nil
}

// targetsOf says what is missing in the namespace to deploy into each environment: the ServiceAccount that Flux impersonates,
// and what leads to a remote cluster.
func (o *Observer) targetsOf(ctx context.Context, observation *Observation) error {
	state := &observation.State
	state.Targets = map[v1alpha1.EnvironmentName]*policy.Problem{}
	for i := range state.Application.Spec.Environments {
		environment := state.Environments[state.Application.Spec.Environments[i].Name]
		if environment == nil {
			continue
		}
		problem, err := o.target(ctx, observation, environment)
		if err == nil && problem == nil {
			problem, err = o.conflict(ctx, observation, v1alpha1.EnvironmentName(environment.Name))
		}
		if err != nil {
			return err
		}
		if problem != nil {
			state.Targets[v1alpha1.EnvironmentName(environment.Name)] = problem
		}
	}
	return nil
}

// conflict says that an object which is not Mainstem's has the name of the Kustomization that is to be made. One that Mainstem let
// go is taken up again.
func (o *Observer) conflict(ctx context.Context, observation *Observation, env v1alpha1.EnvironmentName) (*policy.Problem, error) {
	app := observation.State.Application
	if observation.Kustomizations[env] != nil {
		return o.overlap(ctx, observation, env)
	}
	var standing kustomizev1.Kustomization
	key := types.NamespacedName{Namespace: app.Namespace, Name: render.KustomizationName(app.Name, env)}
	if err := o.Cache.Get(ctx, key, &standing); err != nil {
		return nil, client.IgnoreNotFound(err)
	}
	if apply.Ours(render.KustomizationLabels(o.Instance, app.Name, env), standing.Labels) {
		return nil, nil
	}
	return &policy.Problem{Reason: v1alpha1.TargetConflictReason, RetryAt: o.Now().Add(conflictRetry), Message: fmt.Sprintf(
		"Kustomization %s exists in namespace %s and is not Mainstem's to change: rename or delete it; what becomes of what it deployed is in its spec.deletionPolicy", key.Name, key.Namespace)}, nil
}

// target is an object that a deploy needs in the Application's namespace.
type target struct{ kind, namespace, name string }

// target says what is missing of what an Environment deploys with. What was found there lately is not asked for again.
func (o *Observer) target(ctx context.Context, observation *Observation, environment *v1alpha1.Environment) (*policy.Problem, error) {
	type part struct {
		kind, name string
		object     client.Object
	}
	parts := []part{{"ServiceAccount", environment.Spec.Target.ServiceAccountName, &corev1.ServiceAccount{}}}
	if remote := environment.Spec.Target.KubeConfig; remote != nil {
		switch {
		case remote.SecretRef != nil:
			parts = append(parts, part{"Secret", remote.SecretRef.Name, &corev1.Secret{}})
		case remote.ConfigMapRef != nil:
			parts = append(parts, part{"ConfigMap", remote.ConfigMapRef.Name, &corev1.ConfigMap{}})
		}
	}
	namespace := observation.State.Application.Namespace
	for _, p := range parts {
		wanted := target{p.kind, namespace, p.name}
		if _, is := o.present.get(wanted, observation.interval); is {
			continue
		}
		switch err := o.read(ctx, types.NamespacedName{Namespace: namespace, Name: p.name}, p.object); {
		case apierrors.IsNotFound(err):
			return &policy.Problem{Reason: v1alpha1.TargetMissingReason, RetryAt: o.Now().Add(retryInterval), Message: fmt.Sprintf(
				"Environment %s deploys with %s %s, which is not in namespace %s: create it there", environment.Name, p.kind, p.name, namespace)}, nil
		case err != nil:
			return nil, err
		}
		o.present.keep(wanted, struct{}{})
	}
	return nil, nil
}
