// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package v1alpha1

import (
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Application is one deliverable: its GitHub repository, how it deploys, and which Environments it goes through. The
// application team owns it.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:scope=Namespaced,shortName=mapp,categories=mainstem
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Summary",type=string,JSONPath=`.status.summary`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="self.metadata.name.size() <= 63 && !self.metadata.name.contains('.')",message="an Application's name goes into labels and object names: use at most 63 letters, digits and dashes, without dots"
type Application struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// Spec is what the application team declares.
	// +required
	Spec ApplicationSpec `json:"spec"`

	// Status is what Mainstem reports: what runs where, what comes next, and why it is not further.
	// +kubebuilder:default:={"observedGeneration":-1}
	// +optional
	Status ApplicationStatus `json:"status,omitempty"`
}

// ApplicationSpec declares one deliverable.
type ApplicationSpec struct {
	// Repository is where the application comes from.
	// +required
	Repository Repository `json:"repository"`

	// Deploy says what Flux applies. Exactly one way is set.
	// +required
	Deploy Deploy `json:"deploy"`

	// Environments lists the Environments that the application goes through. Their order has no meaning for promotion: what
	// comes after what is the platform's, in Environment.spec.after.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:MaxItems=32
	// +required
	Environments []ApplicationEnvironment `json:"environments"`

	// Suspend stops Mainstem for this application: nothing is observed, promoted or written. What runs goes on running.
	// +optional
	Suspend bool `json:"suspend,omitempty"`
}

// Repository is a repository on GitHub or GitHub Enterprise Server.
type Repository struct {
	// URL is the repository's address, https://HOST/OWNER/NAME. Owner and name come from its path.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^/@\s]+/[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+/?$`
	// +required
	URL string `json:"url"`

	// APIURL is the root of the REST API. Default: https://api.github.com for github.com, else https://HOST/api/v3. It wins
	// over githubAppBaseURL of the Secret.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:Pattern=`^https?://[^\s]+$`
	// +optional
	APIURL string `json:"apiURL,omitempty"`

	// SecretRef names a Secret in this namespace with a credential in Flux's own keys: a GitHub App (githubAppID,
	// githubAppInstallationID or githubAppInstallationOwner, githubAppPrivateKey, githubAppBaseURL, ca.crt), or username and
	// password (a token). Flux and Mainstem read the same Secret. An optional key webhookSecret verifies deliveries about this
	// repository. Absent means anonymous reading, with which nothing can be promoted through pull requests.
	// +optional
	SecretRef *meta.LocalObjectReference `json:"secretRef,omitempty"`

	// Interval is how often GitHub is asked when no webhook says that something changed. Default: 5m.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="repository.interval must be between 1s and 24h"
	// +kubebuilder:default:="5m"
	// +optional
	Interval *metav1.Duration `json:"interval,omitempty"`
}

// Deploy says what Flux applies. Exactly one way is set.
//
// +kubebuilder:validation:XValidation:rule="has(self.kustomize)",message="deploy says how Flux applies the application: set deploy.kustomize"
type Deploy struct {
	// Kustomize deploys a directory of the repository through a Flux Kustomization.
	// +optional
	Kustomize *KustomizeDeploy `json:"kustomize,omitempty"`
}

