// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Gate is one thing that must be true before a release enters an environment. Exactly one kind of gate is set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.checks), has(self.soak), has(self.approval)].filter(x, x).size() == 1",message="a gate is exactly one of checks, soak and approval: keep one of them, and write one gate for each of the others"
type Gate struct {
	// Name tells gates apart; it is part of the key in status (environment/NAME or application/NAME) and in a bypass.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	// +required
	Name string `json:"name"`

	// Checks waits for check runs and commit statuses on GitHub.
	// +optional
	Checks *ChecksGate `json:"checks,omitempty"`

	// Soak waits until a release has been proven upstream for some time.
	// +optional
	Soak *SoakGate `json:"soak,omitempty"`

	// Approval waits for people.
	// +optional
	Approval *ApprovalGate `json:"approval,omitempty"`
}

// ChecksGate waits for check runs and commit statuses of the candidate's commit. Mainstem's own statuses do not count.
type ChecksGate struct {
	// Required names the checks (check runs or commit status contexts) that must have succeeded; skipped and neutral count as
	// success, as on GitHub. Empty means: there is at least one check, and none is pending or has failed.
	// +listType=set
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=255
	// +optional
	Required []string `json:"required,omitempty"`
}

// SoakGate waits until a release has been proven upstream for some time, during which that environment stayed healthy.
type SoakGate struct {
	// Duration is how long, e.g. 30m or 24h. An unhealthy spell upstream starts it anew.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) > duration('0s') && duration(self) <= duration('720h')",message="soak.duration must be more than 0 and at most 720h (30 days)"
	// +required
	Duration metav1.Duration `json:"duration"`
}

// ApprovalGate waits for Approvals by people who have the verb approve on the Environment.
type ApprovalGate struct {
	// Required is how many different people must approve.
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=16
	// +kubebuilder:default:=1
	// +optional
	Required int32 `json:"required,omitempty"`

	// Distinct means that the person who asked for the promotion does not count. Default: true.
	// +kubebuilder:default:=true
	// +optional
	Distinct *bool `json:"distinct,omitempty"`
}

// GateOutcome is how a gate stands.
//
// +kubebuilder:validation:Enum=Passed;Waiting;Failed;Unknown
type GateOutcome string

const (
	// GatePassed : the gate lets the release in.
	GatePassed GateOutcome = "Passed"
	// GateWaiting : the gate will be asked again; it may pass by itself.
	GateWaiting GateOutcome = "Waiting"
	// GateFailed : the evidence says no; only new evidence changes that.
	GateFailed GateOutcome = "Failed"
	// GateUnknown : the evidence could not be had. Unknown keeps a release out.
	GateUnknown GateOutcome = "Unknown"
)

// GateStatus is how one gate stands, for people and dashboards. Its message holds no running clock.
type GateStatus struct {
	// Name is the gate's key: proven, hold, environment/NAME or application/NAME.
	// +kubebuilder:validation:MaxLength=128
	Name string `json:"name"`
	// Outcome is Passed, Waiting, Failed or Unknown.
	Outcome GateOutcome `json:"outcome"`
	// Reason is one word for programs.
	// +kubebuilder:validation:MaxLength=64
	Reason string `json:"reason"`
	// Message is one sentence for people.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Message string `json:"message,omitempty"`
	// Since is when the gate began to wait, where there is such a moment.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// Until is when the gate passes if nothing changes, where that is known.
	// +optional
	Until *metav1.Time `json:"until,omitempty"`
}
