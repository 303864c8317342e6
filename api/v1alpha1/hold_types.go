// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Hold stops an Environment: nothing enters, what runs stays. With an application it stops that one; without, every Application
// of its namespace; in Mainstem's own namespace and without an application, everybody (a freeze). Delete it to resume. It takes
// the verb hold on the Environment.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:scope=Namespaced,shortName=mhold,categories=mainstem
// +kubebuilder:printcolumn:name="Environment",type=string,JSONPath=`.spec.environment`
// +kubebuilder:printcolumn:name="Application",type=string,JSONPath=`.spec.application`
// +kubebuilder:printcolumn:name="By",type=string,JSONPath=`.spec.createdBy`
// +kubebuilder:printcolumn:name="Until",type=string,JSONPath=`.spec.until`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.spec.reason`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Hold struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec says what is stopped. It never changes.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a Hold is a record and never changes: create another one, then delete this one"
	Spec HoldSpec `json:"spec"`
}

// HoldSpec says what is stopped, by whom, why, and until when.
type HoldSpec struct {
	// Environment is the Environment that nothing enters.
	// +required
	Environment EnvironmentName `json:"environment"`

	// Application is the name of the Application in this namespace; empty stops all of them.
	// +kubebuilder:validation:MaxLength=63
	// +optional
	Application string `json:"application,omitempty"`

	// Reason says why, for everybody who waits.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=256
	// +required
	Reason string `json:"reason"`

	// Until ends the hold by itself. Absent means: until it is deleted.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`

	// CreatedBy is the user who holds.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +required
	CreatedBy string `json:"createdBy"`
}

// HoldList is a list of Holds.
//
// +kubebuilder:object:root=true
type HoldList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Hold `json:"items"`
}
