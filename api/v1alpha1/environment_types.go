// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package v1alpha1

import (
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Environment is one stage on the way to production: where it deploys, what comes before it, what counts as proof, which
// gates guard it and who may use it. The platform engineer owns it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Cluster,shortName=menv,categories=mainstem
// +kubebuilder:printcolumn:name="After",type=string,JSONPath=`.spec.after`
// +kubebuilder:printcolumn:name="Promotion",type=string,JSONPath=`.spec.promotion`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Applications",type=integer,JSONPath=`.status.applications.total`
// +kubebuilder:printcolumn:name="Healthy",type=integer,JSONPath=`.status.applications.healthy`
// +kubebuilder:printcolumn:name="Blocked",type=integer,JSONPath=`.status.applications.blocked`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",message="an Environment's name goes into labels and branch names: use at most 63 letters, digits and dashes, without dots"
// +kubebuilder:validation:XValidation:rule="!has(self.spec.after) || !(self.metadata.name in self.spec.after)",message="an Environment cannot come after itself: take its own name out of spec.after"
type Environment struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the platform engineer declares.
	// +required
	Spec EnvironmentSpec `json:"spec"`

	// Status is what Mainstem reports.
	// +kubebuilder:default:={"observedGeneration":-1}
	// +optional
	Status EnvironmentStatus `json:"status,omitempty"`
}

// EnvironmentSpec declares one stage.
//
// +kubebuilder:validation:XValidation:rule="(has(self.after) && self.after.size() > 0) || !has(self.gates) || !self.gates.exists(g, has(g.soak))",message="a soak gate counts the time since a release was proven upstream, and this Environment has no upstream: name one in spec.after, or take the soak gate away"
type EnvironmentSpec struct {
	// Description says in a few words what this environment is.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Description string `json:"description,omitempty"`

	// After names the upstream Environments. A release enters only when it is proven in every one of them. Empty makes this an
	// entry environment: releases come straight from GitHub. Together, all Environments must form a graph without cycles.
	// +listType=set
	// +kubebuilder:validation:MaxItems=16
	// +optional
	After []EnvironmentName `json:"after,omitempty"`

	// AllowedNamespaces says which namespaces may have Applications here. Default: all of them.
	// +kubebuilder:default:={from: All}
	// +optional
	AllowedNamespaces *AllowedNamespaces `json:"allowedNamespaces,omitempty"`

	// Target is where Flux deploys, and as whom.
	// +required
	Target Target `json:"target"`

	// URL is where a person finds an application of this environment, e.g. https://${app}.example.com. Variables are replaced.
	// It is used in links only.
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	URL string `json:"url,omitempty"`

	// Promotion says who starts a promotion: Mainstem as soon as there is a candidate (Automatic), or only a person, by
	// creating a Promotion (Manual). Manual also means that no pull request is opened before that.
	// +kubebuilder:validation:Enum=Automatic;Manual
	// +kubebuilder:default:=Automatic
	// +optional
	Promotion PromotionMode `json:"promotion,omitempty"`

	// Proof says what counts as proof that a release ran upstream.
	// +kubebuilder:default:={accept: {Commit, Content, Lineage}}
	// +optional
	Proof *Proof `json:"proof,omitempty"`

	// Gates must all pass before a release enters. An Application can add gates of its own, never remove these.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Gates []Gate `json:"gates,omitempty"`

	// Timeouts bound the phases of a promotion into this environment.
	// +kubebuilder:default:={deploy: "10m"}
	// +optional
	Timeouts *Timeouts `json:"timeouts,omitempty"`
}

// EnvironmentName is the name of an Environment.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=63
// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
type EnvironmentName string

// FromNamespaces says from which namespaces Applications may use an Environment.
type FromNamespaces string

const (
	// NamespacesFromAll lets every namespace use the Environment.
	NamespacesFromAll FromNamespaces = "All"
	// NamespacesFromSelector lets the namespaces use it that the selector matches.
	NamespacesFromSelector FromNamespaces = "Selector"
)

