//go:build e2e

package e2e

import (
	"testing"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

const signOff = "gates: [{name: ci, checks: {required: [build]}}, {name: sign-off, approval: {required: 1}}]"

func TestAnApprovalCountsBySomebodyWhoMayAndByNobodyElse(t *testing.T) {
	w, first := twoStages(t, signOff)
	w.passes(first, "build")
	promotion := w.asks("main", first)
	w.waits("main", "approval (0 of 1)")

	_, err := w.person("bob", "promote").decides(promotion, v1alpha1.DecisionApprove)
	w.Expect(err).To(And(MatchError(apierrors.IsForbidden, "IsForbidden"),
		MatchError(ContainSubstring("ask for the verb approve on environments.mainstem.dev/"+string(w.Env("main"))))))
	_, err = w.robot("approve").decides(promotion, v1alpha1.DecisionApprove)
	w.Expect(err).To(And(MatchError(apierrors.IsForbidden, "IsForbidden"), MatchError(ContainSubstring("is a service account, and only people approve"))))
	w.staysEmpty("main")

	anna := w.person("anna", "approve")
	_, err = anna.decides(promotion, v1alpha1.DecisionApprove)
	w.Expect(err).NotTo(HaveOccurred())
	w.runs("main", first)
	w.Expect(w.succeeds("main", w.release(first)).Status.Gates).To(ContainElement(And(
		HaveField("Name", "environment/sign-off"), HaveField("Message", "approved by "+anna.Name))))
}

func TestAnApprovalIsVoidForAnotherPromotion(t *testing.T) {
	w, first := twoStages(t, signOff)
	anna := w.person("anna", "approve")
	w.passes(first, "build")
	_, err := anna.decides(w.asks("main", first), v1alpha1.DecisionApprove)
	w.Expect(err).NotTo(HaveOccurred())
	w.runs("main", first)

	// One that is superseded: nobody had approved it, and an approval that comes too late is about something that is over.
	second := w.writes("develop", "second")
	overtaken := w.asks("main", second)
	third := w.writes("develop", "third")
	w.comesTo("main", w.release(second), v1alpha1.PromotionSuperseded, v1alpha1.SupersededReason)
	_, err = anna.decides(overtaken, v1alpha1.DecisionApprove)
	w.Expect(err).NotTo(HaveOccurred())
	w.passes(second, "build")
	w.passes(third, "build")
	promotion := w.asks("main", third)
	w.staysAt("main", first)
	w.waits("main", "approval (0 of 1)")

	// One that is deleted and made again, with the same name and another UID: the operator makes it.
	_, err = anna.decides(promotion, v1alpha1.DecisionApprove)
	w.Expect(err).NotTo(HaveOccurred())
	w.runs("main", third)
	fourth := w.writes("develop", "fourth")
	promotion = w.asks("main", fourth)
	_, err = anna.decides(promotion, v1alpha1.DecisionApprove)
	w.Expect(err).NotTo(HaveOccurred())
	w.waits("main", "checks: build")
	paula := w.person("paula", "promote")
	w.Expect(paula.Client.Delete(t.Context(), promotion)).To(Succeed())
	again := &v1alpha1.Promotion{}
	w.Eventually(func(g Gomega) {
		g.Expect(w.Admin.Get(t.Context(), client.ObjectKeyFromObject(promotion), again)).To(Succeed())
		g.Expect(again.UID).NotTo(Equal(promotion.UID))
	}).Should(Succeed(), "the operator makes it again")
	w.passes(fourth, "build")
	w.waits("main", "approval (0 of 1)")
	w.staysAt("main", third)

	_, err = anna.decides(again, v1alpha1.DecisionApprove)
	w.Expect(err).NotTo(HaveOccurred())
	w.runs("main", fourth)
}
