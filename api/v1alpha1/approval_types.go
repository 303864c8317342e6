// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Approval is one person's yes or no to one Promotion. It counts only for that Promotion, never for another one; the newest of
// an approver counts; deleting it withdraws it. It takes the verb approve on the Environment.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,categories=mainstem
// +kubebuilder:printcolumn:name="Promotion",type=string,JSONPath=`.spec.promotion`
// +kubebuilder:printcolumn:name="Environment",type=string,JSONPath=`.spec.environment`
// +kubebuilder:printcolumn:name="Approver",type=string,JSONPath=`.spec.approver`
// +kubebuilder:printcolumn:name="Decision",type=string,JSONPath=`.spec.decision`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Approval struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is the decision. It never changes.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="an Approval is a record and never changes: delete it to withdraw it, create another one to decide otherwise"
	Spec ApprovalSpec `json:"spec"`
}

// ApprovalSpec is one person's decision about one Promotion.
type ApprovalSpec struct {
	// Promotion is the name of the Promotion in this namespace.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Promotion string `json:"promotion"`

	// PromotionUID is its metadata.uid, so that an approval never counts for another Promotion of the same name.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=64
	// +required
	PromotionUID string `json:"promotionUID"`

	// Environment is the Promotion's environment.
	// +required
	Environment EnvironmentName `json:"environment"`

	// Approver is the user who decides.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	Approver string `json:"approver"`

	// Decision is Approve, or Reject, which ends the Promotion.
	// +kubebuilder:validation:Enum=Approve;Reject
	// +required
	Decision ApprovalDecision `json:"decision"`

	// Comment says why, for the record.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Comment string `json:"comment,omitempty"`
}

// ApprovalDecision is yes or no.
type ApprovalDecision string

const (
	// DecisionApprove lets the promotion pass.
	DecisionApprove ApprovalDecision = "Approve"
	// DecisionReject ends the promotion.
	DecisionReject ApprovalDecision = "Reject"
)

// ApprovalList is a list of Approvals.
//
// +kubebuilder:object:root=true
type ApprovalList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Approval `json:"items"`
}
