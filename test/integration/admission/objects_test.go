// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package admission

import (
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

const (
	team = "team-a"
	// heldEnvironment is the one on which alice and bob have verbs.
	heldEnvironment = "main"
	commit          = "0123456789abcdef0123456789abcdef01234567"
)

var counter atomic.Int64

// named gives an object a name of the team that nothing else has.
func named(kind string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: team, Name: fmt.Sprintf("%s-%d", kind, counter.Add(1))}
}

// The builders return objects that are accepted, with nothing in them that is not required.

func environment() *v1alpha1.Environment {
	e := &v1alpha1.Environment{
		ObjectMeta: named("environment"),
		Spec:       v1alpha1.EnvironmentSpec{Target: v1alpha1.Target{ServiceAccountName: "deployer"}},
	}
	e.Namespace = ""
	return e
}

func application() *v1alpha1.Application {
	return &v1alpha1.Application{
		ObjectMeta: named("application"),
		Spec: v1alpha1.ApplicationSpec{
			Repository:   v1alpha1.Repository{URL: "https://github.com/acme/podinfo"},
			Deploy:       v1alpha1.Deploy{Kustomize: &v1alpha1.KustomizeDeploy{}},
			Environments: []v1alpha1.ApplicationEnvironment{{Name: "develop"}},
		},
	}
}

func release() *v1alpha1.Release {
	return &v1alpha1.Release{
		ObjectMeta: named("release"),
		Spec:       v1alpha1.ReleaseSpec{Application: "podinfo", Commit: commit, Content: commit, Sequence: 1},
	}
}

func promotion() *v1alpha1.Promotion {
	return &v1alpha1.Promotion{
		ObjectMeta: named("promotion"),
		Spec: v1alpha1.PromotionSpec{
			Application: "podinfo", Environment: heldEnvironment, Release: "podinfo-0123456789ab", RequestedBy: string(alice),
		},
	}
}

func approval() *v1alpha1.Approval {
	return &v1alpha1.Approval{
		ObjectMeta: named("approval"),
		Spec: v1alpha1.ApprovalSpec{
			Promotion: "podinfo-main-0123456789", PromotionUID: "c3f4b7f6-6a2b-4c55-8c2c-0a3c6f6a2b4c", Environment: heldEnvironment,
			Approver: string(alice), Decision: v1alpha1.DecisionApprove,
		},
	}
}

func hold() *v1alpha1.Hold {
	return &v1alpha1.Hold{
		ObjectMeta: named("hold"),
		Spec:       v1alpha1.HoldSpec{Environment: heldEnvironment, Reason: "the database is moving", CreatedBy: string(alice)},
	}
}

// holdOnProduction is one by the robot, as nobody else may hold there.
func holdOnProduction() *v1alpha1.Hold {
	h := hold()
	h.Spec.Environment = "production"
	h.Spec.CreatedBy = string(robot)
	return h
}

func labels() map[string]string {
	return map[string]string{
		v1alpha1.ApplicationLabel: "podinfo",
		v1alpha1.EnvironmentLabel: heldEnvironment,
		v1alpha1.InstanceLabel:    "mainstem",
	}
}

// kustomization is one that Mainstem made.
func kustomization() *kustomizev1.Kustomization {
	k := &kustomizev1.Kustomization{
		ObjectMeta: named("kustomization"),
		Spec: kustomizev1.KustomizationSpec{
			Interval:  metav1.Duration{Duration: time.Hour},
			Prune:     true,
			SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: "GitRepository", Name: "podinfo"},
		},
	}
	k.Labels = labels()
	k.Annotations = map[string]string{
		v1alpha1.ReleaseAnnotation:         "podinfo-0123456789ab",
		"event.toolkit.fluxcd.io/commit":   commit,
		"reconcile.fluxcd.io/requestedAt":  "2026-01-01T00:00:00Z",
		"example.com/somebody-else-put-it": "here",
	}
	return k
}

// gitRepository is one that Mainstem made.
func gitRepository() *sourcev1.GitRepository {
	g := &sourcev1.GitRepository{
		ObjectMeta: named("gitrepository"),
		Spec: sourcev1.GitRepositorySpec{
			URL:       "https://github.com/acme/podinfo",
			Interval:  metav1.Duration{Duration: 24 * time.Hour},
			Reference: &sourcev1.GitRepositoryRef{Branch: "develop", Commit: commit},
		},
	}
	g.Labels = map[string]string{v1alpha1.InstanceLabel: "mainstem"}
	return g
}

// writerOf is who makes such an object: the one whose name is on it, or who makes objects of its kind.
func writerOf(object client.Object) user {
	switch o := object.(type) {
	case *v1alpha1.Environment:
		return paula
	case *v1alpha1.Application:
		return tess
	case *v1alpha1.Promotion:
		return user(o.Spec.RequestedBy)
	case *v1alpha1.Approval:
		return user(o.Spec.Approver)
	case *v1alpha1.Hold:
		return user(o.Spec.CreatedBy)
	case *v1alpha1.Release:
		return mainstem
	}
	if _, ok := object.GetLabels()[v1alpha1.InstanceLabel]; ok {
		return mainstem
	}
	return tess
}

func duration(text string) *metav1.Duration {
	d, err := time.ParseDuration(text)
	if err != nil {
		panic(fmt.Sprintf("a duration in a test: %v", err))
	}
	return &metav1.Duration{Duration: d}
}

func soakGate(name, text string) v1alpha1.Gate {
	return v1alpha1.Gate{Name: name, Soak: &v1alpha1.SoakGate{Duration: *duration(text)}}
}

func repeat(text string, times int) string { return strings.Repeat(text, times) }

func toUnstructured(object client.Object) (*unstructured.Unstructured, error) {
	kinds, _, err := scheme.ObjectKinds(object)
	if err != nil {
		return nil, fmt.Errorf("finding the kind of %T: %w", object, err)
	}
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, fmt.Errorf("converting %T: %w", object, err)
	}
	converted := &unstructured.Unstructured{Object: content}
	converted.SetGroupVersionKind(kinds[0])
	return converted, nil
}
