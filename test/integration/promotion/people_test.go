// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package promotion

import (
	"context"
	"fmt"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/test/apiserver"
	"github.com/mainstem-dev/mainstem/test/flux"
)

const signOff = "gates: [{name: sign-off, approval: {required: 1}}]"

// twoStages is a world whose main comes after develop and gets the very commit; main is the YAML of that Environment's spec.
func twoStages(ctx context.Context, main string) (w *world, first string) {
	GinkgoHelper()
	w = newWorld(ctx)
	first = w.commit("main", "first")
	w.environment(ctx, "develop", "")
	w.environment(ctx, "main", main, "develop")
	w.application(ctx, `
- {name: develop#, source: {branch: main}}
- {name: main#}
`)
	return w, first
}

var _ = Describe("An approval", func() {
	It("lets a release in when it is by somebody who may", func(ctx SpecContext) {
		w, sha := twoStages(ctx, signOff)
		w.waits(ctx, "main", "approval (0 of 1)")
		promotion := w.asks(ctx, "main", sha)

		By("refusing those who may not, and those who are nobody")
		_, err := w.person(ctx, "bob", "promote").decides(ctx, promotion, v1alpha1.DecisionApprove)
		Expect(err).To(MatchError(apierrors.IsForbidden, "IsForbidden"))
		Expect(err).To(MatchError(ContainSubstring("ask for the verb approve on environments.mainstem.dev/" + string(w.env("main")))))
		_, err = w.robot(ctx, "approve").decides(ctx, promotion, v1alpha1.DecisionApprove)
		Expect(err).To(MatchError(ContainSubstring("is a service account, and only people approve")))
		anna := w.person(ctx, "anna", "approve")
		somebody := *anna.Person
		somebody.Name = "somebody"
		_, err = (&person{Person: &somebody, world: w}).decides(ctx, promotion, v1alpha1.DecisionApprove)
		Expect(err).To(MatchError(ContainSubstring("approve in your own name")))
		w.staysEmpty(ctx, "main")

		_, err = anna.decides(ctx, promotion, v1alpha1.DecisionApprove)
		Expect(err).NotTo(HaveOccurred())
		w.runs(ctx, "main", sha)
		gates := w.comesTo(ctx, "main", w.release(sha), v1alpha1.PromotionSucceeded, v1alpha1.SucceededReason).Status.Gates
		Expect(gates).To(ContainElement(And(HaveField("Name", "environment/sign-off"), HaveField("Message", "approved by "+anna.Name))))
	}, SpecTimeout(specLimit))

	It("does not count for another Promotion, Environment or UID, nor when it is withdrawn", func(ctx SpecContext) {
		w, first := twoStages(ctx, "gates: [{name: sign-off, approval: {required: 2}}]")
		promotion := w.asks(ctx, "main", first)
		anna, bert := w.person(ctx, "anna", "approve"), w.person(ctx, "bert", "approve")

		By("counting one person once")
		_, err := anna.decides(ctx, promotion, v1alpha1.DecisionApprove)
		Expect(err).NotTo(HaveOccurred())
		again, err := anna.decides(ctx, promotion, v1alpha1.DecisionApprove)
		Expect(err).NotTo(HaveOccurred())
		w.waits(ctx, "main", "approval (1 of 2)")

		By("not counting one for another UID")
		other := promotion
		other.UID = "of-a-promotion-long-gone"
		_, err = bert.decides(ctx, other, v1alpha1.DecisionApprove)
		Expect(err).NotTo(HaveOccurred())
		other = promotion
		other.Spec.Environment = w.env("develop")
		_, err = bert.decides(ctx, other, v1alpha1.DecisionApprove)
		Expect(err).NotTo(HaveOccurred())
		w.looksAgain(ctx)
		w.waits(ctx, "main", "approval (1 of 2)")
		Expect(w.gate(ctx, "main", "environment/sign-off").Message).To(ContainSubstring("does not count: write promotionUID " + string(promotion.UID)))

		By("not counting one that is withdrawn")
		Expect(anna.Client.Delete(ctx, again)).To(Succeed())
		_, err = bert.decides(ctx, promotion, v1alpha1.DecisionApprove)
		Expect(err).NotTo(HaveOccurred())
		w.runs(ctx, "main", first)

		second := w.commit("main", "second")
		next := w.asks(ctx, "main", second)
		w.waits(ctx, "main", "approval (0 of 2)")
		approval, err := anna.decides(ctx, next, v1alpha1.DecisionApprove)
		Expect(err).NotTo(HaveOccurred())
		w.waits(ctx, "main", "approval (1 of 2)")
		Expect(anna.Client.Delete(ctx, approval)).To(Succeed())
		w.waits(ctx, "main", "approval (0 of 2)")
		_, err = bert.decides(ctx, next, v1alpha1.DecisionApprove)
		Expect(err).NotTo(HaveOccurred())
		w.staysAt(ctx, "main", first)
		w.waits(ctx, "main", "approval (1 of 2)")
	}, SpecTimeout(specLimit))

	It("by whoever asked for the promotion does not count", func(ctx SpecContext) {
		w, sha := twoStages(ctx, "promotion: Manual\n"+signOff)
		w.runs(ctx, "develop", sha)
		paula := w.person(ctx, "paula", "promote", "approve")
		promotion, err := paula.promotes(ctx, "main", w.release(sha))
		Expect(err).NotTo(HaveOccurred())
		_, err = paula.decides(ctx, *promotion, v1alpha1.DecisionApprove)
		Expect(err).NotTo(HaveOccurred())
		w.waits(ctx, "main", "approval (0 of 1)")
		w.staysEmpty(ctx, "main")

		_, err = w.person(ctx, "anna", "approve").decides(ctx, *promotion, v1alpha1.DecisionApprove)
		Expect(err).NotTo(HaveOccurred())
		w.runs(ctx, "main", sha)
	}, SpecTimeout(specLimit))

	It("that rejects ends the promotion, and the release stays out", func(ctx SpecContext) {
		w, first := twoStages(ctx, signOff)
		anna := w.person(ctx, "anna", "approve")
		_, err := anna.decides(ctx, w.asks(ctx, "main", first), v1alpha1.DecisionReject)
		Expect(err).NotTo(HaveOccurred())
		ended := w.comesTo(ctx, "main", w.release(first), v1alpha1.PromotionCancelled, v1alpha1.RejectedReason)
		Expect(ended.Status.Message).To(Equal("rejected by " + anna.Name + ": looked at it"))
		w.staysEmpty(ctx, "main")
		Expect(w.promotions(ctx, "main")).To(HaveLen(1))
		Expect(w.ledger(ctx, "main", w.release(first)).Reason).To(Equal(v1alpha1.RejectedReason))

		By("letting a newer one in")
		second := w.commit("main", "second")
		_, err = anna.decides(ctx, w.asks(ctx, "main", second), v1alpha1.DecisionApprove)
		Expect(err).NotTo(HaveOccurred())
		w.runs(ctx, "main", second)
	}, SpecTimeout(specLimit))

	It("keeps its promotion from being superseded, and does not carry over to the one after", func(ctx SpecContext) {
		w, first := twoStages(ctx, "gates: [{name: ci, checks: {required: [build]}}, {name: sign-off, approval: {required: 1}}]")
		w.asks(ctx, "main", first)
		By("superseding one that nobody has approved")
		second := w.commit("main", "second")
		approved := w.asks(ctx, "main", second)
		w.comesTo(ctx, "main", w.release(first), v1alpha1.PromotionSuperseded, v1alpha1.SupersededReason)

		_, err := w.person(ctx, "anna", "approve").decides(ctx, approved, v1alpha1.DecisionApprove)
		Expect(err).NotTo(HaveOccurred())
		third := w.commit("main", "third")
		w.runs(ctx, "develop", third)
		w.looksAgain(ctx)
		Expect(w.state(ctx, "main").Next).To(HaveField("Commit", second), w.told(ctx))

		w.pass(second, "build")
		w.runs(ctx, "main", second)
		w.pass(third, "build")
		w.asks(ctx, "main", third)
		w.waits(ctx, "main", "approval (0 of 1)")
		w.staysAt(ctx, "main", second)
	}, SpecTimeout(specLimit))
})

