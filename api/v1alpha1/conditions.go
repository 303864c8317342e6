// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package v1alpha1

// Condition types. Ready, Reconciling and Stalled mean what kstatus says they mean.
const (
	// ReadyCondition : the object is as declared, and what it is about is well.
	ReadyCondition = "Ready"
	// ReconcilingCondition : something is moving.
	ReconcilingCondition = "Reconciling"
	// StalledCondition : nothing moves until a person changes something.
	StalledCondition = "Stalled"
	// AcceptedCondition : an Application's entry can be used in this Environment (per environment in Application.status).
	AcceptedCondition = "Accepted"
	// GatesPassedCondition : every gate of a Promotion has passed.
	GatesPassedCondition = "GatesPassed"
	// HealthyCondition : Flux reports a Promotion's release as applied and healthy.
	HealthyCondition = "Healthy"
	// RepositoryReachableCondition : GitHub answers about an Application's repository.
	RepositoryReachableCondition = "RepositoryReachable"
)

// Reasons of Accepted on an environment of an Application, and of Ready on an Environment.
const (
	// AcceptedReason : the entry can be used.
	AcceptedReason = "Accepted"
	// EnvironmentNotFoundReason : there is no Environment of this name.
	EnvironmentNotFoundReason = "EnvironmentNotFound"
	// UpstreamMissingReason : the Application does not list an upstream of this Environment.
	UpstreamMissingReason = "UpstreamMissing"
	// UpstreamNotFoundReason : an Environment named in spec.after does not exist.
	UpstreamNotFoundReason = "UpstreamNotFound"
	// CycleReason : the Environments' spec.after lead round in a circle.
	CycleReason = "Cycle"
	// NamespaceNotAllowedReason : the Environment does not allow the Application's namespace.
	NamespaceNotAllowedReason = "NamespaceNotAllowed"
	// TargetMissingReason : the ServiceAccount, or the Secret or ConfigMap of a remote cluster, is missing in the namespace.
	TargetMissingReason = "TargetMissing"
	// TargetConflictReason : an object that is not Mainstem's stands where a generated one is to be, or another Application or entry
	// deploys the same objects.
	TargetConflictReason = "TargetConflict"
	// DeployInvalidReason : what is deployed cannot be rendered as the Application declares it, or the cluster refuses it.
	DeployInvalidReason = "DeployInvalid"
	// PromotionBranchSharedReason : the pull requests of two Applications would meet on one repository and base.
	PromotionBranchSharedReason = "PromotionBranchShared"
	// UnknownVariableReason : a template uses a variable that does not exist.
	UnknownVariableReason = "UnknownVariable"
	// VersionMissingReason : a template uses a variable that no release of the source has (False), or that the next one lacks (True).
	VersionMissingReason = "VersionMissing"
	// InvalidSourceReason : the source does not go with this Environment.
	InvalidSourceReason = "InvalidSource"
	// InvalidGateReason : a gate does not go with this Environment.
	InvalidGateReason = "InvalidGate"
	// InvalidSemverReason : a semver range cannot be read.
	InvalidSemverReason = "InvalidSemver"
	// BranchNotFoundReason : the branch does not exist in the repository.
	BranchNotFoundReason = "BranchNotFound"
)

// Reasons of RepositoryReachable on an Application.
const (
	// ObservedReason : GitHub answered.
	ObservedReason = "Observed"
	// SecretNotFoundReason : the Secret of repository.secretRef does not exist.
	SecretNotFoundReason = "SecretNotFound"
	// SecretInvalidReason : the Secret lacks a key, or one is malformed.
	SecretInvalidReason = "SecretInvalid"
	// RepositoryInvalidReason : the repository's URL cannot be used.
	RepositoryInvalidReason = "RepositoryInvalid"
	// RepositoryNotFoundReason : there is no such repository, or the credential cannot see it.
	RepositoryNotFoundReason = "RepositoryNotFound"
	// UnauthorizedReason : GitHub does not take the credential.
	UnauthorizedReason = "Unauthorized"
	// PermissionDeniedReason : the credential lacks a permission.
	PermissionDeniedReason = "PermissionDenied"
	// RateLimitedReason : GitHub asks to wait.
	RateLimitedReason = "RateLimited"
	// RepositoryMovedReason : GitHub answers, and the repository was renamed or transferred (True).
	RepositoryMovedReason = "RepositoryMoved"
	// RepositoryArchivedReason : GitHub answers, and the repository is archived, so that nothing can be written there (True).
	RepositoryArchivedReason = "RepositoryArchived"
	// CommitStatusDeniedReason : GitHub answers, and does not let commit statuses be written (True).
	CommitStatusDeniedReason = "CommitStatusDenied"
	// UnreachableReason : GitHub cannot be reached, or answers with an error.
	UnreachableReason = "Unreachable"
)

