//go:build e2e

package e2e

import (
	"testing"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

func TestThreeEnvironmentsRunTheVeryCommitThatIsProven(t *testing.T) {
	w := newTeam(t)
	first := w.begins(map[string]string{workloadFile: works})
	w.environment("develop", "")
	w.environment("staging", "", "develop")
	w.environment("production", ciGate, "staging")
	w.application(`
- {name: develop#, source: {branch: main}}
- {name: staging#}
- {name: production#}
`)
	w.passes(first, "build")
	w.runs("production", first)

	second := w.writes("main", "second")
	w.runs("staging", second)
	w.waits("production", "checks: build")
	w.staysAt("production", first)
	w.passes(second, "build")
	w.runs("production", second)

	// One step at a time, by the commit itself.
	before := w.succeeds("develop", w.release(second))
	w.Expect(before.Status.Proof).To(BeEmpty(), "an entry environment has no upstream that could prove anything")
	for _, env := range []string{"staging", "production"} {
		promotion := w.succeeds(env, w.release(second))
		w.Expect(promotion.Status.Proof).To(Equal("Commit"))
		w.Expect(promotion.Status.DeployedRelease).To(Equal(promotion.Spec.Release))
		w.Expect(promotion.Status.DeployStartedAt.Time).NotTo(BeTemporally("<", before.Status.FinishedAt.Time))
		before = promotion
	}
	w.Expect(w.Repository.PullRequests()).To(BeEmpty())

	// From one source that all of them share; what nothing refers to any more is removed in its time.
	used := map[string]bool{}
	for _, env := range []string{"develop", "staging", "production"} {
		applier, err := w.kustomization(env)
		w.Expect(err).NotTo(HaveOccurred())
		used[applier.Spec.SourceRef.Name] = true
	}
	w.Expect(used).To(HaveLen(1))
	w.Eventually(func(g Gomega) {
		var sources sourcev1.GitRepositoryList
		g.Expect(w.Admin.List(t.Context(), &sources, client.InNamespace(w.Namespace))).To(Succeed())
		g.Expect(sources.Items).To(HaveLen(1))
	}).Should(Succeed())
}

// hasVersion waits until an environment runs a version, which is that of a commit.
func (w *team) hasVersion(env, version, commit string) {
	w.t.Helper()
	w.runs(env, commit)
	w.Eventually(func() *v1alpha1.CurrentRelease { return w.state(env).Current }).Should(HaveValue(HaveField("Version", version)))
}

func TestACandidateAndTheFinalReleaseOfOneCommitAreTwoReleases(t *testing.T) {
	w, first := productionFollowsReleases(t)
	for _, version := range []string{"1.0.0-rc.1", "1.0.0"} {
		w.publishes("v"+version, first)
		w.hasVersion("production", version, first)
		w.Expect(w.succeeds("production", w.release(first, "v"+version)).Status.Proof).To(Equal("Commit"))
	}
	w.Expect(w.promotions("production")).To(HaveLen(2))

	// A draft is nothing until it is published.
	second := w.writes("main", "second")
	w.runs("develop", second)
	draft, err := w.Repository.PublishRelease(emulator.ReleaseSpec{Tag: "v1.1.0", Target: second, Draft: true})
	w.Expect(err).NotTo(HaveOccurred())
	w.staysAt("production", first)
	w.Expect(w.hasRelease(second, "v1.1.0")).To(BeFalse())
	w.Expect(w.Repository.PublishDraft(draft)).To(Succeed())
	w.hasVersion("production", "1.1.0", second)
}

func TestAReleaseWhoseCommitWasNeverProvenIsKeptOut(t *testing.T) {
	w, first := productionFollowsReleases(t)
	w.publishes("v1.0.0", first)
	w.hasVersion("production", "1.0.0", first)
	aside := w.writes("aside", "aside")
	w.publishes("v1.1.0", aside)
	w.waits("production", "is not proven in "+string(w.Env("develop")))
	w.staysAt("production", first)
	state := w.state("production")
	w.Expect(state.Next).To(HaveValue(HaveField("Version", "1.1.0")))
	w.Expect(state.Phase).To(Equal(v1alpha1.EnvironmentWaiting))
	w.Expect(w.promotions("production")).To(HaveLen(1))

	// It goes on once it has run there.
	w.Expect(w.Repository.ForcePush("main", aside)).To(Succeed())
	w.runs("develop", aside)
	w.hasVersion("production", "1.1.0", aside)
}

func TestATagThatIsMovedAfterTheDeployChangesNothingThatRuns(t *testing.T) {
	w, first := productionFollowsReleases(t)
	w.publishes("v1.0.0", first)
	w.hasVersion("production", "1.0.0", first)
	second := w.writes("main", "second")
	w.runs("develop", second)
	before := w.objects()
	w.Expect(w.Repository.Tag("v1.0.0", second)).To(Succeed())
	w.waits("production", "tag v1.0.0 was moved between "+first[:7]+" and "+second[:7])
	w.staysAt("production", first)
	w.refetches("production")
	w.staysAt("production", first)
	w.Expect(w.objects()).To(Equal(before))

	// Another version is the way on.
	w.publishes("v1.0.1", second)
	w.hasVersion("production", "1.0.1", second)
}

func TestATagThatIsMovedChangesNothingThatRunsWhereNoBranchIsFollowed(t *testing.T) {
	w := newTeam(t)
	first := w.begins()
	w.environment("production", "")
	w.publishes("v1.0.0", first)
	w.application("- {name: production#, source: {release: {}}}\n")
	w.hasVersion("production", "1.0.0", first)
	second := w.writes("main", "second")
	w.Expect(w.Repository.Tag("v1.0.0", second)).To(Succeed())
	w.waits("production", "tag v1.0.0 was moved between "+first[:7]+" and "+second[:7])
	w.refetches("production") // by the branch that holds it
	w.staysAt("production", first)
	w.publishes("v1.0.1", second)
	w.hasVersion("production", "1.0.1", second)
}

func TestATagThatIsMovedChangesNothingThatRunsWhereNoBranchHoldsItsCommit(t *testing.T) {
	w := newTeam(t)
	first := w.begins()
	w.environment("production", "")
	island := w.commits("aside", "island", map[string]string{"deploy/configuration.yaml": configuration})
	w.publishes("v1.0.0", island)
	w.Expect(w.Repository.DeleteBranch("aside")).To(Succeed())
	w.application("- {name: production#, source: {release: {}}}\n")
	w.runs("production", island)
	w.Expect(w.source("production").Spec.Reference.Tag).To(Equal("v1.0.0"), "Flux finds it by nothing else")
	w.Expect(w.Repository.Tag("v1.0.0", first)).To(Succeed())
	w.waits("production", "tag v1.0.0 was moved between "+island[:7]+" and "+first[:7])

	// Flux is kept from looking again, which would deploy what nobody has let in.
	w.Eventually(func() bool { return w.source("production").Spec.Suspend }).Should(BeTrue())
	w.looksAgain()
	w.Expect(w.state("production").Current).To(HaveValue(HaveField("Commit", island)))
	w.Expect(w.applied("production")).To(Equal(island))
	w.publishes("v1.0.1", first)
	w.hasVersion("production", "1.0.1", first)
}
