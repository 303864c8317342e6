// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// failureReasons are the Ready reasons with which kustomize-controller says that it failed at a revision. Its other reasons
// (ArtifactFailed, DependencyNotReady, HealthCheckCanceled) mean that it has yet to try.
var failureReasons = []string{"BuildFailed", "ReconciliationFailed", "HealthCheckFailed", "PruneFailed"}

// healthyAt says that Flux reports a commit as applied and healthy: it looked at the current spec, it is Ready at the commit, so
// is its source, and Ready means healthy because health is waited for.
func (f Flux) healthyAt(commit string) bool {
	return f.Exists && !f.Suspended && f.GenerationObserved && f.Ready == string(metav1.ConditionTrue) && f.ChecksHealth &&
		commit != "" && f.Applied == commit && f.SourceCommit == commit
}

// failedFor says that Flux tried a commit for a Promotion, and failed. Flux observes a generation only when it succeeds, so the commit
// that it attempted is what counts. A failure that another attempt of that commit left behind is not this one's: Flux says which
// Promotion's request it has handled, and where somebody has asked it something since, only a later second will do.
func (f Flux) failedFor(p *v1alpha1.Promotion, commit string) bool {
	since := f.Handled == p.Name || f.ReadyChangedAt.After(p.Status.DeployStartedAt.Time)
	return f.Exists && commit != "" && f.Attempted == commit && f.Ready == string(metav1.ConditionFalse) &&
		slices.Contains(failureReasons, f.Reason) && since
}

// waits says that Flux is not Ready and has yet to try: something is missing that may come.
func (f Flux) waits() bool {
	return f.Ready == string(metav1.ConditionFalse) && !slices.Contains(failureReasons, f.Reason)
}

// health says how what runs is doing, as far as Flux says anything: Unknown while it looks, which happens at every
// reconciliation and means nothing.
func (f Flux) health() metav1.ConditionStatus {
	switch {
	case !f.Exists || f.Applied == "":
		return metav1.ConditionUnknown
	case f.healthyAt(f.Applied):
		return metav1.ConditionTrue
	case f.Ready == string(metav1.ConditionFalse) && slices.Contains(failureReasons, f.Reason):
		return metav1.ConditionFalse
	}
	return metav1.ConditionUnknown
}