// KustomizeDeploy becomes the spec of a Flux Kustomization. The variables ${app}, ${namespace}, ${environment}, ${commit},
// ${shortCommit} (12 characters), ${branch} and, for releases by tag, ${tag} and ${version} (the tag's semver without v) are
// replaced in path, targetNamespace, substitute, images, and the names and namespaces of healthChecks.
type KustomizeDeploy struct {
	// Path is the directory in the repository, e.g. ./deploy/${environment}. Default in an Application: the root.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Path string `json:"path,omitempty"`

	// TargetNamespace is the namespace that Flux sets on every object, e.g. podinfo-${environment}.
	// +kubebuilder:validation:MaxLength=253
	// +optional
	TargetNamespace string `json:"targetNamespace,omitempty"`

	// Substitute becomes postBuild.substitute of the Kustomization, which is set only when there is something in here.
	// +kubebuilder:validation:MaxProperties=64
	// +optional
	Substitute map[string]string `json:"substitute,omitempty"`

	// Images replaces image names, tags and digests, as in a kustomization.yaml.
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Images []kustomize.Image `json:"images,omitempty"`

	// HealthChecks lists the objects whose health counts. Absent means: every object that is applied.
	// +kubebuilder:validation:MaxItems=64
	// +optional
	HealthChecks []meta.NamespacedObjectKindReference `json:"healthChecks,omitempty"`

	// Interval is how often Flux applies again what runs, to undo drift. Default: 10m.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:MaxLength=32
	// +optional
	Interval *metav1.Duration `json:"interval,omitempty"`

	// Timeout is how long Flux waits for objects to become healthy before it says that they did not. Default: 5m.
	// +kubebuilder:validation:Type=string
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m|h))+$`
	// +kubebuilder:validation:MaxLength=32
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`

	// Prune lets Flux delete objects that a newer release no longer has. Default: true.
	// +optional
	Prune *bool `json:"prune,omitempty"`

	// Decryption lets Flux decrypt secrets in the repository.
	// +optional
	Decryption *kustomizev1.Decryption `json:"decryption,omitempty"`
}

