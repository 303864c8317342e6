// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package render

import (
	"fmt"
	"path"
	"strconv"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	eventv1 "github.com/fluxcd/pkg/apis/event/v1beta1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

const (
	// defaultInterval is how often Flux applies again what runs.
	defaultInterval = 10 * time.Minute
	// defaultTimeout is how long Flux waits for objects to become healthy.
	defaultTimeout = 5 * time.Minute
	// retryInterval is how soon Flux tries again after a failure. Left to Flux it would be the interval, so that one hiccup
	// of the API server could use up a promotion's whole deadline.
	retryInterval = time.Minute
)

// Kustomization deploys the scope's release in its environment: it refers to the release's [Source], and everything that
// depends on the release changes in this one object. Labels name application, environment and instance; annotations name
// the release and the promotion, also in those that Flux carries into its notifications.
//
// It fails with a [*TemplateError] where a template uses a variable that does not exist or that the release lacks, or where
// targetNamespace does not become the name of a namespace.
func Kustomization(scope Scope) (*kustomizev1.Kustomization, error) {
	deploy, err := renderedDeploy(scope)
	if err != nil {
		return nil, err
	}
	labels := KustomizationLabels(scope.Instance, scope.Application.Name, v1alpha1.EnvironmentName(scope.Environment.Name))
	return &kustomizev1.Kustomization{
		TypeMeta: metav1.TypeMeta{
			APIVersion: kustomizev1.GroupVersion.String(),
			Kind:       kustomizev1.KustomizationKind,
		},
		ObjectMeta: metav1.ObjectMeta{
			Namespace:   scope.Application.Namespace,
			Name:        KustomizationName(scope.Application.Name, scope.Entry.Name),
			Labels:      labels,
			Annotations: releaseAnnotations(scope),
		},
		Spec: kustomizationSpec(scope, deploy),
	}, nil
}

// kustomizationSpec never sets suspend, which belongs to people, nor force, which would delete and recreate what cannot be
// changed.
func kustomizationSpec(scope Scope, deploy v1alpha1.KustomizeDeploy) kustomizev1.KustomizationSpec {
	target := scope.Environment.Spec.Target
	spec := kustomizev1.KustomizationSpec{
		SourceRef: kustomizev1.CrossNamespaceSourceReference{
			Kind: sourcev1.GitRepositoryKind,
			Name: SourceName(scope.Application, scope.Release),
		},
		Path:               deployPath(deploy.Path),
		TargetNamespace:    deploy.TargetNamespace,
		Interval:           metav1.Duration{Duration: durationOr(deploy.Interval, defaultInterval)},
		RetryInterval:      &metav1.Duration{Duration: retryInterval},
		Timeout:            &metav1.Duration{Duration: durationOr(deploy.Timeout, defaultTimeout)},
		Prune:              deploy.Prune == nil || *deploy.Prune,
		DeletionPolicy:     fluxDeletionPolicy(scope.Entry.DeletionPolicy),
		HealthChecks:       deploy.HealthChecks,
		Images:             deploy.Images,
		Decryption:         deploy.Decryption,
		ServiceAccountName: target.ServiceAccountName,
		KubeConfig:         target.KubeConfig.DeepCopy(),
		// Without one of them Flux calls healthy what it has merely sent. With wait it would ignore healthChecks.
		Wait: len(deploy.HealthChecks) == 0,
	}
	if len(deploy.Substitute) > 0 {
		// Only when asked for: from here on Flux takes every ${…} in the repository's YAML for a variable of its own.
		spec.PostBuild = &kustomizev1.PostBuild{Substitute: deploy.Substitute}
	}
	return spec
}

// renderedDeploy is the merged deploy with its variables replaced.
func renderedDeploy(scope Scope) (v1alpha1.KustomizeDeploy, error) {
	deploy := MergedDeploy(scope.Application, scope.Entry)
	with := scope.values()
	err := eachTemplate(&deploy, func(at deployField, text string) (string, error) {
		replaced, err := expand(text, with)
		if err != nil {
			return "", newTemplateError(at.path(scope.Entry), err)
		}
		return replaced, nil
	})
	if err != nil {
		return deploy, err
	}
	return deploy, checkNamespace(scope.Entry, deploy.TargetNamespace)
}

// CheckNamespace says whether targetNamespace becomes the name of a namespace for the scope's release. Where it uses what that release
// lacks, nothing is known yet, and nothing is wrong.
func CheckNamespace(scope Scope) error {
	namespace, err := expand(MergedDeploy(scope.Application, scope.Entry).TargetNamespace, scope.values())
	if err != nil {
		return nil //nolint:nilerr // What is unknown or lacking is told by CheckTemplates and MissingVariables.
	}
	return checkNamespace(scope.Entry, namespace)
}

func checkNamespace(entry *v1alpha1.ApplicationEnvironment, namespace string) error {
	if namespace == "" || len(validation.IsDNS1123Label(namespace)) == 0 {
		return nil
	}
	return &TemplateError{Field: deployField{name: "targetNamespace"}.path(entry), reason: fmt.Errorf(
		"becomes %q, which no namespace can be called: use at most 63 lower-case letters, digits and dashes",
		cutText(namespace, maxName))}
}

// releaseAnnotations name the release. notification-controller puts those under event.toolkit.fluxcd.io into its messages
// (https://fluxcd.io/flux/components/notification/alerts/#event-metadata-from-object-annotations).
func releaseAnnotations(scope Scope) map[string]string {
	release := scope.Release
	annotations := map[string]string{
		v1alpha1.ReleaseAnnotation:             release.Name,
		eventAnnotation("application"):         scope.Application.Name,
		eventAnnotation("environment"):         scope.Environment.Name,
		eventAnnotation("release"):             release.Name,
		eventAnnotation(eventv1.MetaCommitKey): release.Spec.Commit,
	}
	if scope.Promotion != "" {
		// A second attempt of the same release changes nothing else. Flux would only look at its retryInterval.
		annotations[v1alpha1.PromotionAnnotation] = scope.Promotion
		annotations[meta.ReconcileRequestAnnotation] = scope.Promotion
	}
	if origin := release.Spec.Origin; origin != nil && origin.PullRequest > 0 {
		annotations[eventAnnotation(eventv1.MetaChangeRequestKey)] = strconv.FormatInt(origin.PullRequest, 10)
	}
	return annotations
}

func eventAnnotation(key string) string { return eventv1.Group + "/" + key }

// deployPath writes a path as Flux understands it: relative to the repository's root, which it never leaves. Empty is the
// root.
func deployPath(directory string) string {
	return "." + path.Clean("/"+directory)
}

// fluxDeletionPolicy says it in Flux's words. Delete removes what was deployed also where prune is off, which is what the
// team asked for: prune is about objects that a newer release no longer has. It does not wait until they are gone: Flux
// would only log that it waited in vain.
func fluxDeletionPolicy(policy v1alpha1.DeletionPolicy) string {
	switch policy {
	case v1alpha1.DeletionDelete:
		return kustomizev1.DeletionPolicyDelete
	case v1alpha1.DeletionOrphan:
		return kustomizev1.DeletionPolicyOrphan
	}
	return kustomizev1.DeletionPolicyOrphan
}

func durationOr(declared *metav1.Duration, otherwise time.Duration) time.Duration {
	if declared == nil {
		return otherwise
	}
	return declared.Duration
}
