// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"cmp"
	"slices"
	"time"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

const (
	// keptPromotions is how many finished Promotions into one environment are kept.
	keptPromotions = 20
	// keptReleases is how many Releases are kept, the newest by observation.
	keptReleases = 50
	// keptLedger is how long a Release is kept after it was last proven or rejected somewhere: forgotten sooner, a rejected one
	// would come back.
	keptLedger = 90 * 24 * time.Hour
)

// Expired lists the records that have had their time: finished Promotions and Releases that no decision and no history needs any
// more. A Release that would only be discovered again is kept. While GitHub cannot be observed nothing expires: what it still shows
// is not known then.
func Expired(s *State) ([]*v1alpha1.Promotion, []*v1alpha1.Release) {
	if s.GitHub.Problem != nil {
		return nil, nil
	}
	promotions := expiredPromotions(s)
	left := *s
	left.Promotions = without(s.Promotions, promotions)
	return promotions, expiredReleases(&left)
}

// expiredPromotions are the finished Promotions but the newest of each environment, what the environment was last told to run, and
// the newest that failed.
func expiredPromotions(s *State) []*v1alpha1.Promotion {
	byEnvironment := map[v1alpha1.EnvironmentName][]*v1alpha1.Promotion{}
	for _, p := range s.Promotions {
		if phase(p).Terminal() {
			byEnvironment[p.Spec.Environment] = append(byEnvironment[p.Spec.Environment], p)
		}
	}
	expired := map[*v1alpha1.Promotion]bool{}
	for env, finished := range byEnvironment {
		slices.SortFunc(finished, newestFinished)
		deployed := Deployed(s, env)
		failed := slices.IndexFunc(finished, func(p *v1alpha1.Promotion) bool { return phase(p) == v1alpha1.PromotionFailed })
		for i, p := range finished {
			expired[p] = i >= keptPromotions && i != failed && p != deployed
		}
	}
	return slices.DeleteFunc(slices.Clone(s.Promotions), func(p *v1alpha1.Promotion) bool { return !expired[p] })
}

func newestFinished(a, b *v1alpha1.Promotion) int {
	return cmp.Or(finishedAt(b).Compare(finishedAt(a)), b.CreationTimestamp.Compare(a.CreationTimestamp.Time), cmp.Compare(b.Name, a.Name))
}

func finishedAt(p *v1alpha1.Promotion) time.Time {
	if p.Status.FinishedAt == nil {
		return p.CreationTimestamp.Time
	}
	return p.Status.FinishedAt.Time
}

// expiredReleases are the Releases that nothing that is left needs.
func expiredReleases(s *State) []*v1alpha1.Release {
	needed := neededReleases(s)
	bySequence := slices.Clone(s.Releases)
	slices.SortFunc(bySequence, func(a, b *v1alpha1.Release) int {
		return cmp.Or(cmp.Compare(b.Spec.Sequence, a.Spec.Sequence), cmp.Compare(a.Name, b.Name))
	})
	kept := map[*v1alpha1.Release]bool{}
	left := *s
	left.Releases = nil
	for i, r := range bySequence {
		if i < keptReleases || needed[r.Name] || s.Now.Sub(lastEntered(r)) < keptLedger {
			kept[r] = true
			left.Releases = append(left.Releases, r)
		}
	}
	for _, spec := range Discover(&left) {
		if r := s.releaseOf(spec.Commit, spec.Tag); r != nil {
			kept[r] = true
		}
	}
	return slices.DeleteFunc(slices.Clone(s.Releases), func(r *v1alpha1.Release) bool { return kept[r] })
}

// neededReleases names the Releases that Promotions name, that environments run or would run next, and that are heads of branches.
func neededReleases(s *State) map[string]bool {
	needed := map[string]bool{}
	for _, p := range s.Promotions {
		needed[p.Spec.Release], needed[p.Status.DeployedRelease] = true, true
	}
	need := func(r *v1alpha1.Release) {
		if r != nil {
			needed[r.Name] = true
		}
	}
	view := withLedgers(s)
	for i := range s.Application.Spec.Environments {
		env := s.Application.Spec.Environments[i].Name
		need(Pinned(s, env))
		need(currentRelease(s, env))
		need(s.release(s.Flux[env].Release))
		need(newestEligible(view, env))
		if newest, exists := newestCandidate(view, env); exists {
			need(newest.Release)
		}
	}
	for _, branch := range s.GitHub.Branches {
		for _, r := range s.Releases {
			if r.Spec.Commit == branch.Head.SHA {
				need(r)
			}
		}
	}
	return needed
}

// lastEntered is the newest moment at which a Release was proven or rejected anywhere.
func lastEntered(r *v1alpha1.Release) time.Time {
	var last time.Time
	for i := range r.Status.Environments {
		entry := &r.Status.Environments[i]
		if entry.ProvenAt != nil && entry.ProvenAt.After(last) {
			last = entry.ProvenAt.Time
		}
		if entry.RejectedAt != nil && entry.RejectedAt.After(last) {
			last = entry.RejectedAt.Time
		}
	}
	return last
}

func without(all, some []*v1alpha1.Promotion) []*v1alpha1.Promotion {
	return slices.DeleteFunc(slices.Clone(all), func(p *v1alpha1.Promotion) bool { return slices.Contains(some, p) })
}
