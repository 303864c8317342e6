// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// Record writes a Step into a Promotion's status. It changes nothing where the step is what is so already.
func Record(s *State, p *v1alpha1.Promotion, step Step) {
	now := metav1.NewTime(s.Now)
	status := &p.Status
	status.ObservedGeneration = p.Generation
	status.Phase, status.Reason, status.Message = step.Phase, step.Reason, cut(step.Message, 1024)
	if step.Gates != nil {
		status.Gates = gateStatuses(step.Gates)
	}
	if step.Deploy != nil {
		started := beginsAt(s, p)
		status.DeployedRelease, status.Proof, status.DeployStartedAt = step.Deploy.Name, step.Proof, &started
	}
	if step.Phase.Terminal() && status.FinishedAt == nil {
		ended := endsAt(s, p)
		status.FinishedAt = &ended
	}
	recordConditions(p, step, now)
}

// beginsAt is when a deploy begins: now, and at least a second after every other one into the environment. Which one was the last is
// told by these times, and they are stored in whole seconds.
func beginsAt(s *State, p *v1alpha1.Promotion) metav1.Time {
	began := s.Now
	for _, other := range s.promotionsInto(p.Spec.Environment) {
		if before := other.Status.DeployStartedAt; other.Name != p.Name && before != nil && !before.Time.Before(began.Truncate(time.Second)) {
			began = before.Add(time.Second)
		}
	}
	return metav1.NewTime(began)
}

// endsAt is when a Promotion ended: now, and not before its deploy began. A success is also at least a second after the rejection that
// it lifts: which one came last is told by these times.
func endsAt(s *State, p *v1alpha1.Promotion) metav1.Time {
	ended := s.Now
	if began := p.Status.DeployStartedAt; began != nil && ended.Before(began.Time) {
		ended = began.Time
	}
	if phase(p) != v1alpha1.PromotionSucceeded {
		return metav1.NewTime(ended)
	}
	before := withLedgers(s)
	for _, r := range []*v1alpha1.Release{before.release(p.Spec.Release), before.release(p.Status.DeployedRelease)} {
		if r == nil {
			continue
		}
		if entry := ledgerOf(r, p.Spec.Environment); entry != nil && entry.RejectedAt != nil && !entry.RejectedAt.Time.Before(ended.Truncate(time.Second)) {
			ended = entry.RejectedAt.Add(time.Second)
		}
	}
	return metav1.NewTime(ended)
}
