//go:build e2e

package e2e

import (
	"fmt"
	"testing"

	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

func TestAnEnvironmentThatIsDeletedWhileItIsUsedLeavesWhatRuns(t *testing.T) {
	w := newTeam(t)
	first := w.begins()
	w.environment("develop", "")
	production := w.environment("main", ciGate, "develop")
	w.application(pinned)
	w.passes(first, "build")
	w.runs("main", first)
	second := w.writes("develop", "second")
	w.asks("main", second)
	made, deployed := w.made("main"), w.deployed("main")
	w.Expect(w.Admin.Delete(t.Context(), production)).To(Succeed())
	w.refused("main", v1alpha1.EnvironmentNotFoundReason, string(w.Env("main")), "create it")
	cancelled := w.comesTo("main", w.release(second), v1alpha1.PromotionCancelled, v1alpha1.EnvironmentGoneReason)
	w.Expect(cancelled.Status.Message).To(ContainSubstring(string(w.Env("main"))))

	// Nothing enters, whatever passes now; what comes before it goes on; and what runs is as it was.
	w.passes(second, "build")
	third := w.writes("develop", "third")
	w.passes(third, "build")
	w.runs("develop", third)
	w.staysAt("main", first)
	w.isUntouched("main", made.ResourceVersion, deployed.ResourceVersion)
	w.Expect(w.state("main").Current.Healthy).To(Equal(metav1.ConditionTrue))
	w.Expect(w.promotions("main")).To(HaveLen(2))

	// It goes on once there is one of that name again.
	again, err := w.Environment("main", ciGate, "develop")
	w.Expect(err).NotTo(HaveOccurred())
	w.create(again)
	w.runs("main", third)
	w.Expect(w.made("main").UID).To(Equal(made.UID))
	w.Expect(w.attempt("main", w.release(second)).Status.Phase).To(Equal(v1alpha1.PromotionCancelled), "what has ended has ended")
}

func TestANamespaceThatLosesItsPermissionKeepsWhatRunsThere(t *testing.T) {
	w := newTeam(t)
	first := w.begins()
	w.tier("prod")
	w.environment("develop", "")
	w.environment("main", "allowedNamespaces: {from: Selector, selector: {matchLabels: {tier: prod}}}", "develop")
	w.application(pinned)
	w.runs("main", first)
	made, deployed := w.made("main"), w.deployed("main")
	w.tier("test")
	w.refused("main", v1alpha1.NamespaceNotAllowedReason, string(w.Env("main")), w.Namespace, "label the namespace", "tier=prod")
	second := w.writes("develop", "second")
	w.runs("develop", second)
	w.staysAt("main", first)
	w.isUntouched("main", made.ResourceVersion, deployed.ResourceVersion)
	w.Expect(w.promotions("main")).To(HaveLen(1))

	w.tier("prod")
	w.runs("main", second)
}

// tier labels the team's namespace with a tier.
func (w *team) tier(value string) {
	w.t.Helper()
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"metadata":{"labels":{"tier":%q}}}`, value))
	w.Expect(w.Admin.Patch(w.t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.Namespace}}, patch)).To(Succeed())
}

// isUntouched expects the Kustomization of an environment, and what Flux has applied of it, not to have been written since, and Flux to
// go on applying it.
func (w *team) isUntouched(env, made, deployed string) {
	w.t.Helper()
	w.Expect(w.made(env).ResourceVersion).To(Equal(made), "the Kustomization is written")
	w.Expect(w.deployed(env).ResourceVersion).To(Equal(deployed), "what it deploys is written")
	w.Expect(w.Admin.Delete(w.t.Context(), w.deployed(env))).To(Succeed())
	w.reconciles(env)
	w.Expect(w.deployed(env).UID).NotTo(BeEmpty(), "Flux puts back what is missing")
}
