// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package index_test

import (
	"slices"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/index"
)

func TestTargetsOf(t *testing.T) {
	const web, role = "shop_web_apps_Deployment", "_web__reader_rbac.authorization.k8s.io_ClusterRole"
	applies := func(change ...func(*kustomizev1.Kustomization)) *kustomizev1.Kustomization {
		k := &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "web-main", Labels: map[string]string{mainstemv1.ApplicationLabel: "web"}}}
		k.Status.Inventory = &kustomizev1.ResourceInventory{Entries: []kustomizev1.ResourceRef{{ID: "_shop__Namespace", Version: "v1"}, {ID: web, Version: "v1"}, {ID: role, Version: "v1"}}}
		for _, c := range change {
			c(k)
		}
		return k
	}
	tests := map[string]struct {
		given *kustomizev1.Kustomization
		want  []string
	}{
		"here, namespaces apart":  {applies(), []string{web, role}},
		"of nobody's Application": {applies(func(k *kustomizev1.Kustomization) { k.Labels = nil }), nil},
		"nothing applied yet":     {applies(func(k *kustomizev1.Kustomization) { k.Status.Inventory = nil }), nil},
		"by a Secret's kubeconfig": {applies(func(k *kustomizev1.Kustomization) {
			k.Spec.KubeConfig = &meta.KubeConfigReference{SecretRef: &meta.SecretKeyReference{Name: "eks", Key: "value"}}
		}), []string{"Secret team-a/eks value: " + web, "Secret team-a/eks value: " + role}},
		"by a ConfigMap's": {applies(func(k *kustomizev1.Kustomization) {
			k.Spec.KubeConfig = &meta.KubeConfigReference{ConfigMapRef: &meta.LocalObjectReference{Name: "eks"}}
		}), []string{"ConfigMap team-a/eks: " + web, "ConfigMap team-a/eks: " + role}},
	}
	for name, test := range tests {
		if got := index.TargetsOf(test.given); !slices.Equal(got, test.want) {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

func TestDescribeTarget(t *testing.T) {
	for target, want := range map[string]string{
		"shop_web_apps_Deployment":                           "Deployment web in namespace shop",
		"Secret team-a/eks value: shop_web_apps_Deployment":  "Deployment web in namespace shop",
		"_shop-reader_rbac.authorization.k8s.io_ClusterRole": "ClusterRole shop-reader",
		"_web__reader_rbac.authorization.k8s.io_ClusterRole": "_web__reader_rbac.authorization.k8s.io_ClusterRole",
	} {
		if got := index.DescribeTarget(target); got != want {
			t.Errorf("%s is told as %q, want %q", target, got, want)
		}
	}
}
