// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package render

import "github.com/mainstem-dev/mainstem/api/v1alpha1"

// MergedDeploy is what an entry deploys: the Application's deploy with the entry's on top. A field that the entry sets
// replaces the Application's; substitute is merged, and of two values for one key the entry's wins. The result shares no
// memory with either. Defaults are not filled in and variables are not replaced.
func MergedDeploy(app *v1alpha1.Application, entry *v1alpha1.ApplicationEnvironment) v1alpha1.KustomizeDeploy {
	var merged v1alpha1.KustomizeDeploy
	if base := app.Spec.Deploy.Kustomize; base != nil {
		merged = *base.DeepCopy()
	}
	if entry == nil || entry.Deploy == nil || entry.Deploy.Kustomize == nil {
		return merged
	}
	own := entry.Deploy.Kustomize.DeepCopy()
	if own.Path != "" {
		merged.Path = own.Path
	}
	if own.TargetNamespace != "" {
		merged.TargetNamespace = own.TargetNamespace
	}
	for key, value := range own.Substitute {
		if merged.Substitute == nil {
			merged.Substitute = map[string]string{}
		}
		merged.Substitute[key] = value
	}
	if len(own.Images) > 0 {
		merged.Images = own.Images
	}
	if len(own.HealthChecks) > 0 {
		merged.HealthChecks = own.HealthChecks
	}
	if own.Interval != nil {
		merged.Interval = own.Interval
	}
	if own.Timeout != nil {
		merged.Timeout = own.Timeout
	}
	if own.Prune != nil {
		merged.Prune = own.Prune
	}
	if own.Decryption != nil {
		merged.Decryption = own.Decryption
	}
	return merged
}
