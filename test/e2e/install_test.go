//go:build e2e

package e2e

import (
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	. "github.com/onsi/gomega"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/render"
	emulator "github.com/mainstem-dev/mainstem/test/github"
	"github.com/mainstem-dev/mainstem/test/journey"
)

func TestAKustomizationThatIsThereAlreadyIsAdoptedUntouchedUntilTheNextRelease(t *testing.T) {
	w := newTeam(t)
	first := w.begins()
	develop := w.environment("develop", "")
	w.environment("main", "", "develop")
	app := w.draft(pinned)
	w.installs(app, develop, first)
	before, deployed := w.made("develop"), w.deployed("develop")

	w.create(app)
	w.runs("develop", first)
	w.runs("main", first)
	w.staysAt("develop", first)
	w.Expect(w.promotions("develop")).To(BeEmpty(), "it runs already")
	w.Expect(w.ledger("develop", w.release(first)).ProvenAt).NotTo(BeNil())
	w.Expect(w.succeeds("main", w.release(first)).Status.Proof).To(Equal("Commit"))
	after := w.made("develop")
	w.Expect(after.Generation).To(Equal(before.Generation))
	w.Expect(writers(after)).To(Equal(writers(before)), "nobody has written it since, but for its status")
	w.Expect(after.Status.History).To(Equal(before.Status.History), "Flux was not made to apply it again")
	w.Expect(w.deployed("develop").ResourceVersion).To(Equal(deployed.ResourceVersion))
	object := "kustomizations/" + w.Namespace + "/" + before.Name
	w.Expect(w.operatorWrites(object)).To(BeEmpty())

	second := w.writes("develop", "second")
	w.runs("main", second)
	w.runs("develop", second)
	w.Expect(w.made("develop")).To(And(HaveField("UID", before.UID), HaveField("Spec.Path", "./deploy")), "now it is as this version makes it")
	w.Expect(w.operatorWrites(object)).NotTo(BeEmpty())
	w.Expect(w.promotions("develop")).To(HaveLen(1))
}

// installs makes the objects of an environment as an installation made them that has lost its records since, with something that this
// version would write otherwise, and waits for Flux to run them.
func (w *team) installs(app *v1alpha1.Application, environment *v1alpha1.Environment, commit string) {
	w.t.Helper()
	scope := render.Scope{Application: app, Environment: environment, Entry: &app.Spec.Environments[0],
		Release:  &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Name: w.release(commit)}, Spec: v1alpha1.ReleaseSpec{Commit: commit, Branch: "develop"}},
		Instance: journey.Instance, Credential: render.CredentialToken}
	made, err := render.Kustomization(scope)
	w.Expect(err).NotTo(HaveOccurred())
	made.Spec.Path = "./deploy/."
	config := rest.CopyConfig(w.Config)
	config.Impersonate = rest.ImpersonationConfig{UserName: "system:serviceaccount:" + systemNamespace + ":mainstem"}
	operator, err := client.New(config, client.Options{Scheme: w.Admin.Scheme()})
	w.Expect(err).NotTo(HaveOccurred())
	for _, object := range []client.Object{render.Source(scope), made} {
		w.Expect(operator.Create(w.t.Context(), object)).To(Succeed())
	}
	w.Eventually(func(g Gomega) { // Flux writes conditions first, and the rest of the status in a second request
		status := w.made("develop").Status
		g.Expect(apimeta.IsStatusConditionTrue(status.Conditions, meta.ReadyCondition)).To(BeTrue())
		g.Expect(status.LastAppliedRevision).To(HaveSuffix(":" + commit))
	}).Should(Succeed(), "Flux runs %s", commit)
	w.Expect(w.applied("develop")).To(Equal(commit))
}

// writers are those who have written what an object asks for, and when they did so last.
func writers(object *kustomizev1.Kustomization) []metav1.ManagedFieldsEntry {
	var found []metav1.ManagedFieldsEntry
	for _, entry := range object.ManagedFields {
		if entry.Subresource == "" {
			found = append(found, entry)
		}
	}
	return found
}