// ApplicationEnvironment is what one Application does in one Environment.
//
// +kubebuilder:validation:XValidation:rule="!has(self.pullRequest) || (has(self.source) && has(self.source.branch))",message="a pull request needs a branch to be merged into: set source.branch, or take pullRequest away"
type ApplicationEnvironment struct {
	// Name is the name of an Environment.
	// +required
	Name EnvironmentName `json:"name"`

	// Source says where releases of this environment come from. In an environment with an upstream it can be absent: then the
	// very commit that is proven upstream is deployed.
	// +optional
	Source *Source `json:"source,omitempty"`

	// PullRequest lets Mainstem open a pull request from the proven commit to source.branch. Only in environments that have an
	// upstream.
	// +optional
	PullRequest *PullRequestPolicy `json:"pullRequest,omitempty"`

	// Deploy overrides fields of the Application's own deploy here: a field that is set replaces it, substitute is merged.
	// +optional
	Deploy *Deploy `json:"deploy,omitempty"`

	// Gates are added to the Environment's own.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=32
	// +optional
	Gates []Gate `json:"gates,omitempty"`

	// DeletionPolicy says what becomes of the Flux objects when this entry, or the whole Application, goes: Orphan leaves them
	// running under nobody's care, Delete lets Flux remove what it deployed. Default: Orphan.
	// +kubebuilder:validation:Enum=Orphan;Delete
	// +kubebuilder:default:=Orphan
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// Source says where releases come from. Exactly one kind is set.
//
// +kubebuilder:validation:XValidation:rule="[has(self.branch), has(self.release)].filter(x, x).size() == 1",message="a source is exactly one of branch and release: keep one of them"
type Source struct {
	// Branch follows the head of a branch.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=244
	// +kubebuilder:validation:Pattern=`^[^\s~^:?*\[\\]+$`
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('/') && !self.startsWith('-') && !self.endsWith('/') && !self.endsWith('.') && !self.endsWith('.lock') && !self.contains('..') && !self.contains('//') && !self.contains('@{') && !self.startsWith('refs/')",message="branch is not a valid branch name: write it as git branch prints it, without refs/heads/ (see git check-ref-format)"
	// +optional
	Branch string `json:"branch,omitempty"`

	// Release follows published GitHub releases.
	// +optional
	Release *ReleaseSource `json:"release,omitempty"`
}

// ReleaseSource follows published GitHub releases whose tag is a semantic version. Drafts do not count.
type ReleaseSource struct {
	// Semver is the range that a tag's version must be in, e.g. ">=1.0.0 <2.0.0". Default: every version.
	// +kubebuilder:validation:MaxLength=256
	// +optional
	Semver string `json:"semver,omitempty"`

	// Prereleases lets releases count that GitHub marks as prerelease, and versions such as 1.2.0-rc.1.
	// +optional
	Prereleases bool `json:"prereleases,omitempty"`
}

// PullRequestPolicy says how Mainstem promotes through a pull request.
type PullRequestPolicy struct {
	// Merge says who merges once the gates pass: Mainstem (Automatic) or a person (Manual). Default: Automatic.
	// +kubebuilder:validation:Enum=Automatic;Manual
	// +kubebuilder:default:=Automatic
	// +optional
	Merge MergeMode `json:"merge,omitempty"`

	// Labels are put on the pull request.
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=50
	// +optional
	Labels []string `json:"labels,omitempty"`

	// Reviewers are asked for a review: a user's login, or org/team for a team.
	// +listType=set
	// +kubebuilder:validation:MaxItems=15
	// +kubebuilder:validation:items:MinLength=1
	// +kubebuilder:validation:items:MaxLength=140
	// +optional
	Reviewers []string `json:"reviewers,omitempty"`
}

// MergeMode says who merges a promotion pull request.
type MergeMode string

const (
	// MergeAutomatic lets Mainstem merge once the gates pass.
	MergeAutomatic MergeMode = "Automatic"
	// MergeManual leaves the merge to a person.
	MergeManual MergeMode = "Manual"
)

// DeletionPolicy says what becomes of generated Flux objects.
type DeletionPolicy string

const (
	// DeletionOrphan leaves the Flux objects and what they deployed in place.
	DeletionOrphan DeletionPolicy = "Orphan"
	// DeletionDelete deletes the Flux objects; Flux prunes what they deployed.
	DeletionDelete DeletionPolicy = "Delete"
)

// ApplicationStatus says what runs where, what comes next, and why it is not further.
type ApplicationStatus struct {
	// ObservedGeneration is the generation of the spec that this status is about; -1 before the first look.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// LastHandledReconcileAt is the value of the annotation reconcile.fluxcd.io/requestedAt that was last acted on.
	// +optional
	LastHandledReconcileAt string `json:"lastHandledReconcileAt,omitempty"`

	// Conditions: Ready; RepositoryReachable; Reconciling while something moves; Stalled where only a change of a spec, a Secret or a
	// permission can help.
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Summary is the whole story in one line, for kubectl get.
	// +kubebuilder:validation:MaxLength=1024
	// +optional
	Summary string `json:"summary,omitempty"`

	// Environments has one entry for each environment that the application lists.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=64
	// +optional
	Environments []EnvironmentState `json:"environments,omitempty"`
}

// EnvironmentPhase is what happens to an application in one environment.
//
// +kubebuilder:validation:Enum=Idle;Waiting;Merging;Deploying;Failed
type EnvironmentPhase string

const (
	// EnvironmentIdle : nothing newer could enter.
	EnvironmentIdle EnvironmentPhase = "Idle"
	// EnvironmentWaiting : a release waits for gates, people or proof, or the environment is not accepted.
	EnvironmentWaiting EnvironmentPhase = "Waiting"
	// EnvironmentMerging : the promotion's pull request is being merged.
	EnvironmentMerging EnvironmentPhase = "Merging"
	// EnvironmentDeploying : Flux is applying a release.
	EnvironmentDeploying EnvironmentPhase = "Deploying"
	// EnvironmentFailed : the newest promotion failed, and nothing newer is on its way.
	EnvironmentFailed EnvironmentPhase = "Failed"
)

// EnvironmentState is how one application stands in one environment.
type EnvironmentState struct {
	// Name is the Environment's name.
	Name EnvironmentName `json:"name"`

	// Conditions: Accepted says whether the entry can be used here at all; Ready, whether what runs is healthy.
	// +listType=map
	// +listMapKey=type
	// +kubebuilder:validation:MaxItems=8
	// +optional
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// Phase is Idle, Waiting, Merging, Deploying or Failed.
	// +optional
	Phase EnvironmentPhase `json:"phase,omitempty"`

	// Current is what Flux reports as applied, never what was merely asked for.
	// +optional
	Current *CurrentRelease `json:"current,omitempty"`

	// Next is the release that is on its way in.
	// +optional
	Next *NextRelease `json:"next,omitempty"`

	// Failed is the release whose deploy failed here, while nothing newer is on its way and Flux runs another one.
	// +optional
	Failed *FailedRelease `json:"failed,omitempty"`

	// Behind says how far this environment is behind its upstream, or behind its branch.
	// +optional
	Behind *Behind `json:"behind,omitempty"`

	// WaitingFor says in one sentence what the next release waits for.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	WaitingFor string `json:"waitingFor,omitempty"`

	// Gates shows how every gate stands for the next release.
	// +listType=map
	// +listMapKey=name
	// +kubebuilder:validation:MaxItems=72
	// +optional
	Gates []GateStatus `json:"gates,omitempty"`

	// PullRequest is the promotion pull request of the next release.
	// +optional
	PullRequest *PullRequestStatus `json:"pullRequest,omitempty"`

	// DeletionPolicy is what the entry said when it was last seen; it decides what happens once the entry is gone.
	// +optional
	DeletionPolicy DeletionPolicy `json:"deletionPolicy,omitempty"`
}

// CurrentRelease is what Flux reports as applied.
type CurrentRelease struct {
	// Release is the name of the Release, where there is one for this commit.
	// +optional
	Release string `json:"release,omitempty"`
	// Commit is the full SHA that Flux last applied.
	// +optional
	Commit string `json:"commit,omitempty"`
	// Version is the release's version or tag, if it has one.
	// +optional
	Version string `json:"version,omitempty"`
	// Since is when this commit was first reported here.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
	// Healthy says what Flux says: True, False, or Unknown while it is looking.
	// +kubebuilder:validation:Enum=True;False;Unknown
	// +optional
	Healthy metav1.ConditionStatus `json:"healthy,omitempty"`
	// HealthySince is since when the environment has been healthy, whatever release ran; an unhealthy spell starts it anew, a
	// short Unknown does not. Soak gates downstream count from here.
	// +optional
	HealthySince *metav1.Time `json:"healthySince,omitempty"`
}

// FailedRelease is a release whose deploy failed.
type FailedRelease struct {
	// Release is the name of the Release.
	Release string `json:"release"`
	// Commit is its full SHA.
	Commit string `json:"commit"`
	// Promotion is the name of the Promotion that failed.
	Promotion string `json:"promotion"`
	// Message says in one sentence why, in Flux's words where it gave some.
	// +kubebuilder:validation:MaxLength=512
	// +optional
	Message string `json:"message,omitempty"`
}

// NextRelease is the release that is on its way in.
type NextRelease struct {
	// Release is the name of the Release.
	Release string `json:"release"`
	// Commit is its full SHA.
	Commit string `json:"commit"`
	// Version is its version or tag, if it has one.
	// +optional
	Version string `json:"version,omitempty"`
	// Promotion is the name of the Promotion that carries it, once there is one.
	// +optional
	Promotion string `json:"promotion,omitempty"`
}

// Behind says how far an environment is behind.
type Behind struct {
	// Commits is how many commits of the upstream, or of the branch, are not here.
	Commits int32 `json:"commits"`
	// Since is when the oldest of them that Mainstem knows of was observed.
	// +optional
	Since *metav1.Time `json:"since,omitempty"`
}

// PullRequestState is the state of a pull request.
//
// +kubebuilder:validation:Enum=Open;Merged;Closed
type PullRequestState string

const (
	// PullRequestOpen : the pull request is open.
	PullRequestOpen PullRequestState = "Open"
	// PullRequestMerged : the pull request was merged.
	PullRequestMerged PullRequestState = "Merged"
	// PullRequestClosed : the pull request was closed without a merge.
	PullRequestClosed PullRequestState = "Closed"
)

// PullRequestStatus is what is known of a promotion pull request.
type PullRequestStatus struct {
	// Number is the pull request's number.
	Number int64 `json:"number"`
	// URL is where people see it.
	// +optional
	URL string `json:"url,omitempty"`
	// State is Open, Merged or Closed.
	State PullRequestState `json:"state"`
	// MergeCommit is the commit on the base branch that the merge made.
	// +optional
	MergeCommit string `json:"mergeCommit,omitempty"`
	// MergedBy is the GitHub login of whoever merged it.
	// +optional
	MergedBy string `json:"mergedBy,omitempty"`
}

// ApplicationList is a list of Applications.
//
// +kubebuilder:object:root=true
type ApplicationList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Application `json:"items"`
}
