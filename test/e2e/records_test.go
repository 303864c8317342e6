//go:build e2e

package e2e

import (
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/test/tenant"
)

// systemNamespace is Mainstem's own, in which a Hold is for everybody.
const systemNamespace = "mainstem-system"

// release is the name of the Release of a commit, and of a tag where there is one.
func (w *team) release(commit string, tag ...string) string { return w.its().Release(commit, tag...) }

// hasRelease says whether there is a Release of a commit and tag.
func (w *team) hasRelease(commit, tag string) bool {
	w.t.Helper()
	found := &v1alpha1.Release{}
	err := w.Admin.Get(w.t.Context(), client.ObjectKey{Namespace: w.Namespace, Name: w.release(commit, tag)}, found)
	w.Expect(client.IgnoreNotFound(err)).To(Succeed())
	return err == nil
}

// ledger is what the ledger of a Release says about an environment.
func (w *team) ledger(env, release string) v1alpha1.LedgerEntry {
	w.t.Helper()
	entry, err := w.its().Ledger(w.t.Context(), env, release)
	w.Expect(err).NotTo(HaveOccurred())
	return entry
}

// promotions are those of the Application into an environment.
func (w *team) promotions(env string) []v1alpha1.Promotion {
	w.t.Helper()
	into, err := w.its().Promotions(w.t.Context(), env)
	w.Expect(err).NotTo(HaveOccurred())
	return into
}

// attempt is the newest Promotion of a release into an environment, or one without a name.
func (w *team) attempt(env, release string) *v1alpha1.Promotion {
	w.t.Helper()
	newest, err := w.its().Attempt(w.t.Context(), env, release)
	w.Expect(err).NotTo(HaveOccurred())
	return newest
}

// comesTo waits until the newest Promotion of a release into an environment is in a phase for a reason, and returns it.
func (w *team) comesTo(env, release string, phase v1alpha1.PromotionPhase, reason string) *v1alpha1.Promotion {
	w.t.Helper()
	var found *v1alpha1.Promotion
	w.Eventually(func(g Gomega) {
		found = w.attempt(env, release)
		g.Expect(found.Status.Phase).To(Equal(phase), found.Status.Message)
		g.Expect(found.Status.Reason).To(Equal(reason), found.Status.Message)
	}).Should(Succeed(), "the Promotion of %s into %s", release, env)
	return found
}

// succeeds waits until the newest Promotion of a release into an environment has succeeded, and returns it.
func (w *team) succeeds(env, release string) *v1alpha1.Promotion {
	w.t.Helper()
	return w.comesTo(env, release, v1alpha1.PromotionSucceeded, v1alpha1.SucceededReason)
}

// asks waits until there is a Promotion of a commit into an environment that waits for its gates.
func (w *team) asks(env, commit string) *v1alpha1.Promotion {
	w.t.Helper()
	var found *v1alpha1.Promotion
	w.Eventually(func(g Gomega) {
		found = w.attempt(env, w.release(commit))
		g.Expect(found.Status.Gates).NotTo(BeEmpty())
		g.Expect(found.Status.Phase).To(Equal(v1alpha1.PromotionPending), found.Status.Message)
	}).Should(Succeed(), "a Promotion of %s into %s", commit, env)
	return found
}

// member is somebody of the team, who acts at the API server.
type member struct {
	*tenant.Person
	team *team
}

// person makes somebody who may write records, and has verbs on all Environments.
func (w *team) person(name string, verbs ...string) *member {
	w.t.Helper()
	made, err := w.Person(w.t.Context(), name, verbs...)
	w.Expect(err).NotTo(HaveOccurred())
	return &member{Person: made, team: w}
}

// robot makes a service account of the team's namespace that may do what a person may.
func (w *team) robot(verbs ...string) *member {
	w.t.Helper()
	made, err := w.Robot(w.t.Context(), verbs...)
	w.Expect(err).NotTo(HaveOccurred())
	return &member{Person: made, team: w}
}

// promotes creates a Promotion by hand, numbered after those that exist.
func (m *member) promotes(env, release string, with ...func(*v1alpha1.PromotionSpec)) (*v1alpha1.Promotion, error) {
	m.team.t.Helper()
	made := m.Promotion(m.team.app, m.team.Env(env), release, m.team.attempt(env, release).Spec.Attempt+1)
	for _, edit := range with {
		edit(&made.Spec)
	}
	return made, m.Client.Create(m.team.t.Context(), made)
}

func bypassing(gates ...string) func(*v1alpha1.PromotionSpec) {
	return func(spec *v1alpha1.PromotionSpec) { spec.Bypass = gates }
}

func rollingBack(spec *v1alpha1.PromotionSpec) { spec.Rollback = true }

// decides creates an Approval.
func (m *member) decides(promotion *v1alpha1.Promotion, decision v1alpha1.ApprovalDecision) (*v1alpha1.Approval, error) {
	made := m.Approval(promotion, decision)
	return made, m.Client.Create(m.team.t.Context(), made)
}

// holds creates a Hold on an environment, in a namespace.
func (m *member) holds(namespace, env string, with ...func(*v1alpha1.HoldSpec)) (*v1alpha1.Hold, error) {
	made := m.Hold(namespace, m.team.Env(env))
	for _, edit := range with {
		edit(&made.Spec)
	}
	return made, m.Client.Create(m.team.t.Context(), made)
}
