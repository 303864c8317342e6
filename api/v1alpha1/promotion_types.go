// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Promotion is one attempt to put one Release into one Environment, and the record of it. Mainstem makes it; a person with the
// verb promote on the Environment can too.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:selectablefield:JSONPath=`.spec.application`
// +kubebuilder:resource:scope=Namespaced,shortName=mpromo,categories=mainstem
// +kubebuilder:printcolumn:name="Application",type=string,JSONPath=`.spec.application`
// +kubebuilder:printcolumn:name="Environment",type=string,JSONPath=`.spec.environment`
// +kubebuilder:printcolumn:name="Release",type=string,JSONPath=`.spec.release`
// +kubebuilder:printcolumn:name="Phase",type=string,JSONPath=`.status.phase`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.status.message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Promotion struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec says what is promoted. It never changes.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a Promotion is a record and never changes: create another one"
	Spec PromotionSpec `json:"spec"`

	// Status is how far it has come.
	// +kubebuilder:default:={phase: Pending}
	// +optional
	Status PromotionStatus `json:"status,omitempty"`
}

// PromotionSpec says which Release goes into which Environment.
//
// +kubebuilder:validation:XValidation:rule="!has(self.bypass) || self.bypass.size() == 0 || (has(self.reason) && self.reason.trim().size() > 0)",message="a promotion that bypasses gates needs a reason: say why in spec.reason"
// +kubebuilder:validation:XValidation:rule="!has(self.rollback) || !self.rollback || !has(self.bypass) || self.bypass.size() == 0",message="a rollback asks no gate but hold, so there is nothing to bypass: take bypass away"
type PromotionSpec struct {
	// Application is the name of the Application in this namespace.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Application string `json:"application"`

	// Environment is the name of the Environment.
	// +required
	Environment EnvironmentName `json:"environment"`

	// Release is the name of the Release in this namespace.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Release string `json:"release"`

	// Attempt tells attempts of the same release in the same environment apart.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:default:=1
	// +optional
	Attempt int32 `json:"attempt,omitempty"`

	// Rollback goes back to a release that was proven here before. It asks no gate but hold, and rejects what it replaces.
	// +optional
	Rollback bool `json:"rollback,omitempty"`

	// Bypass names gates that are not asked: proven, environment/NAME, application/NAME. It takes the verb bypass on the
	// Environment. A Hold cannot be bypassed: delete it.
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=128
	// +kubebuilder:validation:items:Pattern=`^(proven|environment/[-a-z0-9]+|application/[-a-z0-9]+)$`
	// +optional
	Bypass []string `json:"bypass,omitempty"`

	// Reason says why, for the record.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Reason string `json:"reason,omitempty"`

	// RequestedBy is the user who asked for it.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	RequestedBy string `json:"requestedBy"`
}

// PromotionPhase is how far a Promotion has come.
//
// +kubebuilder:validation:Enum=Pending;Merging;Deploying;Succeeded;Failed;Superseded;Cancelled
type PromotionPhase string

const (
	// PromotionPending : gates are asked until they pass.
	PromotionPending PromotionPhase = "Pending"
	// PromotionMerging : the pull request is being merged.
	PromotionMerging PromotionPhase = "Merging"
	// PromotionDeploying : Flux has been told, and has not said yet that it is healthy.
	PromotionDeploying PromotionPhase = "Deploying"
	// PromotionSucceeded : Flux reports the release as applied and healthy.
	PromotionSucceeded PromotionPhase = "Succeeded"
	// PromotionFailed : Flux failed at the release, or the deadline passed. The release is rejected here.
	PromotionFailed PromotionPhase = "Failed"
	// PromotionSuperseded : a newer candidate took its place.
	PromotionSuperseded PromotionPhase = "Superseded"
	// PromotionCancelled : somebody declined it, or what it was about is gone.
	PromotionCancelled PromotionPhase = "Cancelled"
)

// Terminal says whether a promotion in this phase is over for good.
func (p PromotionPhase) Terminal() bool {
	switch p {
	case PromotionSucceeded, PromotionFailed, PromotionSuperseded, PromotionCancelled:
		return true
	case PromotionPending, PromotionMerging, PromotionDeploying:
		return false
	}
	return false
}

// PromotionStatus is how far a Promotion has come, and its record once it is over.
type PromotionStatus struct {
	// ObservedGeneration is the generation of the spec that this status is about.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// Conditions: Ready, Reconciling, Stalled, GatesPassed, Healthy.
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Phase is Pending, Merging, Deploying, Succeeded, Failed, Superseded or Cancelled.
	// +optional
	Phase PromotionPhase `json:"phase,omitempty"`

	// Reason is one word for programs that says why it is in this phase.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Reason string `json:"reason,omitempty"`

	// Message says in one sentence what it waits for, or how it ended.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Message string `json:"message,omitempty"`

	// Gates shows how every gate stands, or stood when the deploy began.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=72
	// +optional
	Gates []GateStatus `json:"gates,omitempty"`

	// PullRequest is the promotion's pull request, if the environment is fed by one.
	// +optional
	PullRequest *PullRequestStatus `json:"pullRequest,omitempty"`

	// DeployedRelease is the Release that is deployed: the one in spec, or the Release of the commit that its merge made.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	DeployedRelease string `json:"deployedRelease,omitempty"`

	// Proof says how the release was known to be proven upstream; None where a bypass let it in.
	// +kubebuilder:validation:Enum=Commit;Content;Lineage;None
	// +optional
	Proof string `json:"proof,omitempty"`

	// DeployStartedAt is when the deploy began. From then on gates are not asked again.
	// +optional
	DeployStartedAt *metav1.Time `json:"deployStartedAt,omitempty"`

	// FinishedAt is when it reached its last phase.
	// +optional
	FinishedAt *metav1.Time `json:"finishedAt,omitempty"`
}

// PromotionList is a list of Promotions.
//
// +kubebuilder:object:root=true
type PromotionList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Promotion `json:"items"`
}