var _ = Describe("A Hold", func() {
	It("keeps everything out until it is deleted, for one Application, a namespace, or everybody", func(ctx SpecContext) {
		w, at := twoStages(ctx, "")
		w.runs(ctx, "main", at)
		holly := w.person(ctx, "holly", "hold")
		for _, scope := range []struct {
			what, namespace string
			with            func(*v1alpha1.HoldSpec)
		}{
			{"the Application", w.namespace, func(spec *v1alpha1.HoldSpec) { spec.Application = w.app.Name }},
			{"the namespace", w.namespace, func(*v1alpha1.HoldSpec) {}},
			{"everybody", "mainstem-system", func(*v1alpha1.HoldSpec) {}},
		} {
			By("for " + scope.what)
			hold, err := holly.holds(ctx, scope.namespace, "main", scope.with)
			Expect(err).NotTo(HaveOccurred())
			next := w.commit("main", "while held for "+scope.what)
			w.runs(ctx, "develop", next)
			w.waits(ctx, "main", "hold: an audit")
			w.staysAt(ctx, "main", at)
			Expect(w.gate(ctx, "main", "hold").Message).To(Equal(fmt.Sprintf(
				"held: an audit (%s); delete Hold %s/%s to resume", holly.Name, scope.namespace, hold.Name)))

			Expect(holly.Client.Delete(ctx, hold)).To(Succeed())
			w.runs(ctx, "main", next)
			at = next
		}

		By("not for another Application, or another environment")
		_, err := holly.holds(ctx, w.namespace, "main", func(spec *v1alpha1.HoldSpec) { spec.Application = "other" })
		Expect(err).NotTo(HaveOccurred())
		elsewhere, err := holly.holds(ctx, "mainstem-system", "staging")
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(func(ctx SpecContext) { Expect(admin.Delete(ctx, elsewhere)).To(Succeed()) })
		w.runs(ctx, "main", w.commit("main", "not held"))
	}, SpecTimeout(specLimit))

	It("ends by itself when it says until, and is not lifted or passed by those who may not", func(ctx SpecContext) {
		w, first := twoStages(ctx, "")
		w.runs(ctx, "main", first)
		holly := w.person(ctx, "holly", "hold")
		until := metav1.NewTime(time.Now().Add(4 * time.Second).Truncate(time.Second))
		hold, err := holly.holds(ctx, w.namespace, "main", func(spec *v1alpha1.HoldSpec) { spec.Until = &until })
		Expect(err).NotTo(HaveOccurred())
		second := w.commit("main", "second")
		w.waits(ctx, "main", "hold: an audit")
		Expect(w.gate(ctx, "main", "hold").Until).To(HaveField("Time", BeTemporally("==", until.Time)))

		paula := w.person(ctx, "paula", "promote", "bypass")
		_, err = paula.holds(ctx, w.namespace, "main")
		Expect(err).To(MatchError(ContainSubstring("ask for the verb hold on environments.mainstem.dev/" + string(w.env("main")))))
		Expect(paula.Client.Delete(ctx, hold)).To(MatchError(ContainSubstring("may not resume Environment")))
		_, err = paula.promotes(ctx, "main", w.release(second), bypassing("hold"))
		Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)

		w.runs(ctx, "main", second)
		promotion := w.comesTo(ctx, "main", w.release(second), v1alpha1.PromotionSucceeded, v1alpha1.SucceededReason)
		Expect(promotion.Status.DeployStartedAt.Time).NotTo(BeTemporally("<", until.Time))
	}, SpecTimeout(specLimit))
})

