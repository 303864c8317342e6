// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"cmp"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// Ledger brings the ledgers of all Releases up to what the Promotions and Flux say, in place, and returns the Releases whose status
// is to be written. A ledger outlives its Promotions. Decisions do not depend on when it is written: they read the Promotions too. So
// what was let in is not written while it is being deployed, but together with how that ended.
func Ledger(s *State) []*v1alpha1.Release {
	before := make(map[string]v1alpha1.ReleaseStatus, len(s.Releases))
	for _, r := range s.Releases {
		before[r.Name] = *r.Status.DeepCopy()
	}
	promotions := inTime(s.Promotions)
	for _, p := range promotions {
		enter(s, p)
	}
	for _, p := range promotions {
		judge(s, p)
	}
	for i := range s.Application.Spec.Environments {
		adopt(s, s.Application.Spec.Environments[i].Name)
	}
	var changed []*v1alpha1.Release
	for _, r := range s.Releases {
		if ledgerDue(s, r, before[r.Name]) {
			changed = append(changed, r)
		}
	}
	return changed
}

// withLedgers is the State with every ledger as Ledger would write it; the State itself stays as it is. Decisions are made on it, so
// that a Promotion counts from the moment that it is recorded, and a crash before its ledger is written changes nothing.
func withLedgers(s *State) *State {
	view := *s
	view.Releases = make([]*v1alpha1.Release, 0, len(s.Releases))
	for _, r := range s.Releases {
		copied := *r
		copied.Status = *r.Status.DeepCopy()
		view.Releases = append(view.Releases, &copied)
	}
	Ledger(&view)
	return &view
}

// inTime sorts Promotions by when they ended, those that have not last.
func inTime(promotions []*v1alpha1.Promotion) []*v1alpha1.Promotion {
	sorted := slices.Clone(promotions)
	slices.SortStableFunc(sorted, func(a, b *v1alpha1.Promotion) int {
		switch {
		case a.Status.FinishedAt == nil && b.Status.FinishedAt == nil:
			return cmp.Compare(a.Name, b.Name)
		case a.Status.FinishedAt == nil:
			return 1
		case b.Status.FinishedAt == nil:
			return -1
		}
		return cmp.Or(a.Status.FinishedAt.Compare(b.Status.FinishedAt.Time), cmp.Compare(a.Name, b.Name))
	})
	return sorted
}

// enter says of what a Promotion deployed that it was let in.
func enter(s *State, p *v1alpha1.Promotion) {
	deployed := s.release(p.Status.DeployedRelease)
	if deployed == nil || p.Status.DeployStartedAt == nil {
		return
	}
	if entry := entryFor(deployed, p.Spec.Environment); entry.EnteredAt == nil {
		entry.EnteredAt, entry.Proof = p.Status.DeployStartedAt, p.Status.Proof
	}
}

// judge enters what one Promotion proved or rejected.
func judge(s *State, p *v1alpha1.Promotion) {
	env := p.Spec.Environment
	candidate, deployed := s.release(p.Spec.Release), s.release(p.Status.DeployedRelease)
	if deployed != nil && p.Status.DeployStartedAt != nil {
		if phase(p) == v1alpha1.PromotionSucceeded {
			proveAt(entryFor(deployed, env), p.Status.FinishedAt)
			lift(candidate, env, p.Status.FinishedAt)
		}
		if p.Spec.Rollback || s.byHand(p) {
			rejectReplaced(s, p, deployed)
		}
	}
	switch {
	case phase(p) == v1alpha1.PromotionFailed:
		reject(deployed, env, p.Status.FinishedAt, p.Status.Reason)
		reject(candidate, env, p.Status.FinishedAt, p.Status.Reason)
	case phase(p) == v1alpha1.PromotionCancelled && (p.Status.Reason == v1alpha1.DeclinedReason || p.Status.Reason == v1alpha1.RejectedReason):
		if s.byHand(p) && candidate != nil && ledgerOf(candidate, env) != nil && ledgerOf(candidate, env).ProvenAt != nil {
			return // A no to going back to it takes nothing from what it proved.
		}
		reject(candidate, env, p.Status.FinishedAt, p.Status.Reason)
	}
}

// rejectReplaced rejects what a rollback replaced, so that it does not come back by itself. A person who promotes an older release
// goes back too, whatever they call it.
func rejectReplaced(s *State, rollback *v1alpha1.Promotion, target *v1alpha1.Release) {
	env := rollback.Spec.Environment
	for _, p := range s.promotionsInto(env) {
		if p.Name == rollback.Name || p.Status.DeployStartedAt == nil || rollback.Status.DeployStartedAt.Before(p.Status.DeployStartedAt) {
			continue
		}
		at := rollback.Status.DeployStartedAt
		if ended := p.Status.FinishedAt; at.Before(ended) {
			at = ended // It had ended by then, and is recorded a second later (see endsAt).
		}
		replaced := s.release(p.Status.DeployedRelease)
		if replaced == nil || replaced.Name == target.Name || !newerHere(replaced, target, env) || (!rollback.Spec.Rollback && !newer(replaced, target)) {
			continue
		}
		reject(replaced, env, at, v1alpha1.RolledBackReason)
		if candidate := s.release(p.Spec.Release); candidate != nil && candidate.Name != target.Name {
			reject(candidate, env, at, v1alpha1.RolledBackReason)
		}
	}
}

