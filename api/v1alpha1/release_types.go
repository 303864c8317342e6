// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Release is one immutable candidate of an Application: a commit with its content hash, the tag if any, who and when. Mainstem
// makes it. Its status is the ledger of where it is proven or rejected.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:selectablefield:JSONPath=`.spec.application`
// +kubebuilder:resource:scope=Namespaced,shortName=mrel,categories=mainstem
// +kubebuilder:printcolumn:name="Application",type=string,JSONPath=`.spec.application`
// +kubebuilder:printcolumn:name="Commit",type=string,JSONPath=`.spec.commit`
// +kubebuilder:printcolumn:name="Tag",type=string,JSONPath=`.spec.tag`
// +kubebuilder:printcolumn:name="Branch",type=string,JSONPath=`.spec.branch`
// +kubebuilder:printcolumn:name="Message",type=string,JSONPath=`.spec.message`,priority=1
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Release struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec says what the candidate is. It never changes.
	// +required
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="a Release is a record and never changes: Mainstem makes a new one for another commit or tag"
	Spec ReleaseSpec `json:"spec"`

	// Status is the ledger.
	// +optional
	Status ReleaseStatus `json:"status,omitempty"`
}

// ReleaseSpec identifies a candidate: application, commit, tag.
type ReleaseSpec struct {
	// Application is the name of the Application in this namespace.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +required
	Application string `json:"application"`

	// Commit is the full SHA.
	// +kubebuilder:validation:Pattern=`^[0-9a-f]{40}([0-9a-f]{24})?$`
	// +kubebuilder:validation:MaxLength=64
	// +required
	Commit string `json:"commit"`

	// Content is the SHA of the commit's root tree: two commits with the same content are the same, byte for byte.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=128
	// +required
	Content string `json:"content"`

	// Parents are the commit's parents, the first parent first.
	// +kubebuilder:validation:MaxItems=16
	// +kubebuilder:validation:items:MaxLength=64
	// +optional
	Parents []string `json:"parents,omitempty"`

	// Branch is the branch on which the commit was observed; empty where only a tag leads to it.
	// +kubebuilder:validation:MaxLength=244
	// +optional
	Branch string `json:"branch,omitempty"`

	// Tag is the tag of the GitHub release that this is, if it is one.
	// +kubebuilder:validation:MaxLength=255
	// +optional
	Tag string `json:"tag,omitempty"`

	// Version is the tag's semantic version, without a leading v.
	// +kubebuilder:validation:MaxLength=255
	// +optional
	Version string `json:"version,omitempty"`

	// Prerelease says that GitHub marked the release as a prerelease when it was observed.
	// +optional
	Prerelease bool `json:"prerelease,omitempty"`

	// Sequence orders the Releases of the Application by observation: dates of commits lie.
	// +kubebuilder:validation:Minimum=1
	// +required
	Sequence int64 `json:"sequence"`

	// Origin says which Release and pull request this commit merged, where Mainstem knows.
	// +optional
	Origin *ReleaseOrigin `json:"origin,omitempty"`

	// Author is who wrote the commit, by login or name.
	// +kubebuilder:validation:MaxLength=255
	// +optional
	Author string `json:"author,omitempty"`

	// AuthoredAt is the commit's author date.
	// +optional
	AuthoredAt *metav1.Time `json:"authoredAt,omitempty"`

	// Message is the first line of the commit message.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Message string `json:"message,omitempty"`

	// URL is where people see the commit or the release.
	// +kubebuilder:validation:MaxLength=2048
	// +optional
	URL string `json:"url,omitempty"`
}

// ReleaseOrigin says what a merge commit merged.
type ReleaseOrigin struct {
	// Release is the name of the Release that was merged.
	// +kubebuilder:validation:MaxLength=253
	Release string `json:"release"`
	// PullRequest is the number of the pull request.
	PullRequest int64 `json:"pullRequest"`
}

// ReleaseStatus is the ledger of a Release.
type ReleaseStatus struct {
	// Environments says where the release is proven or rejected.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=128
	// +optional
	Environments []LedgerEntry `json:"environments,omitempty"`
}

// LedgerEntry is what happened to a Release in one environment.
type LedgerEntry struct {
	// Name is the Environment's name.
	Name EnvironmentName `json:"name"`

	// EnteredAt is when its deploy began here for the first time: it was let in.
	// +optional
	EnteredAt *metav1.Time `json:"enteredAt,omitempty"`

	// ProvenAt is when it was first applied and healthy here.
	// +optional
	ProvenAt *metav1.Time `json:"provenAt,omitempty"`

	// Proof says how it was known to be proven upstream when it entered; None where a bypass let it in.
	// +kubebuilder:validation:Enum=Commit;Content;Lineage;None
	// +optional
	Proof string `json:"proof,omitempty"`

	// RejectedAt is when it was rejected here: it failed, was declined, or was rolled back.
	// +optional
	RejectedAt *metav1.Time `json:"rejectedAt,omitempty"`

	// Reason says why it was rejected, in one word.
	// +kubebuilder:validation:MaxLength=64
	// +optional
	Reason string `json:"reason,omitempty"`
}

// ReleaseList is a list of Releases.
//
// +kubebuilder:object:root=true
type ReleaseList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Release `json:"items"`
}
