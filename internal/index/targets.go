// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package index

import (
	"context"
	"fmt"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// KustomizationsByTarget finds the Kustomizations of Applications that apply an object, by [TargetsOf].
const KustomizationsByTarget = "status.inventory.target"

// AddTargets adds the index of Kustomizations.
func AddTargets(ctx context.Context, indexer client.FieldIndexer) error {
	if err := indexer.IndexField(ctx, &kustomizev1.Kustomization{}, KustomizationsByTarget, TargetsOf); err != nil {
		return fmt.Errorf("adding the index %s of Kustomizations: %w", KustomizationsByTarget, err)
	}
	return nil
}

// namespaces is how Flux writes a Namespace in an inventory: <namespace>_<name>_<group>_<kind>. Several may declare the same one, and
// often do.
const namespaces = "__Namespace"

// TargetsOf gives the values of [KustomizationsByTarget]: the objects that Flux says it applied for an Application's Kustomization,
// Namespaces apart, as Flux writes them in its inventory, after what leads to their cluster where that is another one.
func TargetsOf(object client.Object) []string {
	kustomization, is := object.(*kustomizev1.Kustomization)
	if !is || kustomization.Status.Inventory == nil || kustomization.Labels[mainstemv1.ApplicationLabel] == "" {
		return nil
	}
	cluster := clusterOf(kustomization)
	targets := make([]string, 0, len(kustomization.Status.Inventory.Entries))
	for _, entry := range kustomization.Status.Inventory.Entries {
		if !strings.HasSuffix(entry.ID, namespaces) {
			targets = append(targets, cluster+entry.ID)
		}
	}
	return targets
}

// clusterOf tells clusters apart by what leads to them. Two ways to one cluster are not recognised.
func clusterOf(kustomization *kustomizev1.Kustomization) string {
	remote := kustomization.Spec.KubeConfig
	switch {
	case remote == nil:
		return ""
	case remote.SecretRef != nil:
		return fmt.Sprintf("Secret %s/%s %s: ", kustomization.Namespace, remote.SecretRef.Name, remote.SecretRef.Key)
	case remote.ConfigMapRef != nil:
		return fmt.Sprintf("ConfigMap %s/%s: ", kustomization.Namespace, remote.ConfigMapRef.Name)
	}
	return ""
}

// DescribeTarget names a target as people write it: Deployment web in namespace shop.
func DescribeTarget(target string) string {
	if i := strings.LastIndex(target, ": "); i >= 0 {
		target = target[i+2:]
	}
	parts := strings.Split(target, "_")
	if len(parts) != 4 { // RBAC names may hold colons, which Flux writes as two underscores.
		return target
	}
	if parts[0] == "" {
		return parts[3] + " " + parts[1]
	}
	return fmt.Sprintf("%s %s in namespace %s", parts[3], parts[1], parts[0])
}