// newerHere says whether a Release came after another one in an environment: by their order, or by when they entered.
func newerHere(a, b *v1alpha1.Release, env v1alpha1.EnvironmentName) bool {
	if ordered(a, b) {
		return order(a, b) > 0
	}
	ea, eb := ledgerOf(a, env), ledgerOf(b, env)
	return ea != nil && eb != nil && ea.EnteredAt != nil && eb.EnteredAt != nil && eb.EnteredAt.Before(ea.EnteredAt)
}

// adopt takes over what Flux runs where Mainstem has never promoted: it is proven at its applied commit, and left untouched.
func adopt(s *State, env v1alpha1.EnvironmentName) {
	flux := s.Flux[env]
	if Deployed(s, env) != nil || !flux.healthyAt(flux.Applied) {
		return
	}
	if r := cmp.Or(s.release(flux.Release), s.releaseAt(flux.Applied)); r != nil && r.Spec.Commit == flux.Applied {
		now := metav1.NewTime(s.Now)
		entry := entryFor(r, env)
		if entry.EnteredAt == nil {
			entry.EnteredAt = &now
		}
		if entry.ProvenAt == nil {
			entry.ProvenAt = &now
		}
	}
}

// proveAt enters a proof. One that is newer than a rejection lifts it: a person tried again, and it went well.
func proveAt(entry *v1alpha1.LedgerEntry, at *metav1.Time) {
	switch {
	case at == nil:
	case entry.RejectedAt != nil && entry.RejectedAt.Before(at):
		entry.ProvenAt, entry.RejectedAt, entry.Reason = at, nil, ""
	case entry.ProvenAt == nil:
		entry.ProvenAt = at
	}
}

// lift takes a rejection back that is older than a success: what was rejected is in after all, as the commit that its merge made.
func lift(candidate *v1alpha1.Release, env v1alpha1.EnvironmentName, at *metav1.Time) {
	if candidate == nil || at == nil {
		return
	}
	if entry := ledgerOf(candidate, env); entry != nil && entry.RejectedAt.Before(at) {
		entry.RejectedAt, entry.Reason = nil, ""
	}
}

// reject enters a rejection, unless the release was proven after that moment.
func reject(r *v1alpha1.Release, env v1alpha1.EnvironmentName, at *metav1.Time, reason string) {
	if r == nil || at == nil {
		return
	}
	entry := entryFor(r, env)
	if entry.RejectedAt == nil && (entry.ProvenAt == nil || !at.Before(entry.ProvenAt)) {
		entry.RejectedAt, entry.Reason = at, reason
	}
}

// isProvenEntry says that a release ran healthy in an environment and was not rejected there since.
func isProvenEntry(entry *v1alpha1.LedgerEntry) bool {
	return entry != nil && entry.ProvenAt != nil && entry.RejectedAt == nil
}

// entryFor returns the ledger's entry for an environment, made if need be.
func entryFor(r *v1alpha1.Release, env v1alpha1.EnvironmentName) *v1alpha1.LedgerEntry {
	if entry := ledgerOf(r, env); entry != nil {
		return entry
	}
	r.Status.Environments = append(r.Status.Environments, v1alpha1.LedgerEntry{Name: env})
	return &r.Status.Environments[len(r.Status.Environments)-1]
}

// ledgerDue says that a ledger differs from what is written in more than what a Promotion that is deploying says itself.
func ledgerDue(s *State, r *v1alpha1.Release, written v1alpha1.ReleaseStatus) bool {
	return slices.ContainsFunc(r.Status.Environments, func(now v1alpha1.LedgerEntry) bool {
		before := v1alpha1.LedgerEntry{Name: now.Name}
		if i := slices.IndexFunc(written.Environments, func(e v1alpha1.LedgerEntry) bool { return e.Name == now.Name }); i >= 0 {
			before = written.Environments[i]
		}
		if before.EnteredAt == nil && beingDeployed(s, r, now.Name) {
			before.EnteredAt, before.Proof = now.EnteredAt, now.Proof
		}
		return !sameEntry(before, now)
	})
}

func beingDeployed(s *State, r *v1alpha1.Release, env v1alpha1.EnvironmentName) bool {
	return slices.ContainsFunc(s.promotionsInto(env), func(p *v1alpha1.Promotion) bool {
		return phase(p) == v1alpha1.PromotionDeploying && p.Status.DeployedRelease == r.Name
	})
}

func sameEntry(a, b v1alpha1.LedgerEntry) bool {
	return a.Proof == b.Proof && a.Reason == b.Reason &&
		a.EnteredAt.Equal(b.EnteredAt) && a.ProvenAt.Equal(b.ProvenAt) && a.RejectedAt.Equal(b.RejectedAt)
}