// Reasons of Ready, Reconciling and Stalled.
const (
	// HealthyReason : what runs is healthy, and nothing has failed.
	HealthyReason = "Healthy"
	// ProgressingReason : a release is being merged or deployed.
	ProgressingReason = "Progressing"
	// NotAcceptedReason : an environment is not accepted.
	NotAcceptedReason = "NotAccepted"
	// NotHealthyReason : Flux reports that what runs is not healthy.
	NotHealthyReason = "NotHealthy"
	// NotDeployedReason : nothing is deployed yet.
	NotDeployedReason = "NotDeployed"
	// PromotionFailedReason : the newest promotion failed.
	PromotionFailedReason = "PromotionFailed"
	// SuspendedReason : spec.suspend is set.
	SuspendedReason = "Suspended"
)

// Reasons of a Promotion's phase.
const (
	// GatesWaitingReason : at least one gate has not passed.
	GatesWaitingReason = "GatesWaiting"
	// QueuedReason : another promotion into the same environment goes first.
	QueuedReason = "Queued"
	// MergeWaitingReason : the gates have passed, and a person or GitHub has yet to let the merge happen.
	MergeWaitingReason = "MergeWaiting"
	// MergingReason : the pull request is being merged.
	MergingReason = "Merging"
	// DeployingReason : Flux has been told.
	DeployingReason = "Deploying"
	// SucceededReason : Flux reports the release as applied and healthy.
	SucceededReason = "Succeeded"
	// FluxFailedReason : Flux says that it failed at the release.
	FluxFailedReason = "FluxFailed"
	// DeadlineExceededReason : timeouts.deploy has passed.
	DeadlineExceededReason = "DeadlineExceeded"
	// SupersededReason : a newer candidate took its place.
	SupersededReason = "Superseded"
	// DeclinedReason : a person closed the pull request.
	DeclinedReason = "Declined"
	// RejectedReason : a person rejected the promotion with an Approval.
	RejectedReason = "Rejected"
	// RolledBackReason : the release was replaced by a rollback.
	RolledBackReason = "RolledBack"
	// EnvironmentGoneReason : the Application no longer lists the Environment, or it is deleted.
	EnvironmentGoneReason = "EnvironmentGone"
	// ApplicationGoneReason : the Application is deleted.
	ApplicationGoneReason = "ApplicationGone"
	// ReleaseNotFoundReason : there is no such Release of this Application.
	ReleaseNotFoundReason = "ReleaseNotFound"
	// GateNotFoundReason : bypass names a gate that the environment does not have.
	GateNotFoundReason = "GateNotFound"
	// CommitUnreachableReason : the release's branch does not lead to its commit any more, so that Flux could not fetch it.
	CommitUnreachableReason = "CommitUnreachable"
	// NotProvenHereReason : a rollback names a release that was never proven in this environment.
	NotProvenHereReason = "NotProvenHere"
	// BranchMovedReason : a person pushed to Mainstem's promotion branch.
	BranchMovedReason = "BranchMoved"
	// PullRequestForeignReason : an open pull request into the base carries another installation's mark.
	PullRequestForeignReason = "PullRequestForeign"
)

// Labels, annotations and the finalizer that Mainstem writes.
const (
	// ApplicationLabel names the Application that a generated object belongs to.
	ApplicationLabel = "mainstem.dev/application"
	// EnvironmentLabel names the Environment that a generated object belongs to.
	EnvironmentLabel = "mainstem.dev/environment"
	// InstanceLabel names the installation of Mainstem that made an object.
	InstanceLabel = "mainstem.dev/instance"
	// ReleaseAnnotation names the Release that a Kustomization deploys.
	ReleaseAnnotation = "mainstem.dev/release"
	// PromotionAnnotation names the Promotion that last told Flux to run what a Kustomization deploys.
	PromotionAnnotation = "mainstem.dev/promotion"
	// DeliveryAnnotation names, on an Application, the webhook delivery that a replica which does not lead has taken last. It stands
	// for all Applications of the repository with the same webhook secret.
	DeliveryAnnotation = "mainstem.dev/delivery"
	// Finalizer lets Mainstem act on deletion policies before an Application goes.
	Finalizer = "mainstem.dev/finalizer"
)
