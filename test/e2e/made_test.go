//go:build e2e

package e2e

import (
	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// withoutMarks matches an object that carries no label or annotation of Mainstem's.
func withoutMarks() gomegatypes.GomegaMatcher {
	ours := HavePrefix(v1alpha1.Group + "/")
	return And(HaveField("Labels", Not(HaveKey(ours))), HaveField("Annotations", Not(HaveKey(ours))))
}

// made is the Kustomization that was made for an environment.
func (w *team) made(env string) *kustomizev1.Kustomization {
	w.t.Helper()
	found, err := w.kustomization(env)
	w.Expect(err).NotTo(HaveOccurred())
	return found
}

// deployed is the object that Flux has applied in the target namespace of an environment.
func (w *team) deployed(env string) *corev1.ConfigMap {
	w.t.Helper()
	found := &corev1.ConfigMap{}
	w.Expect(w.Admin.Get(w.t.Context(), client.ObjectKey{Namespace: w.target(env), Name: w.app}, found)).To(Succeed())
	return found
}

// isPruned waits until nothing is left of what was made for an environment, and Flux has deleted what it had applied there.
func (w *team) isPruned(env string) {
	w.t.Helper()
	w.Eventually(func(g Gomega) {
		_, err := w.kustomization(env)
		g.Expect(apierrors.IsNotFound(err)).To(BeTrue(), "the Kustomization: %v", err)
		g.Expect(w.applied(env)).To(BeEmpty())
	}).Should(Succeed(), "%s is empty", env)
}

// reconciles has Flux apply what an environment runs once more, as it does at its interval.
func (w *team) reconciles(env string) {
	w.t.Helper()
	w.handles(w.made(env))
	w.Eventually(func(g Gomega) {
		made := w.made(env)
		g.Expect(apimeta.IsStatusConditionTrue(made.Status.Conditions, meta.ReadyCondition)).To(BeTrue())
	}).Should(Succeed(), "Flux reconciles %s", env)
}

// refused waits until an environment is not accepted, for this reason and in a sentence with all of these words, and the Application
// says so too.
func (w *team) refused(env, reason string, words ...string) {
	w.t.Helper()
	w.Eventually(func(g Gomega) {
		state := w.state(env)
		accepted := apimeta.FindStatusCondition(state.Conditions, v1alpha1.AcceptedCondition)
		g.Expect(accepted).To(HaveValue(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", reason))))
		for _, word := range words {
			g.Expect(accepted.Message).To(ContainSubstring(word))
		}
		g.Expect(state.WaitingFor).To(Equal(accepted.Message))
		ready := apimeta.FindStatusCondition(w.read().Status.Conditions, v1alpha1.ReadyCondition)
		g.Expect(ready).To(HaveValue(And(HaveField("Status", metav1.ConditionFalse), HaveField("Reason", v1alpha1.NotAcceptedReason))))
		g.Expect(w.read().Status.Summary).To(ContainSubstring(string(w.Env(env))))
	}).Should(Succeed(), "%s is refused", env)
}
