//go:build e2e

package e2e

import (
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	. "github.com/onsi/gomega"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/test/journey"
)

func TestWhatAnEntryDeployedStaysOrGoesWithItAsItsDeletionPolicySays(t *testing.T) {
	w := newTeam(t)
	first := w.begins()
	for _, env := range []string{"kept", "left", "deleted"} {
		w.environment(env, "")
	}
	w.application(`
- {name: kept#, source: {branch: main}}
- {name: left#, source: {branch: main}}
- {name: deleted#, source: {branch: main}, deletionPolicy: Delete}
`)
	for _, env := range []string{"kept", "left", "deleted"} {
		w.runs(env, first)
	}
	left, deployed := w.made("left"), w.deployed("left")
	entry := w.read().Spec.Environments[1]
	w.edit(func(spec *v1alpha1.ApplicationSpec) { spec.Environments = spec.Environments[:1] })
	w.isPruned("deleted")
	w.Eventually(func() *kustomizev1.Kustomization { return w.made("left") }).Should(withoutMarks())
	w.Eventually(func() []v1alpha1.EnvironmentState { return w.read().Status.Environments }).Should(HaveExactElements(HaveField("Name", w.Env("kept"))))

	// What goes on is the other entry; what was left runs as it did, under nobody's care but Flux's.
	second := w.writes("main", "second")
	w.runs("kept", second)
	w.looksAgain()
	w.Expect(w.made("left")).To(And(HaveField("UID", left.UID), HaveField("Generation", left.Generation), HaveField("Spec", left.Spec)))
	w.Expect(w.deployed("left").ResourceVersion).To(Equal(deployed.ResourceVersion))
	w.Expect(w.Admin.Delete(t.Context(), deployed)).To(Succeed())
	w.reconciles("left")
	w.Expect(w.applied("left")).To(Equal(first), "Flux puts back what it deployed")

	// An entry of that name takes it up again.
	w.edit(func(spec *v1alpha1.ApplicationSpec) { spec.Environments = append(spec.Environments, entry) })
	w.runs("left", second)
	w.Expect(w.made("left")).To(And(HaveField("UID", left.UID), HaveField("Labels", HaveKeyWithValue(v1alpha1.InstanceLabel, journey.Instance))))
}

func TestWhatAnApplicationDeployedStaysOrGoesWithItAsItsDeletionPoliciesSay(t *testing.T) {
	w := newTeam(t)
	first := w.begins()
	second := w.writes("develop", "second")
	w.environment("left", "")
	w.environment("deleted", "")
	entries := `
- {name: left#, source: {branch: main}}
- {name: deleted#, source: {branch: develop}, deletionPolicy: Delete}
`
	app := w.application(entries)
	other := w.called("other")
	other.application("- {name: deleted#, source: {branch: develop}}\n")
	w.runs("left", first)
	w.runs("deleted", second)
	other.runs("deleted", second)
	left, deployed, shared := w.made("left"), w.deployed("left"), w.source("deleted")
	w.Expect(w.Admin.Delete(t.Context(), app)).To(Succeed())
	w.Eventually(func() string { return w.read().Name }).Should(BeEmpty(), "the Application goes")
	w.isPruned("deleted")
	w.Eventually(func() *kustomizev1.Kustomization { return w.made("left") }).Should(withoutMarks())
	w.Expect(w.made("left")).To(And(HaveField("UID", left.UID), HaveField("Generation", left.Generation), HaveField("Spec", left.Spec)))
	w.Expect(w.source("left")).To(withoutMarks())
	w.Expect(w.deployed("left").ResourceVersion).To(Equal(deployed.ResourceVersion))
	w.refetches("left")

	// What another Application uses is its own.
	w.Expect(other.source("deleted")).To(And(HaveField("UID", shared.UID), HaveField("Labels", HaveKey(v1alpha1.InstanceLabel))))
	third := w.writes("develop", "third")
	other.runs("deleted", third)
	w.Expect(w.applied("left")).To(Equal(first))
	w.Expect(w.applied("deleted")).To(BeEmpty())

	// The records go with the Application. One of its name begins anew, and takes up what it finds as it is.
	w.Eventually(func() int { return len(w.promotions("left")) + len(w.promotions("deleted")) }).Should(BeZero())
	w.application(entries)
	w.runs("left", first)
	w.runs("deleted", third)
	w.Expect(w.made("left")).To(And(HaveField("UID", left.UID), HaveField("Generation", left.Generation), HaveField("Labels", HaveKey(v1alpha1.InstanceLabel))))
	w.Expect(w.deployed("left").ResourceVersion).To(Equal(deployed.ResourceVersion))
	w.Expect(w.promotions("left")).To(HaveLen(1), "who took it up is on record")
}
