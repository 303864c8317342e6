// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package promotion

import (
	"net/http"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apimeta "k8s.io/apimachinery/pkg/api/meta"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

var _ = Describe("The surprise", func() {
	It("of archiving the repository is told, asks GitHub for nothing that it refuses, and leaves what runs alone", func(ctx SpecContext) {
		r := newRunning(ctx)
		r.sha = r.commit("develop", "ahead")
		r.runs(ctx, "develop", r.sha)
		r.settles(ctx, r.sha, "develop", "success")
		before := r.objects(ctx)
		r.repository.Archive()
		r.remarks(ctx, v1alpha1.RepositoryArchivedReason, "archived", "unarchive it")
		asked := r.counts(func(request *http.Request) bool { return request.Method != http.MethodGet })
		r.environment(ctx, "main", "", "develop")
		r.list(ctx, withPullRequest)
		stalled := r.comesTo(ctx, "main", r.release(r.sha), v1alpha1.PromotionPending, v1alpha1.RepositoryArchivedReason)
		Expect(apimeta.IsStatusConditionTrue(stalled.Status.Conditions, v1alpha1.StalledCondition)).To(BeTrue())
		r.waits(ctx, "main", "the repository is archived, so that no pull request can be opened or merged: unarchive it")

		By("telling it once")
		told := r.read(ctx).ResourceVersion
		r.polls(ctx, 3)
		Expect(r.read(ctx).ResourceVersion).To(Equal(told), "%s", r.story(ctx))
		Expect(asked.Load()).To(BeZero())
		Expect(r.objects(ctx)).To(Equal(before))
		Expect(r.state(ctx, "develop").Current).To(HaveField("Commit", r.sha))

		By("going on once it is not")
		r.repository.Unarchive()
		r.runs(ctx, "main", r.merges(ctx, 1))
		r.unremarkable(ctx)
	}, SpecTimeout(specLimit))

	It("of archiving the repository in the moment of a merge is told in the same words", func(ctx SpecContext) {
		w, first := throughPullRequests(ctx, ciGate)
		second := w.write("develop", "second", "second")
		w.opens(ctx, "main", 1, second)
		there, goOn := w.holdsUp(1)
		w.pass(second, "build")
		Eventually(there).WithContext(ctx).Should(BeClosed(), w.told(ctx))
		w.repository.Archive()
		goOn()
		w.comesTo(ctx, "main", w.release(second), v1alpha1.PromotionPending, v1alpha1.RepositoryArchivedReason)
		w.remarks(ctx, v1alpha1.RepositoryArchivedReason, "archived", "unarchive it")
		w.staysAt(ctx, "main", first)

		w.repository.Unarchive()
		w.runs(ctx, "main", w.merges(ctx, 1))
	}, SpecTimeout(specLimit))

	It("of renaming the repository is told, and stops nothing", func(ctx SpecContext) {
		r := newRunning(ctx)
		before := r.objects(ctx)
		Expect(r.repository.Rename("renamed" + r.suffix)).To(Succeed())
		r.remarks(ctx, v1alpha1.RepositoryMovedReason, "was renamed", "acme/renamed#", "spec.repository.url")
		Expect(r.objects(ctx)).To(Equal(before))
		second := r.commit("develop", "second")
		r.runs(ctx, "develop", second)

		By("promoting through pull requests by the old address too")
		r.environment(ctx, "main", "", "develop")
		r.list(ctx, withPullRequest)
		r.runs(ctx, "main", r.merges(ctx, 1))

		writesURL("renamed#")(ctx, r)
		r.unremarkable(ctx)
		r.commit("develop", "third")
		r.runs(ctx, "main", r.merges(ctx, 2))

		By("removing the sources of the old address, once they have rested")
		Eventually(func() []string { return r.addresses(ctx) }).WithContext(ctx).WithTimeout(2 * patience).Should(
			HaveEach(HaveSuffix("/acme/renamed" + r.suffix)))
		Expect(r.addresses(ctx)).NotTo(BeEmpty())
		r.runs(ctx, "main", r.state(ctx, "main").Current.Commit)
	}, SpecTimeout(specLimit))

	It("of transferring the repository is told, and stops nothing that its credential may still do", func(ctx SpecContext) {
		r := newRunning(ctx)
		before := r.objects(ctx)
		Expect(r.repository.Transfer("heirs" + r.suffix)).To(Succeed())
		r.remarks(ctx, v1alpha1.RepositoryMovedReason, "was transferred", "heirs#/app#", "spec.repository.url")
		Expect(r.objects(ctx)).To(Equal(before))
		Expect(apimeta.IsStatusConditionTrue(r.read(ctx).Status.Conditions, v1alpha1.ReadyCondition)).To(BeTrue(), "%s", r.story(ctx))

		By("finding its pull request again although an answer is lost")
		github.Inject(emulator.Fault{Kind: emulator.AfterEffectCut, Times: 1, Method: http.MethodPost, PathPrefix: "/repositories/"})
		DeferCleanup(github.ClearFaults)
		r.environment(ctx, "main", "", "develop")
		r.list(ctx, withPullRequest)
		r.commit("develop", "second")
		r.runs(ctx, "main", r.merges(ctx, 1))
		Expect(r.repository.PullRequests()).To(HaveLen(1))

		r.changes(ctx, func(spec *v1alpha1.ApplicationSpec) {
			spec.Repository.URL = github.URL() + "/heirs" + r.suffix + "/app" + r.suffix
		})
		r.unremarkable(ctx)
		r.commit("develop", "third")
		r.runs(ctx, "main", r.merges(ctx, 2))
	}, SpecTimeout(specLimit))

	It("of transferring a repository to where its App is not installed is told, and mended by an App that is", func(ctx SpecContext) {
		w := newWorld(ctx)
		sha := w.firstCommit()
		w.environment(ctx, "develop", "")
		_, secret := installedApp("acme")
		w.secret(ctx, secret)
		w.declare(ctx, developOnly)
		w.runs(ctx, "develop", sha)
		before := w.objects(ctx)

		Expect(w.repository.Transfer("heirs" + w.suffix)).To(Succeed())
		w.unreachable(ctx, v1alpha1.RepositoryNotFoundReason, "acme/app#", "the App is installed on the repository")
		Expect(w.objects(ctx)).To(Equal(before))
		Expect(w.state(ctx, "develop").Current).To(HaveField("Commit", sha))

		_, secret = installedApp("heirs" + w.suffix)
		w.secret(ctx, secret)
		w.remarks(ctx, v1alpha1.RepositoryMovedReason, "was transferred", "heirs#/app#")
		w.runs(ctx, "develop", w.commit("develop", "second"))
	}, SpecTimeout(specLimit))
})
