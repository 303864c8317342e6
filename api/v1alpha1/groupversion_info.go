// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package v1alpha1 is the Mainstem API: what a platform engineer and an application team declare, and what Mainstem records
// about it.
//
// +kubebuilder:object:generate=true
// +groupName=mainstem.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Group is the API group of every Mainstem kind.
const Group = "mainstem.dev"

var (
	// GroupVersion is the group and version of this package.
	GroupVersion = schema.GroupVersion{Group: Group, Version: "v1alpha1"}

	// SchemeBuilder collects the kinds of this package.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the kinds of this package to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(scheme *runtime.Scheme) error {
	scheme.AddKnownTypes(GroupVersion,
		&Environment{}, &EnvironmentList{},
		&Application{}, &ApplicationList{},
		&Release{}, &ReleaseList{},
		&Promotion{}, &PromotionList{},
		&Approval{}, &ApprovalList{},
		&Hold{}, &HoldList{},
	)
	metav1.AddToGroupVersion(scheme, GroupVersion)
	return nil
}
