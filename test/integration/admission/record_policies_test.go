// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package admission

import (
	"testing"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// promotionPolicyRefusals are Promotions that somebody may not create, delete, or have deleted.
var promotionPolicyRefusals = []refusal{
	{
		name:       "deleting what says which release runs",
		rule:       policyRule("promotions.mainstem.dev", "may not delete a Promotion into Environment "),
		as:         tess,
		refused:    deleting(promotion),
		acceptedAs: alice,
		accepted:   deleting(promotion),
	},
	{
		name:       "deleting by way of the garbage collector",
		rule:       policyRule("promotions.mainstem.dev", "may not change the owners of a Promotion "),
		as:         tess,
		refused:    updating(promotion, owned),
		acceptedAs: tess,
		accepted:   updating(promotion, labelled),
	},
	{
		name:     "in another's name",
		rule:     policyRule("promotions.mainstem.dev", "promote in your own name"),
		as:       bob,
		refused:  creating(promotion, requestedBy(alice)),
		accepted: creating(promotion, requestedBy(bob)),
	},
	{
		name:     "in Mainstem's name",
		rule:     policyRule("promotions.mainstem.dev", "promote in your own name"),
		as:       alice,
		refused:  creating(promotion, requestedBy(mainstem)),
		accepted: creating(promotion, requestedBy(alice)),
	},
	{
		name:       "a superuser in another's name",
		rule:       policyRule("promotions.mainstem.dev", "promote in your own name"),
		as:         superuser,
		refused:    creating(promotion, requestedBy(alice)),
		acceptedAs: superuser,
		accepted:   creating(promotion, requestedBy(superuser)),
	},
	{
		name:       "without the verb, as administrator of the namespace",
		rule:       policyRule("promotions.mainstem.dev", "may not promote into Environment "),
		as:         tess,
		refused:    creating(promotion, requestedBy(tess)),
		acceptedAs: alice,
		accepted:   creating(promotion),
	},
	{
		name:     "with the verb on another environment",
		rule:     policyRule("promotions.mainstem.dev", "may not promote into Environment "),
		as:       alice,
		refused:  creating(promotion, func(p *v1alpha1.Promotion) { p.Spec.Environment = "production" }),
		accepted: creating(promotion),
	},
	{
		name:       "past gates",
		rule:       policyRule("promotions.mainstem.dev", "take spec.bypass away, or ask for the verb bypass"),
		as:         alice,
		refused:    creating(promotion, bypass),
		acceptedAs: bob,
		accepted:   creating(promotion, bypass, requestedBy(bob)),
	},
	{
		name:    "Mainstem past gates",
		rule:    policyRule("promotions.mainstem.dev", "may not bypass gates of Environment "),
		as:      mainstem,
		refused: creating(promotion, bypass, requestedBy(mainstem)),
		// It may promote into every Environment.
		accepted: creating(promotion, requestedBy(mainstem), func(p *v1alpha1.Promotion) { p.Spec.Environment = "production" }),
	},
}

// approvalPolicyRefusals are Approvals that somebody may not create.
var approvalPolicyRefusals = []refusal{
	{
		name:       "a service account, in its own name and with the verb",
		rule:       policyRule("approvals.mainstem.dev", "only people approve: have a person create this Approval"),
		as:         robot,
		refused:    creating(approval, approver(robot)),
		acceptedAs: alice,
		accepted:   creating(approval),
	},
	{
		name:     "in another's name",
		rule:     policyRule("approvals.mainstem.dev", "approve in your own name"),
		as:       alice,
		refused:  creating(approval, approver(bob)),
		accepted: creating(approval, approver(alice)),
	},
	{
		name:     "a superuser in another's name",
		rule:     policyRule("approvals.mainstem.dev", "approve in your own name"),
		as:       superuser,
		refused:  creating(approval, approver(alice)),
		accepted: creating(approval, approver(superuser)),
	},
	{
		name:       "without the verb, as administrator of the namespace",
		rule:       policyRule("approvals.mainstem.dev", "ask for the verb approve on environments.mainstem.dev/"),
		as:         tess,
		refused:    creating(approval, approver(tess)),
		acceptedAs: alice,
		accepted:   creating(approval),
	},
	{
		name:     "with the verb on another environment",
		rule:     policyRule("approvals.mainstem.dev", "may not approve for Environment "),
		as:       alice,
		refused:  creating(approval, func(a *v1alpha1.Approval) { a.Spec.Environment = "production" }),
		accepted: creating(approval),
	},
}

// holdPolicyRefusals are Holds that somebody may not create, delete, or have deleted.
var holdPolicyRefusals = []refusal{
	{
		name:     "in another's name",
		rule:     policyRule("holds.mainstem.dev", "hold in your own name"),
		as:       alice,
		refused:  creating(hold, createdBy(bob)),
		accepted: creating(hold, createdBy(alice)),
	},
	{
		name:       "without the verb, as administrator of the namespace",
		rule:       policyRule("holds.mainstem.dev", "may not hold Environment "),
		as:         tess,
		refused:    creating(hold, createdBy(tess)),
		acceptedAs: alice,
		accepted:   creating(hold),
	},
	{
		name:     "with the verb on another environment",
		rule:     policyRule("holds.mainstem.dev", "may not hold Environment "),
		as:       alice,
		refused:  creating(hold, func(h *v1alpha1.Hold) { h.Spec.Environment = "production" }),
		accepted: creating(hold),
	},
	{
		name:       "resuming without the verb",
		rule:       policyRule("holds.mainstem.dev", "have this Hold deleted by somebody who has the verb"),
		as:         tess,
		refused:    deleting(hold),
		acceptedAs: alice,
		accepted:   deleting(hold),
	},
	{
		name:       "resuming with the verb on another environment",
		rule:       policyRule("holds.mainstem.dev", "have this Hold deleted by somebody who has the verb"),
		as:         alice,
		refused:    deleting(holdOnProduction),
		acceptedAs: robot,
		accepted:   deleting(holdOnProduction),
	},
	{
		name:       "resuming everything without the verb",
		rule:       policyRule("holds.mainstem.dev", "may not resume Environment "),
		as:         tess,
		refused:    deletingAll(hold),
		acceptedAs: namespaceController,
		accepted:   deletingAll(hold),
	},
	{
		name:       "resuming by way of the garbage collector",
		rule:       policyRule("holds.mainstem.dev", "leave metadata.ownerReferences as they are"),
		as:         tess,
		refused:    updating(hold, owned),
		acceptedAs: tess,
		accepted:   updating(hold, labelled),
	},
}

func approver(u user) func(*v1alpha1.Approval) {
	return func(a *v1alpha1.Approval) { a.Spec.Approver = string(u) }
}

func createdBy(u user) func(*v1alpha1.Hold) {
	return func(h *v1alpha1.Hold) { h.Spec.CreatedBy = string(u) }
}

// owned makes an object belong to one that does not exist, so that the garbage collector deletes it.
func owned[T client.Object](object T) {
	object.SetOwnerReferences([]metav1.OwnerReference{
		{APIVersion: "v1", Kind: "ConfigMap", Name: "gone", UID: "00000000-0000-0000-0000-000000000000"},
	})
}

// ledgerPolicyRefusals are attempts of a tenant, and of others, to write the ledger.
var ledgerPolicyRefusals = []refusal{
	{
		name:       "a forged release",
		rule:       policyRule("releases.mainstem.dev", "push a commit to the branch"),
		as:         tess,
		refused:    creating(release),
		acceptedAs: mainstem,
		accepted:   creating(release),
	},
	{
		name:       "a superuser's release",
		rule:       policyRule("releases.mainstem.dev", "only Mainstem makes Releases"),
		as:         superuser,
		refused:    creating(release),
		acceptedAs: mainstem,
		accepted:   creating(release),
	},
	{
		name:       "a release that is marked",
		rule:       policyRule("releases.mainstem.dev", "to let a rejected Release in, create a Promotion"),
		as:         tess,
		refused:    updating(release, labelled),
		acceptedAs: garbageCollector,
		accepted:   updating(release, owned),
	},
	{
		name:       "a rejected release that is forgotten",
		rule:       policyRule("releases.mainstem.dev", "they go when they are old, and with their Application"),
		as:         tess,
		refused:    deleting(release),
		acceptedAs: garbageCollector,
		accepted:   deleting(release),
	},
	{
		name:       "all releases forgotten",
		rule:       policyRule("releases.mainstem.dev", "only Mainstem deletes Releases"),
		as:         tess,
		refused:    deletingAll(release),
		acceptedAs: namespaceController,
		accepted:   deletingAll(release),
	},
	{
		name:       "proof that is forged",
		rule:       policyRule("status.mainstem.dev", "only Mainstem writes the status of "),
		as:         tess,
		refused:    updatingStatus(release, proven),
		acceptedAs: mainstem,
		accepted:   updatingStatus(release, proven),
	},
	{
		name:       "a promotion that says it succeeded",
		rule:       policyRule("status.mainstem.dev", "create a Promotion, an Approval or a Hold instead"),
		as:         alice,
		refused:    updatingStatus(promotion, succeeded),
		acceptedAs: mainstem,
		accepted:   updatingStatus(promotion, succeeded),
	},
	{
		name:       "an application that says it is healthy",
		rule:       policyRule("status.mainstem.dev", "only Mainstem writes the status of "),
		as:         tess,
		refused:    updatingStatus(application, healthy),
		acceptedAs: mainstem,
		accepted:   updatingStatus(application, healthy),
	},
	{
		name:       "an environment's status by a superuser",
		rule:       policyRule("status.mainstem.dev", "only Mainstem writes the status of "),
		as:         superuser,
		refused:    updatingStatus(environment, counted),
		acceptedAs: mainstem,
		accepted:   updatingStatus(environment, counted),
	},
}

func proven(r *v1alpha1.Release) {
	now := metav1.Now()
	r.Status.Environments = []v1alpha1.LedgerEntry{{Name: "develop", ProvenAt: &now}}
}

func succeeded(p *v1alpha1.Promotion) { p.Status.Phase = v1alpha1.PromotionSucceeded }

func healthy(a *v1alpha1.Application) {
	a.Status.Environments = []v1alpha1.EnvironmentState{{Name: "develop", Current: &v1alpha1.CurrentRelease{Commit: commit, Healthy: metav1.ConditionTrue}}}
}

func counted(e *v1alpha1.Environment) { e.Status.Applications = &v1alpha1.ApplicationCount{Total: 1} }

// TestCleanersPass : what Kubernetes itself has to be able to do when an owner or a namespace goes.
func TestCleanersPass(t *testing.T) {
	deletions := map[string]attempt{
		"delete a hold":          deleting(hold),
		"delete a release":       deleting(release),
		"delete a promotion":     deleting(promotion),
		"delete an approval":     deleting(approval),
		"delete a kustomization": deleting(kustomization),
		"delete a gitrepository": deleting(gitRepository),
	}
	changes := map[string]attempt{
		"disown a hold":          updating(hold, owned),
		"disown a promotion":     updating(promotion, owned),
		"disown a release":       updating(release, owned),
		"disown a kustomization": updating(kustomization, owned),
	}
	collections := map[string]attempt{
		"delete all holds":           deletingAll(hold),
		"delete all promotions":      deletingAll(promotion),
		"delete all releases":        deletingAll(release),
		"delete all kustomizations":  deletingAll(kustomization),
		"delete all gitrepositories": deletingAll(gitRepository),
	}
	for cleaner, attempts := range map[user][]map[string]attempt{
		garbageCollector:    {deletions, changes},
		controllerManager:   {deletions, changes},
		namespaceController: {deletions, collections},
	} {
		for _, some := range attempts {
			for name, try := range some {
				t.Run(string(cleaner)+"/"+name, func(t *testing.T) { expectAccepted(t, cleaner, try) })
			}
		}
	}
}

// TestMainstemWritesItsObjects : none of the identity rules stands in the way of Mainstem's labels and finalizers on what
// people made.
func TestMainstemWritesItsObjects(t *testing.T) {
	for name, try := range map[string]attempt{
		"label a promotion":       patching(promotion, `{"metadata":{"labels":{"mainstem.dev/application":"podinfo"}}}`),
		"finalize an application": patching(application, `{"metadata":{"finalizers":["mainstem.dev/finalizer"]}}`),
		"wake an application":     patching(application, `{"metadata":{"annotations":{"reconcile.fluxcd.io/requestedAt":"now"}}}`),
		"label a release":         patching(release, `{"metadata":{"labels":{"mainstem.dev/application":"podinfo"}}}`),
		"delete a promotion":      deleting(promotion),
		"pin a kustomization":     patching(kustomization, `{"spec":{"sourceRef":{"name":"other"}}}`),
		"delete a gitrepository":  deleting(gitRepository),
	} {
		t.Run(name, func(t *testing.T) { expectAccepted(t, mainstem, try) })
	}
}

func expectAccepted(t *testing.T, as user, try attempt) {
	t.Helper()
	g := NewWithT(t)
	asker, err := as.client()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(try(t.Context(), asker)).To(Succeed())
}