var _ = Describe("A Promotion by hand", func() {
	It("goes back, and what it replaced does not come back by itself", func(ctx SpecContext) {
		w, first := twoStages(ctx, "")
		w.runs(ctx, "main", first)
		second := w.commit("main", "second")
		w.runs(ctx, "main", second)
		third := w.commit("main", "third")
		w.runs(ctx, "main", third)
		paula := w.person(ctx, "paula", "promote")

		By("as a rollback")
		_, err := paula.promotes(ctx, "main", w.release(second), rollingBack)
		Expect(err).NotTo(HaveOccurred())
		w.runs(ctx, "main", second)
		w.comesTo(ctx, "main", w.release(second), v1alpha1.PromotionSucceeded, v1alpha1.SucceededReason)
		w.staysAt(ctx, "main", second)
		Expect(w.ledger(ctx, "main", w.release(third)).Reason).To(Equal(v1alpha1.RolledBackReason))

		By("as a promotion of something older")
		_, err = paula.promotes(ctx, "main", w.release(first))
		Expect(err).NotTo(HaveOccurred())
		w.runs(ctx, "main", first)
		w.staysAt(ctx, "main", first)
		Expect(w.ledger(ctx, "main", w.release(second)).Reason).To(Equal(v1alpha1.RolledBackReason))
		Expect(w.state(ctx, "develop").Current).To(HaveField("Commit", third), "what is upstream stays")

		By("letting a newer release go on")
		fourth := w.commit("main", "fourth")
		w.runs(ctx, "main", fourth)

		By("refusing to go back to what never ran here")
		_, err = paula.promotes(ctx, "develop", w.release(first), rollingBack)
		Expect(err).NotTo(HaveOccurred())
		w.runs(ctx, "develop", first)
		holly := w.person(ctx, "holly", "hold")
		held, err := holly.holds(ctx, w.namespace, "main")
		Expect(err).NotTo(HaveOccurred())
		fifth := w.commit("main", "fifth")
		automatic := w.asks(ctx, "main", fifth)
		back, err := paula.promotes(ctx, "main", w.release(fifth), rollingBack)
		Expect(err).NotTo(HaveOccurred())
		refused := w.reaches(ctx, back, v1alpha1.PromotionCancelled, v1alpha1.NotProvenHereReason)
		Expect(refused.Status.Message).To(ContainSubstring("promote it without rollback"))
		Expect(holly.Client.Delete(ctx, held)).To(Succeed())
		w.runs(ctx, "main", fifth)
		w.reaches(ctx, &automatic, v1alpha1.PromotionSucceeded, v1alpha1.SucceededReason)
	}, SpecTimeout(specLimit))

	It("tries what failed again, and has Flux look at once, although nothing else is to change", func(ctx SpecContext) {
		w, first := twoStages(ctx, "")
		w.runs(ctx, "main", first)
		second := w.found(ctx, "second", flux.Unhealthy)
		release := w.release(second)
		failed := w.comesTo(ctx, "develop", release, v1alpha1.PromotionFailed, v1alpha1.FluxFailedReason)
		before := w.made(ctx, "develop")
		Expect(before.Annotations).To(HaveKeyWithValue(v1alpha1.PromotionAnnotation, failed.Name))

		By("leaving what a person asks of Flux meanwhile")
		asked := before.DeepCopy()
		asked.Annotations[meta.ReconcileRequestAnnotation] = "by-hand"
		Expect(admin.Patch(ctx, asked, client.MergeFrom(before))).To(Succeed())
		w.looksAgain(ctx)
		Expect(w.made(ctx, "develop").Annotations).To(HaveKeyWithValue(meta.ReconcileRequestAnnotation, "by-hand"))

		Expect(fluxStub.Find(ctx, second, flux.Busy)).To(Succeed()) // It takes its time, now that it is asked again.
		again, err := w.person(ctx, "paula", "promote").promotes(ctx, "develop", release)
		Expect(err).NotTo(HaveOccurred())
		w.reaches(ctx, again, v1alpha1.PromotionDeploying, v1alpha1.DeployingReason)
		Eventually(func() map[string]string { return w.made(ctx, "develop").Annotations }).WithContext(ctx).Should(And(
			HaveKeyWithValue(meta.ReconcileRequestAnnotation, again.Name), HaveKeyWithValue(v1alpha1.PromotionAnnotation, again.Name)))
		Expect(w.made(ctx, "develop")).To(And(HaveField("Spec", before.Spec), HaveField("Generation", before.Generation)))
		w.looksAgain(ctx)
		settled := w.made(ctx, "develop").ResourceVersion
		w.looksAgain(ctx)
		Expect(w.made(ctx, "develop").ResourceVersion).To(Equal(settled), "it asks once")

		Expect(fluxStub.Find(ctx, second, flux.Healthy)).To(Succeed())
		w.reaches(ctx, again, v1alpha1.PromotionSucceeded, v1alpha1.SucceededReason)
		w.runs(ctx, "main", second)
	}, SpecTimeout(specLimit))

	It("goes past a gate only by somebody who may, and says who and why", func(ctx SpecContext) {
		w := newWorld(ctx)
		first := w.firstCommit()
		w.environment(ctx, "develop", "")
		w.environment(ctx, "main", "gates: [{name: ci, checks: {required: [build]}}]", "develop")
		w.application(ctx, `
- {name: develop#, source: {branch: develop}}
- {name: main#, source: {branch: main}}
`)
		w.pass(first, "build")
		w.runs(ctx, "main", first)
		hotfix := w.write("main", "hotfix", "hotfix")
		w.waits(ctx, "main", "is not proven in "+string(w.env("develop")))
		release := w.release(hotfix)

		_, err := w.person(ctx, "bob", "promote").promotes(ctx, "main", release, bypassing("proven"))
		Expect(err).To(MatchError(ContainSubstring("ask for the verb bypass on environments.mainstem.dev/" + string(w.env("main")))))
		_, err = w.person(ctx, "mallory", "bypass").promotes(ctx, "main", release, bypassing("proven"))
		Expect(err).To(MatchError(ContainSubstring("ask for the verb promote on environments.mainstem.dev/" + string(w.env("main")))))
		w.staysAt(ctx, "main", first)

		By("past the gates that it names, and no other")
		paula := w.person(ctx, "paula", "promote", "bypass")
		_, err = paula.promotes(ctx, "main", release, bypassing("proven"))
		Expect(err).NotTo(HaveOccurred())
		w.waits(ctx, "main", "checks: build")
		Expect(w.gate(ctx, "main", "proven")).To(And(HaveField("Reason", "Bypassed"), HaveField("Message", "bypassed by "+paula.Name+": somebody has to")))
		w.staysAt(ctx, "main", first)
		w.pass(hotfix, "build")
		w.runs(ctx, "main", hotfix)
		Expect(w.attempt(ctx, "main", release).Status.Proof).To(Equal("None"))
		Expect(w.ledger(ctx, "main", release).Proof).To(Equal("None"))
	}, SpecTimeout(specLimit))

	It("of what is not there ends in a sentence", func(ctx SpecContext) {
		w, first := twoStages(ctx, signOff)
		automatic := w.asks(ctx, "main", first)
		other := w.called("other")
		w.submit(ctx, other.draft("- {name: develop#, source: {branch: main}}"))
		other.runs(ctx, "develop", first)
		paula := w.person(ctx, "paula", "promote")
		for _, release := range []string{"podinfo-000000000000", "podinfo-ffffffffffff", other.release(first)} {
			_, err := paula.promotes(ctx, "main", release)
			Expect(err).NotTo(HaveOccurred())
			ended := w.comesTo(ctx, "main", release, v1alpha1.PromotionCancelled, v1alpha1.ReleaseNotFoundReason)
			Expect(ended.Status.Message).To(Equal(
				"Application podinfo has no Release " + release + ": see kubectl get releases, and create a Promotion of one of them"))
		}

		By("past a gate that is not there")
		bold := w.person(ctx, "bold", "promote", "bypass")
		mistyped, err := bold.promotes(ctx, "main", w.release(first), bypassing("proven", "environment/sign-of"))
		Expect(err).NotTo(HaveOccurred())
		refused := w.reaches(ctx, mistyped, v1alpha1.PromotionCancelled, v1alpha1.GateNotFoundReason)
		Expect(refused.Status.Message).To(And(ContainSubstring("environment/sign-of, which is no gate"), ContainSubstring("one of environment/sign-off, proven")))

		By("into an Environment that the Application does not list")
		lost, err := paula.promotes(ctx, "nowhere", w.release(first))
		Expect(err).NotTo(HaveOccurred())
		refused = w.reaches(ctx, lost, v1alpha1.PromotionCancelled, v1alpha1.EnvironmentGoneReason)
		Expect(refused.Status.Message).To(Equal("the Application does not list Environment " + string(w.env("nowhere"))))

		By("for an Application that is not there either")
		_, err = paula.promotes(ctx, "main", "gone-000000000000", func(spec *v1alpha1.PromotionSpec) { spec.Application = "gone" })
		Expect(err).NotTo(HaveOccurred())
		ended := w.called("gone").comesTo(ctx, "main", "gone-000000000000", v1alpha1.PromotionCancelled, v1alpha1.ApplicationGoneReason)
		Expect(ended.Status.Message).To(ContainSubstring("there is no Application gone in namespace " + w.namespace))

		By("in nobody's name but one's own")
		_, err = paula.promotes(ctx, "main", w.release(first), func(spec *v1alpha1.PromotionSpec) { spec.RequestedBy = apiserver.Operator })
		Expect(err).To(MatchError(ContainSubstring("promote in your own name")))

		By("without taking the place of what waits")
		w.staysEmpty(ctx, "main")
		_, err = w.person(ctx, "anna", "approve").decides(ctx, automatic, v1alpha1.DecisionApprove)
		Expect(err).NotTo(HaveOccurred())
		w.reaches(ctx, &automatic, v1alpha1.PromotionSucceeded, v1alpha1.SucceededReason)
	}, SpecTimeout(specLimit))
})
