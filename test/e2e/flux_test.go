//go:build e2e

package e2e

import (
	"fmt"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// kustomization reads what was made for an environment.
func (w *team) kustomization(env string) (*kustomizev1.Kustomization, error) {
	return w.its().Kustomization(w.t.Context(), env)
}

// pinned is the commit that Flux is told to run in an environment; empty where it is told nothing.
func (w *team) pinned(env string) string {
	w.t.Helper()
	if _, err := w.kustomization(env); apierrors.IsNotFound(err) {
		return ""
	}
	return w.source(env).Spec.Reference.Commit
}

// source reads what the Kustomization of an environment refers to.
func (w *team) source(env string) *sourcev1.GitRepository {
	w.t.Helper()
	applier, err := w.kustomization(env)
	w.Expect(err).NotTo(HaveOccurred())
	source := &sourcev1.GitRepository{}
	w.Expect(w.Admin.Get(w.t.Context(), client.ObjectKey{Namespace: w.Namespace, Name: applier.Spec.SourceRef.Name}, source)).To(Succeed())
	return source
}

// applied is the commit that the objects in the target namespace of an environment say that they are of; empty where there are none.
func (w *team) applied(env string) string {
	w.t.Helper()
	found := &corev1.ConfigMap{}
	w.Expect(client.IgnoreNotFound(w.Admin.Get(w.t.Context(), client.ObjectKey{Namespace: w.target(env), Name: w.app}, found))).To(Succeed())
	return found.Data["commit"]
}

// runs waits until an environment runs a commit, healthy: by the objects that are there, by Flux, and by the Application's status.
func (w *team) runs(env, commit string) {
	w.t.Helper()
	w.Eventually(func(g Gomega) {
		g.Expect(w.state(env).Current).To(HaveValue(And(HaveField("Commit", commit), HaveField("Healthy", metav1.ConditionTrue))))
		applier, err := w.kustomization(env)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(applier.Status.LastAppliedRevision).To(HaveSuffix(":" + commit))
		g.Expect(apimeta.IsStatusConditionTrue(applier.Status.Conditions, meta.ReadyCondition)).To(BeTrue(), "the Kustomization is ready")
		g.Expect(w.applied(env)).To(Equal(commit))
	}).Should(Succeed(), "%s runs %s", env, commit)
}

// waits waits until the Application waits in an environment for something.
func (w *team) waits(env, words string) {
	w.t.Helper()
	w.Eventually(func() string { return w.state(env).WaitingFor }).Should(ContainSubstring(words), "what %s waits for", env)
}

// staysAt looks again, and expects an environment to run a commit still, and Flux to be told nothing else.
func (w *team) staysAt(env, commit string) {
	w.t.Helper()
	w.looksAgain()
	w.Expect(w.state(env).Current).To(HaveValue(HaveField("Commit", commit)), "%s stays", env)
	w.Expect(w.pinned(env)).To(Equal(commit), "%s stays", env)
	w.Expect(w.applied(env)).To(Equal(commit), "%s stays", env)
}

// staysEmpty looks again, and expects nothing to be deployed to an environment.
func (w *team) staysEmpty(env string) {
	w.t.Helper()
	w.looksAgain()
	w.Expect(w.state(env).Current).To(BeNil(), "%s stays empty", env)
	w.Expect(w.pinned(env)).To(BeEmpty(), "%s stays empty", env)
	w.Expect(w.applied(env)).To(BeEmpty(), "%s stays empty", env)
}

// looksAgain has the operator look at everything anew, GitHub included, and waits until it has reported: what has not happened by
// then does not happen by itself. It asks twice, because what was done in one round is seen in the next.
func (w *team) looksAgain() {
	w.t.Helper()
	for range 2 {
		w.handles(w.read())
	}
}

// handles asks whoever reconciles an object, Mainstem or Flux, to look at everything anew, and waits until they have.
func (w *team) handles(object client.Object) {
	w.t.Helper()
	round, err := w.AsksAgain(w.t.Context(), object)
	w.Expect(err).NotTo(HaveOccurred())
	key := client.ObjectKeyFromObject(object)
	w.Eventually(func(g Gomega) {
		g.Expect(w.Admin.Get(w.t.Context(), key, object)).To(Succeed())
		g.Expect(object).To(HaveField("Status.LastHandledReconcileAt", round))
	}).Should(Succeed(), "%s is looked at again", key.Name)
}

// refetches has Flux fetch the source of an environment again, as it does after a restart, and once a day.
func (w *team) refetches(env string) {
	w.t.Helper()
	w.handles(w.source(env))
}

// objects are the Flux objects of the team's namespace with their generations and identities: equal only where nobody changed what any
// of them asks for.
func (w *team) objects() map[string]string {
	w.t.Helper()
	found := map[string]string{}
	var sources sourcev1.GitRepositoryList
	var appliers kustomizev1.KustomizationList
	w.Expect(w.Admin.List(w.t.Context(), &sources, client.InNamespace(w.Namespace))).To(Succeed())
	w.Expect(w.Admin.List(w.t.Context(), &appliers, client.InNamespace(w.Namespace))).To(Succeed())
	note := func(kind string, object client.Object) {
		found[kind+"/"+object.GetName()] = fmt.Sprintf("%s/%d", object.GetUID(), object.GetGeneration())
	}
	for i := range sources.Items {
		note("GitRepository", &sources.Items[i])
	}
	for i := range appliers.Items {
		note("Kustomization", &appliers.Items[i])
	}
	return found
}
