// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// History is bounded by these.
const (
	// keptPromotions is how many finished Promotions are kept per environment.
	keptPromotions = 20
	// keptReleases is how many of the newest Releases are kept, whatever became of them.
	keptReleases = 50
	// keptLedger is how long a Release is kept after something was entered into its ledger: without it, a rejected one would
	// come back.
	keptLedger = 90 * 24 * time.Hour
)

// Expired says which records have had their time. What is deployed, what is on its way, and what a kept Promotion names stays.
func Expired(s *State) (promotions []*v1alpha1.Promotion, releases []*v1alpha1.Release) {
	named := map[string]bool{}
	finished := map[v1alpha1.EnvironmentName]int{}
	byAge := slices.Clone(s.Promotions)
	slices.SortStableFunc(byAge, func(a, b *v1alpha1.Promotion) int { return b.CreationTimestamp.Compare(a.CreationTimestamp.Time) })
	for _, p := range byAge {
		env := p.Spec.Environment
		if phase(p).Terminal() {
			finished[env]++
		}
		deployed := Deployed(s, env)
		if phase(p).Terminal() && finished[env] > keptPromotions && (deployed == nil || deployed.Name != p.Name) {
			promotions = append(promotions, p)
			continue
		}
		named[p.Spec.Release], named[p.Status.DeployedRelease] = true, true
	}
	newest := slices.Clone(s.Releases)
	slices.SortStableFunc(newest, func(a, b *v1alpha1.Release) int { return int(b.Spec.Sequence - a.Spec.Sequence) })
	for i, r := range newest {
		if i >= keptReleases && !named[r.Name] && !s.inUse(r) && s.Now.Sub(lastEntered(r)) > keptLedger {
			releases = append(releases, r)
		}
	}
	return promotions, releases
}

// inUse says that a Release is the head of a branch, or runs somewhere.
func (s *State) inUse(r *v1alpha1.Release) bool {
	for _, branch := range s.GitHub.Branches {
		if branch.Head.SHA == r.Spec.Commit {
			return true
		}
	}
	for _, flux := range s.Flux {
		if flux.Applied == r.Spec.Commit {
			return true
		}
	}
	return false
}

// lastEntered is when something was last entered into a Release's ledger.
func lastEntered(r *v1alpha1.Release) time.Time {
	var last time.Time
	for i := range r.Status.Environments {
		entry := &r.Status.Environments[i]
		for _, at := range []*metav1.Time{entry.EnteredAt, entry.ProvenAt, entry.RejectedAt} {
			if at != nil && at.After(last) {
				last = at.Time
			}
		}
	}
	return last
}