// operatorWrites are the operator's writes to an object since the world began.
func (w *team) operatorWrites(object string) []journey.Write {
	w.t.Helper()
	all, err := world(w.t).Writes()
	w.Expect(err).NotTo(HaveOccurred())
	var found []journey.Write
	for _, write := range all {
		if strings.HasPrefix(write.Object, object) {
			found = append(found, write)
		}
	}
	return found
}

func TestAFirstInstallationWhereDevelopIsMainNeedsNoPullRequest(t *testing.T) {
	w := newTeam(t)
	first := w.begins()
	w.environment("develop", "")
	w.environment("main", ciGate, "develop")
	w.application(byPullRequest)
	w.runs("develop", first)
	w.waits("main", "checks: build")
	w.staysEmpty("main") // there is nothing to merge, but gates there are
	w.passes(first, "build")
	w.runs("main", first)
	w.Expect(w.succeeds("main", w.release(first)).Status.Proof).To(Equal("Commit"))
	ours := w.GitHub.Effects().In(w.Repository.FullName()).By(emulator.SourceAPI)
	for _, kind := range []emulator.EffectKind{emulator.BranchCreated, emulator.BranchMoved, emulator.PullOpened} {
		w.Expect(ours.Count(kind)).To(BeZero(), "%s", kind)
	}

	// What comes next is merged.
	second := w.writes("develop", "second")
	w.opens("main", 1, second)
	w.passes(second, "build")
	w.runs("main", w.merged(1))
}

// mainAhead is a team that installs Mainstem where main has a commit that develop does not have.
func mainAhead(t *testing.T) (w *team, ahead string) {
	t.Helper()
	w = newTeam(t)
	first := w.begins()
	ahead = w.writes("main", "only here")
	w.environment("develop", "")
	w.environment("main", "", "develop")
	w.application(byPullRequest)
	w.runs("develop", first)
	w.waits("main", "which contains "+first[:7]+" already, with 1 commit on top without proof in "+string(w.Env("develop")))
	w.Expect(w.state("main").WaitingFor).To(ContainSubstring("promote " + w.release(ahead) + " with bypass: [proven]"))
	w.staysEmpty("main")
	w.Expect(w.Repository.PullRequests()).To(BeEmpty(), "there is nothing to merge")
	return w, ahead
}

func TestAFirstInstallationWhereMainIsAheadDeploysItOnceItIsProven(t *testing.T) {
	w, ahead := mainAhead(t)
	second := w.writes("develop", "second")
	w.opens("main", 1, second)
	w.waits("main", "diverged branch main")
	w.Expect(w.gate("main", "proven").Message).To(ContainSubstring("branch main is at " + ahead[:7] + ", which was never proven in " + string(w.Env("develop"))))
	w.staysEmpty("main")

	// Merged back, it is proven with the rest.
	back, err := w.Repository.Merge("develop", "main", person)
	w.Expect(err).NotTo(HaveOccurred())
	w.runs("develop", back)
	w.runs("main", w.merged(1))
	w.Expect(w.Repository.Contains("main", ahead)).To(BeTrue())
}

func TestAFirstInstallationWhereMainIsAheadDeploysItWhenAPersonLetsItIn(t *testing.T) {
	w, ahead := mainAhead(t)
	_, err := w.person("paula", "promote", "bypass").promotes("main", w.release(ahead), bypassing("proven"))
	w.Expect(err).NotTo(HaveOccurred())
	w.runs("main", ahead)
	w.Expect(w.ledger("main", w.release(ahead)).Proof).To(Equal("None"))

	// From there on it goes by itself.
	second := w.writes("develop", "second")
	w.runs("main", w.merged(1))
	w.Expect(w.succeeds("main", w.release(second)).Status.Proof).To(Equal("Lineage"))
}