// AllowedNamespaces says which namespaces may have Applications in an Environment.
//
// +kubebuilder:validation:XValidation:rule="(self.from == 'Selector') == has(self.selector)",message="selector goes with from: Selector and only with it: set both, or neither"
type AllowedNamespaces struct {
	// From is All, or Selector for the namespaces that the selector matches.
	// +kubebuilder:validation:Enum=All;Selector
	// +kubebuilder:default:=All
	// +optional
	From FromNamespaces `json:"from,omitempty"`

	// Selector matches namespaces by their labels. An empty selector matches every namespace.
	// +optional
	Selector *metav1.LabelSelector `json:"selector,omitempty"`
}

// Target is where Flux deploys, and as whom.
type Target struct {
	// ServiceAccountName is the ServiceAccount in the Application's namespace that Flux impersonates when it applies. It is
	// required so that nothing is ever applied as cluster-admin.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	ServiceAccountName string `json:"serviceAccountName"`

	// KubeConfig leads to a remote cluster, in Flux's own words. The Secret or ConfigMap is read by Flux in the Application's
	// namespace; Mainstem copies neither. Absent means this cluster.
	// +optional
	KubeConfig *meta.KubeConfigReference `json:"kubeConfig,omitempty"`
}

// PromotionMode says who starts a promotion.
type PromotionMode string

const (
	// PromotionAutomatic lets Mainstem start a promotion as soon as there is a candidate.
	PromotionAutomatic PromotionMode = "Automatic"
	// PromotionManual leaves it to people to create Promotions.
	PromotionManual PromotionMode = "Manual"
)

// Proof says what counts as proof that a release ran upstream.
type Proof struct {
	// Accept lists the proofs that count, besides having run there itself. Commit: a Release of the same commit is proven
	// there. Content: a Release of byte-for-byte the same content is proven there, whatever the merge method. Lineage: the
	// commit merges a pull request whose head is proven there onto a base that is proven, or that this environment ran.
	// +listType=set
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=3
	// +kubebuilder:default:={Commit, Content, Lineage}
	// +optional
	Accept []ProofKind `json:"accept,omitempty"`
}

// ProofKind is how a release is known to have run upstream.
//
// +kubebuilder:validation:Enum=Commit;Content;Lineage
type ProofKind string

const (
	// ProofCommit : a Release of the same commit is proven there.
	ProofCommit ProofKind = "Commit"
	// ProofContent : a Release of the same content is proven there.
	ProofContent ProofKind = "Content"
	// ProofLineage : it merges a pull request whose head was proven there, onto a base that was proven or ran here.
	ProofLineage ProofKind = "Lineage"
)

// Timeouts bound the phases of a promotion.
type Timeouts struct {
	// Deploy is how long Flux may take from the moment that the deploy begins until the release is applied and healthy. After
	// that the promotion has failed and the release is rejected in this environment. Default: 10m.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:default:="10m"
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('10s') && duration(self) <= duration('24h')",message="timeouts.deploy must be between 10s and 24h"
	// +optional
	Deploy *metav1.Duration `json:"deploy,omitempty"`
}

// EnvironmentStatus is what Mainstem reports about an Environment.
type EnvironmentStatus struct {
	// ObservedGeneration is the generation of the spec that this status is about; -1 before the first look.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions: Ready, and Stalled where only a change of the spec can help.
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Applications counts the Applications that list this Environment. It follows within a few seconds.
	// +optional
	Applications *ApplicationCount `json:"applications,omitempty"`
}

// ApplicationCount counts Applications by how they are doing in one Environment.
type ApplicationCount struct {
	// Total is how many Applications list this Environment.
	Total int32 `json:"total"`
	// Healthy is how many of them run a release that Flux reports as applied and healthy.
	Healthy int32 `json:"healthy"`
	// Blocked is how many of them are not accepted here, or have failed.
	Blocked int32 `json:"blocked"`
}

// EnvironmentList is a list of Environments.
//
// +kubebuilder:object:root=true
type EnvironmentList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Environment `json:"items"`
}
