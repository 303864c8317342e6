// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package observe

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/policy"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// flux reads what Flux reports about the Application's objects.
func (o *Observer) flux(ctx context.Context, observation *Observation) error {
	state := &observation.State
	app := state.Application
	var sources sourcev1.GitRepositoryList
	if err := o.Cache.List(ctx, &sources, client.InNamespace(app.Namespace), client.MatchingLabels{v1alpha1.InstanceLabel: o.Instance}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing GitRepositories: %w", err)
	}
	observation.Sources = make(map[string]*sourcev1.GitRepository, len(sources.Items))
	state.Fetched = map[policy.Pin]bool{}
	url := render.SourceURL(app.Spec.Repository.URL)
	for i := range sources.Items {
		source := &sources.Items[i]
		observation.Sources[source.Name] = source
		if pin, fetched := fetchedPin(source); fetched && source.Spec.URL == url && sameSecret(app, source) {
			state.Fetched[pin] = true
		}
	}
	var kustomizations kustomizev1.KustomizationList
	if err := o.Cache.List(ctx, &kustomizations, client.InNamespace(app.Namespace),
		client.MatchingLabels{v1alpha1.InstanceLabel: o.Instance, v1alpha1.ApplicationLabel: app.Name}, client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("listing Kustomizations: %w", err)
	}
	observation.Kustomizations = make(map[v1alpha1.EnvironmentName]*kustomizev1.Kustomization, len(kustomizations.Items))
	state.Flux = map[v1alpha1.EnvironmentName]policy.Flux{}
	for i := range kustomizations.Items {
		k := &kustomizations.Items[i]
		env := v1alpha1.EnvironmentName(k.Labels[v1alpha1.EnvironmentLabel])
		if k.Name != render.KustomizationName(app.Name, env) {
			continue
		}
		observation.Kustomizations[env] = k
		state.Flux[env] = reported(k, observation.Sources[k.Spec.SourceRef.Name])
	}
	o.Refresh(observation)
	return nil
}

// fetchedPin is what a source is pinned to, and whether Flux has it.
func fetchedPin(source *sourcev1.GitRepository) (pin policy.Pin, fetched bool) {
	if source.Spec.Reference == nil {
		return policy.Pin{}, false
	}
	pin = policy.Pin{Branch: source.Spec.Reference.Branch, Commit: source.Spec.Reference.Commit}
	return pin, pin.Commit != "" && ReportedSource(source).Commit == pin.Commit
}

// sameSecret says that a source is fetched with the Secret that the Application names now.
func sameSecret(app *v1alpha1.Application, source *sourcev1.GitRepository) bool {
	if app.Spec.Repository.SecretRef == nil || source.Spec.SecretRef == nil {
		return app.Spec.Repository.SecretRef == nil && source.Spec.SecretRef == nil
	}
	return app.Spec.Repository.SecretRef.Name == source.Spec.SecretRef.Name
}

// Refresh reads again, from what was observed, what Flux reports about the source of each environment's pinned release: which
// release that is changes when a deploy begins.
func (o *Observer) Refresh(observation *Observation) {
	state := &observation.State
	state.Sources = map[v1alpha1.EnvironmentName]policy.FluxSource{}
	for i := range state.Application.Spec.Environments {
		env := state.Application.Spec.Environments[i].Name
		pinned := policy.Pinned(state, env)
		if pinned == nil {
			continue
		}
		if source := observation.Sources[render.SourceName(state.Application, pinned)]; source != nil {
			state.Sources[env] = ReportedSource(source)
		}
	}
}

// reported is what Flux says about a Kustomization.
func reported(k *kustomizev1.Kustomization, source *sourcev1.GitRepository) policy.Flux {
	flux := policy.Flux{
		Exists:             true,
		Suspended:          k.Spec.Suspend,
		GenerationObserved: k.Generation == k.Status.ObservedGeneration,
		Applied:            shaOf(k.Status.LastAppliedRevision),
		Attempted:          shaOf(k.Status.LastAttemptedRevision),
		ChecksHealth:       k.Spec.Wait || len(k.Spec.HealthChecks) > 0,
		Release:            k.Annotations[v1alpha1.ReleaseAnnotation],
		Handled:            k.Status.GetLastHandledReconcileRequest(),
	}
	if ready := apimeta.FindStatusCondition(k.Status.Conditions, meta.ReadyCondition); ready != nil {
		flux.Ready, flux.Reason, flux.Message = string(ready.Status), ready.Reason, workingDirectory.ReplaceAllString(ready.Message, "")
		flux.ReadyChangedAt = ready.LastTransitionTime.Time
	}
	if source != nil {
		flux.SourceCommit = ReportedSource(source).Commit
	}
	return flux
}

// workingDirectory is where kustomize-controller builds, under another name each time: the same failure has the same words without.
var workingDirectory = regexp.MustCompile(`[^\s'":]*/kustomization-\d+`)

// ReportedSource is what Flux says about a GitRepository. Its commit is that of its artifact. Its message is about a
// failure, and stands while Flux tries again: what Flux is doing at the moment is nothing to write down.
func ReportedSource(source *sourcev1.GitRepository) policy.FluxSource {
	result := policy.FluxSource{Exists: true}
	failed := apimeta.FindStatusCondition(source.Status.Conditions, sourcev1.FetchFailedCondition)
	ready := apimeta.FindStatusCondition(source.Status.Conditions, meta.ReadyCondition)
	switch {
	case failed != nil && failed.Status == metav1.ConditionTrue:
		result.Message = failed.Message
	case ready != nil && ready.Status == metav1.ConditionFalse:
		result.Message = ready.Message
	}
	if source.Status.Artifact != nil {
		result.Commit = shaOf(source.Status.Artifact.Revision)
	}
	return result
}

// shaOf is the SHA of a Flux revision such as main@sha1:abc or sha1:abc: the same commit has another revision under another ref.
func shaOf(revision string) string {
	return revision[strings.LastIndex(revision, ":")+1:]
}
