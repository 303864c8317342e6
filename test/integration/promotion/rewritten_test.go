// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package promotion

import (
	"context"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apimeta "k8s.io/apimachinery/pkg/api/meta"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/test/apiserver"
	"github.com/mainstem-dev/mainstem/test/flux"
)

// rewrites makes a commit on top of another one and forces a branch to it: what the branch had besides is lost.
func (w *world) rewrites(branch, onto, message string) string {
	GinkgoHelper()
	sha := w.drafts(onto, message)
	Expect(w.repository.ForcePush(branch, sha)).To(Succeed())
	return sha
}

// forgets has Flux lose the source of a commit that nothing runs any more, as Mainstem removes it after a while.
func (w *world) forgets(ctx context.Context, source string) {
	GinkgoHelper()
	if found := w.source(ctx, source); found != nil {
		Expect(account(apiserver.SourceController).Delete(ctx, found)).To(Succeed())
	}
	w.looksAgain(ctx)
	Expect(w.source(ctx, source)).To(BeNil())
}

var _ = Describe("A branch that somebody rewrites", func() {
	It("is followed, and a rollback to what it has lost works while Flux has it, and is refused afterwards", func(ctx SpecContext) {
		w := newWorld(ctx)
		first := w.commit("main", "first")
		w.environment(ctx, "develop", "")
		w.application(ctx, "- {name: develop#, source: {branch: main}}")
		w.runs(ctx, "develop", first)
		second := w.commit("main", "second")
		w.runs(ctx, "develop", second)
		lost := w.made(ctx, "develop").Spec.SourceRef.Name
		third := w.rewrites("main", first, "third")
		w.runs(ctx, "develop", third)

		By("while Flux has it")
		paula := w.person(ctx, "paula", "promote")
		back, err := paula.promotes(ctx, "develop", w.release(second), rollingBack)
		Expect(err).NotTo(HaveOccurred())
		w.reaches(ctx, back, v1alpha1.PromotionSucceeded, v1alpha1.SucceededReason)
		w.runs(ctx, "develop", second)
		fourth := w.commit("main", "fourth")
		w.runs(ctx, "develop", fourth)

		By("and afterwards")
		w.forgets(ctx, lost)
		before := w.objects(ctx)
		again, err := paula.promotes(ctx, "develop", w.release(second), rollingBack)
		Expect(err).NotTo(HaveOccurred())
		refused := w.reaches(ctx, again, v1alpha1.PromotionCancelled, v1alpha1.CommitUnreachableReason)
		Expect(refused.Status.Message).To(And(
			ContainSubstring("branch main was rewritten and does not lead to "+second[:7]), ContainSubstring("promote a release that the branch has")))
		w.staysAt(ctx, "develop", fourth)
		Expect(w.objects(ctx)).To(Equal(before))
		Expect(w.ledger(ctx, "develop", w.release(fourth)).RejectedAt).To(BeNil(), "it was not replaced")

		By("not refusing what the branch still has")
		_, err = paula.promotes(ctx, "develop", w.release(first), rollingBack)
		Expect(err).NotTo(HaveOccurred())
		w.runs(ctx, "develop", first)

		By("and once it has that again")
		Expect(w.repository.ForcePush("main", second)).To(Succeed())
		w.looksAgain(ctx)
		_, err = paula.promotes(ctx, "develop", w.release(second), rollingBack)
		Expect(err).NotTo(HaveOccurred())
		w.runs(ctx, "develop", second)
	}, SpecTimeout(specLimit))

	It("is missing where somebody deletes it: told, and what it has brought goes on running", func(ctx SpecContext) {
		w := newWorld(ctx)
		first := w.firstCommit()
		w.environment(ctx, "main", "")
		w.declare(ctx, "- {name: main#, source: {branch: develop}}")
		w.runs(ctx, "main", first)
		w.settles(ctx, first, "main", "success")
		before := w.objects(ctx)
		Expect(w.repository.DeleteBranch("develop")).To(Succeed())
		w.refused(ctx, v1alpha1.BranchNotFoundReason, "no branch develop", "push it", "main#")
		w.polls(ctx, 2)
		Expect(w.objects(ctx)).To(Equal(before))
		Expect(w.state(ctx, "main").Current).To(HaveField("Commit", first))

		Expect(w.repository.CreateBranch("develop", first)).To(Succeed())
		w.runs(ctx, "main", w.commit("develop", "second"))
	}, SpecTimeout(specLimit))

	It("ends a deploy whose commit Flux can fetch no more, and what is there now goes in", func(ctx SpecContext) {
		w := newWorld(ctx)
		first := w.commit("main", "first")
		w.environment(ctx, "develop", "")
		w.application(ctx, "- {name: develop#, source: {branch: main}}")
		w.runs(ctx, "develop", first)
		before, err := w.kustomization(ctx, "develop")
		Expect(err).NotTo(HaveOccurred())
		second := w.found(ctx, "second", flux.Unfetched)
		deploying := w.comesTo(ctx, "develop", w.release(second), v1alpha1.PromotionDeploying, v1alpha1.DeployingReason)
		w.waits(ctx, "develop", "object not found")
		now, err := w.kustomization(ctx, "develop")
		Expect(err).NotTo(HaveOccurred())
		Expect(now.Spec).To(Equal(before.Spec), "what runs is left alone")

		third := w.rewrites("main", first, "third")
		ended := w.reaches(ctx, &deploying, v1alpha1.PromotionCancelled, v1alpha1.CommitUnreachableReason)
		Expect(ended.Status.Message).To(ContainSubstring("does not lead to " + second[:7]))
		w.runs(ctx, "develop", third)
		Expect(w.ledger(ctx, "develop", w.release(second)).RejectedAt).To(BeNil(), "nobody has tried it")
	}, SpecTimeout(specLimit))

	It("keeps what was approved downstream out, told as such, until it is there again", func(ctx SpecContext) {
		w, first := twoStages(ctx, signOff)
		w.runs(ctx, "develop", first)
		anna := w.person(ctx, "anna", "approve")
		_, err := anna.decides(ctx, w.asks(ctx, "main", first), v1alpha1.DecisionApprove)
		Expect(err).NotTo(HaveOccurred())
		w.runs(ctx, "main", first)
		second := w.commit("main", "second")
		waiting := w.asks(ctx, "main", second)
		lost := w.made(ctx, "develop").Spec.SourceRef.Name

		By("rewriting it to something that does not become healthy, so that nothing takes its place")
		third := w.drafts(first, "third")
		Expect(fluxStub.Find(ctx, third, flux.Unhealthy)).To(Succeed())
		Expect(w.repository.ForcePush("main", third)).To(Succeed())
		w.comesTo(ctx, "develop", w.release(third), v1alpha1.PromotionFailed, v1alpha1.FluxFailedReason)
		w.forgets(ctx, lost)
		stalled := w.reaches(ctx, &waiting, v1alpha1.PromotionPending, v1alpha1.CommitUnreachableReason)
		Expect(apimeta.IsStatusConditionTrue(stalled.Status.Conditions, v1alpha1.StalledCondition)).To(BeTrue())
		w.waits(ctx, "main", "branch main was rewritten and does not lead to "+second[:7])
		_, err = anna.decides(ctx, waiting, v1alpha1.DecisionApprove)
		Expect(err).NotTo(HaveOccurred())
		w.staysAt(ctx, "main", first)

		Expect(w.repository.ForcePush("main", second)).To(Succeed())
		w.runs(ctx, "main", second)
		w.reaches(ctx, &waiting, v1alpha1.PromotionSucceeded, v1alpha1.SucceededReason)
	}, SpecTimeout(specLimit))
})
