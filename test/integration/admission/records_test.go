// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package admission

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

var (
	releaseIsARecord   = crdRule("releases", "spec", "Mainstem makes a new one for another commit or tag")
	promotionIsARecord = crdRule("promotions", "spec", "create another one")
	approvalIsARecord  = crdRule("approvals", "spec", "delete it to withdraw it")
	holdIsARecord      = crdRule("holds", "spec", "create another one, then delete this one")
)

// recordRefusals are changes of what never changes, by whoever may write the object, and contradictions in a Promotion.
// Each kind is also tried with an optional field that was not there and one that goes: the way round immutability that is
// declared field by field.
var recordRefusals = []refusal{
	{
		name: "another commit", rule: releaseIsARecord, as: mainstem,
		refused:  updating(release, func(r *v1alpha1.Release) { r.Spec.Commit = repeat("a", 40) }),
		accepted: updating(release, labelled),
	},
	{
		name: "a tag later", rule: releaseIsARecord, as: mainstem,
		refused:  updating(release, func(r *v1alpha1.Release) { r.Spec.Tag = "v1.0.0" }),
		accepted: creating(release, func(r *v1alpha1.Release) { r.Spec.Tag = "v1.0.0" }),
	},
	{
		name: "an origin later", rule: releaseIsARecord, as: mainstem,
		refused: updating(release, func(r *v1alpha1.Release) { r.Spec.Origin = &v1alpha1.ReleaseOrigin{Release: "other", PullRequest: 1} }),
		accepted: creating(release, func(r *v1alpha1.Release) {
			r.Spec.Origin = &v1alpha1.ReleaseOrigin{Release: "other", PullRequest: 1}
		}),
	},
	{
		name: "a branch taken away", rule: releaseIsARecord, as: mainstem,
		refused: updating(func() *v1alpha1.Release {
			r := release()
			r.Spec.Branch = "develop"
			return r
		}, func(r *v1alpha1.Release) { r.Spec.Branch = "" }),
		accepted: creating(release),
	},
	{
		name: "another release", rule: promotionIsARecord, as: alice,
		refused:  updating(promotion, func(p *v1alpha1.Promotion) { p.Spec.Release = "podinfo-ffffffffffff" }),
		accepted: updating(promotion, labelled),
	},
	{
		name: "a bypass later", rule: promotionIsARecord, as: alice,
		refused:    updating(promotion, bypass),
		acceptedAs: bob,
		accepted:   creating(promotion, bypass, requestedBy(bob)),
	},
	{
		name: "a rollback later", rule: promotionIsARecord, as: alice,
		refused:  updating(promotion, func(p *v1alpha1.Promotion) { p.Spec.Rollback = true }),
		accepted: creating(promotion, func(p *v1alpha1.Promotion) { p.Spec.Rollback = true }),
	},
	{
		name: "another requester", rule: promotionIsARecord, as: alice,
		refused:    updating(promotion, requestedBy(bob)),
		acceptedAs: bob,
		accepted:   creating(promotion, requestedBy(bob)),
	},
	{
		name: "a bypass without a reason", rule: crdRule("promotions", "spec", "say why in spec.reason"), as: bob,
		refused: creating(promotion, requestedBy(bob), bypass, func(p *v1alpha1.Promotion) { p.Spec.Reason = "" }),
		// Without a gate to bypass, no reason is needed.
		accepted: creating(promotion, requestedBy(bob)),
	},
	{
		name: "a bypass with an empty reason", rule: crdRule("promotions", "spec", "say why in spec.reason"), as: bob,
		refused:  creating(promotion, requestedBy(bob), bypass, func(p *v1alpha1.Promotion) { p.Spec.Reason = " " }),
		accepted: creating(promotion, requestedBy(bob), bypass),
	},
	{
		name: "a rollback past gates", rule: crdRule("promotions", "spec", "nothing to bypass: take bypass away"), as: bob,
		refused:  creating(promotion, requestedBy(bob), bypass, func(p *v1alpha1.Promotion) { p.Spec.Rollback = true }),
		accepted: creating(promotion, requestedBy(bob), func(p *v1alpha1.Promotion) { p.Spec.Rollback = true }),
	},
	{
		name: "another decision", rule: approvalIsARecord, as: alice,
		refused:  updating(approval, func(a *v1alpha1.Approval) { a.Spec.Decision = v1alpha1.DecisionReject }),
		accepted: creating(approval, func(a *v1alpha1.Approval) { a.Spec.Decision = v1alpha1.DecisionReject }),
	},
	{
		name: "another promotion", rule: approvalIsARecord, as: alice,
		refused:  updating(approval, func(a *v1alpha1.Approval) { a.Spec.PromotionUID = "another" }),
		accepted: deleting(approval),
	},
	{
		name: "a comment later", rule: approvalIsARecord, as: alice,
		refused:  updating(approval, func(a *v1alpha1.Approval) { a.Spec.Comment = "on second thoughts" }),
		accepted: updating(approval, labelled),
	},
	{
		name: "another environment", rule: holdIsARecord, as: alice,
		refused:  updating(hold, func(h *v1alpha1.Hold) { h.Spec.Environment = "develop" }),
		accepted: updating(hold, labelled),
	},
	{
		name: "an end later", rule: holdIsARecord, as: alice,
		refused:  updating(hold, until),
		accepted: creating(hold, until),
	},
	{
		name: "an application later", rule: holdIsARecord, as: alice,
		refused:  updating(hold, func(h *v1alpha1.Hold) { h.Spec.Application = "podinfo" }),
		accepted: creating(hold, func(h *v1alpha1.Hold) { h.Spec.Application = "podinfo" }),
	},
}

// labelled is what operators and people do to any object.
func labelled[T client.Object](object T) {
	object.SetLabels(map[string]string{"example.com/seen": "true"})
}

func bypass(p *v1alpha1.Promotion) {
	p.Spec.Bypass = []string{"proven", "environment/soak"}
	p.Spec.Reason = "production is down"
}

func requestedBy(u user) func(*v1alpha1.Promotion) {
	return func(p *v1alpha1.Promotion) { p.Spec.RequestedBy = string(u) }
}

func until(h *v1alpha1.Hold) {
	h.Spec.Until = &metav1.Time{Time: time.Date(2026, 12, 24, 18, 0, 0, 0, time.UTC)}
}
