// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package promotion

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	gomegatypes "github.com/onsi/gomega/types"
	apimeta "k8s.io/apimachinery/pkg/api/meta"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/render"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

const ciGate = "gates: [{name: ci, checks: {required: [build]}}]"

// throughPullRequests is a world whose main is fed by pull requests from develop and runs the first commit, as CI has passed on that.
// Main is the YAML of that Environment's spec.
func throughPullRequests(ctx context.Context, main string) (w *world, first string) {
	GinkgoHelper()
	w = newWorld(ctx)
	first = w.firstCommit()
	w.environment(ctx, "develop", "")
	w.environment(ctx, "main", main, "develop")
	w.application(ctx, `
- {name: develop#, source: {branch: develop}}
- {name: main#, source: {branch: main}, pullRequest: {labels: [promotion]}}
`)
	w.pass(first, "build")
	w.runs(ctx, "main", first)
	return w, first
}

// holdsUp keeps the merge of a pull request on its way to GitHub until it is to go on. It says when the merge is there.
func (w *world) holdsUp(number int) (there <-chan struct{}, goOn func()) {
	arrived, until := make(chan struct{}), make(chan struct{})
	goOn = sync.OnceFunc(func() { close(until) })
	github.Inject(emulator.Fault{Kind: emulator.Slow, Times: 1, Until: until, Match: func(r *http.Request) bool {
		is := r.Method == http.MethodPut && r.URL.Path == fmt.Sprintf("%s/pulls/%d/merge", w.path(), number)
		if is {
			close(arrived)
		}
		return is
	}})
	DeferCleanup(github.ClearFaults)
	DeferCleanup(goOn)
	return arrived, goOn
}

const promotionBranch = "mainstem/" + instance + "/main"

var _ = Describe("A promotion pull request", func() {
	It("is not needed where the base has the content already", func(ctx SpecContext) {
		w, _ := throughPullRequests(ctx, "")

		By("as a merge by hand of what is proven")
		second := w.write("develop", "second", "second")
		Expect(w.repository.ForcePush("main", second)).To(Succeed())
		w.runs(ctx, "main", second)
		Expect(w.repository.PullRequests()).NotTo(ContainElement(HaveField("Merged", true)))
		w.staysAt(ctx, "main", second)
	}, SpecTimeout(specLimit))

	It("says what it promotes and how its gates stand, follows the newest, and merges when they pass", func(ctx SpecContext) {
		w, _ := throughPullRequests(ctx, ciGate)
		second := w.write("develop", "Add the second page", "second")
		pull := w.opens(ctx, "main", 1, second)
		Expect(pull).To(And(HaveField("HeadRef", promotionBranch), HaveField("BaseRef", "main"), HaveField("Author", "mainstem-bot")))
		Eventually(func() []string { pull, _ = w.repository.PullRequest(1); return pull.Labels }).WithContext(ctx).Should(ConsistOf("promotion"))
		Expect(pull.Title).To(And(ContainSubstring("podinfo"), ContainSubstring(second[:12])))
		Expect(pull.Body).To(And(ContainSubstring("Add the second page"), ContainSubstring("ada"),
			ContainSubstring("environment/ci | Waiting"), ContainSubstring(string(w.env("develop")))))

		By("being moved to what comes after")
		third := w.write("develop", "Add the third page", "third")
		pull = w.opens(ctx, "main", 1, third)
		w.comesTo(ctx, "main", w.release(second), v1alpha1.PromotionSuperseded, v1alpha1.SupersededReason)
		Eventually(func() string { pull, _ = w.repository.PullRequest(1); return pull.Body }).WithContext(ctx).Should(And(
			ContainSubstring("Add the second page"), ContainSubstring("Add the third page"), ContainSubstring(third[:12])))
		w.pass(second, "build")
		w.looksAgain(ctx)
		Expect(w.repository.PullRequests()).To(HaveExactElements(HaveField("Merged", false)))

		By("being kept as it should be when somebody edits it")
		Expect(w.repository.EditPullRequest(1, "I know better", "ada")).To(Succeed())
		Eventually(func() string { pull, _ = w.repository.PullRequest(1); return pull.Body }).WithContext(ctx).Should(ContainSubstring("Add the third page"))

		w.pass(third, "build")
		w.runs(ctx, "main", w.merges(ctx, 1))
		pull, _ = w.repository.PullRequest(1)
		Expect(pull.Body).To(ContainSubstring("environment/ci | Passed"))
		Expect(w.repository.PullRequests()).To(HaveLen(1))
		effects := github.Effects().In(w.repository.FullName()).By(emulator.SourceAPI)
		Expect(effects.Count(emulator.PullOpened)).To(Equal(1))
		Expect(effects.Count(emulator.PullMerged)).To(Equal(1))
	}, SpecTimeout(specLimit))

	It("that a person merges too early is merged, and deployed once the gates pass", func(ctx SpecContext) {
		w, first := throughPullRequests(ctx, ciGate)
		second := w.write("develop", "second", "second")
		w.opens(ctx, "main", 1, second)
		merge, err := w.repository.MergePullRequest(1, emulator.MergeCommit, "ada")
		Expect(err).NotTo(HaveOccurred())
		Eventually(func() *v1alpha1.PullRequestStatus { return w.state(ctx, "main").PullRequest }).WithContext(ctx).Should(And(
			Not(BeNil()), HaveField("State", v1alpha1.PullRequestMerged), HaveField("MergeCommit", merge), HaveField("MergedBy", "ada")), w.told(ctx))
		w.waits(ctx, "main", "checks: build")
		w.staysAt(ctx, "main", first)
		w.pass(second, "build")
		w.runs(ctx, "main", merge)
		Expect(w.repository.PullRequests()).To(HaveLen(1))
	}, SpecTimeout(specLimit))

	It("that a person squashes is deployed as what it became", func(ctx SpecContext) {
		w, _ := throughPullRequests(ctx, ciGate)
		second := w.write("develop", "second", "second")
		w.opens(ctx, "main", 1, second)
		squashed, err := w.repository.MergePullRequest(1, emulator.Squash, "ada")
		Expect(err).NotTo(HaveOccurred())
		w.pass(second, "build")
		w.runs(ctx, "main", squashed)

		By("so that the next one still has a base that is known")
		third := w.write("develop", "third", "third")
		w.opens(ctx, "main", 2, third)
		w.pass(third, "build")
		w.runs(ctx, "main", w.merges(ctx, 2))
	}, SpecTimeout(specLimit))

	It("that a person closes declines its release, until a person promotes it", func(ctx SpecContext) {
		w, first := throughPullRequests(ctx, ciGate)
		second := w.write("develop", "second", "second")
		w.opens(ctx, "main", 1, second)
		Expect(w.repository.ClosePullRequest(1, "ada")).To(Succeed())
		w.comesTo(ctx, "main", w.release(second), v1alpha1.PromotionCancelled, v1alpha1.DeclinedReason)
		Expect(w.repository.Head(promotionBranch)).To(BeEmpty(), "nobody needs the branch any more")
		w.pass(second, "build")
		w.staysAt(ctx, "main", first)
		Expect(w.repository.PullRequests()).To(HaveLen(1))
		Expect(w.state(ctx, "main").WaitingFor).To(ContainSubstring("was rejected here (Declined)"), w.told(ctx))

		_, err := w.person(ctx, "paula", "promote").promotes(ctx, "main", w.release(second))
		Expect(err).NotTo(HaveOccurred())
		merge := w.merges(ctx, 2)
		w.runs(ctx, "main", merge)
		Eventually(func() v1alpha1.LedgerEntry { return w.ledger(ctx, "main", w.release(second)) }).WithContext(ctx).Should(HaveField("RejectedAt", BeNil()))

		By("and a newer one goes by itself")
		third := w.write("develop", "third", "third")
		w.opens(ctx, "main", 3, third)
		w.pass(third, "build")
		w.runs(ctx, "main", w.merges(ctx, 3))
	}, SpecTimeout(specLimit))

	It("is withdrawn with its branch, once, when its promotion is rejected or its entry goes", func(ctx SpecContext) {
		w, _ := throughPullRequests(ctx, ciGate)
		second := w.write("develop", "second", "second")
		w.opens(ctx, "main", 1, second)
		_, err := w.person(ctx, "anna", "approve").decides(ctx, w.asks(ctx, "main", second), v1alpha1.DecisionReject)
		Expect(err).NotTo(HaveOccurred())
		ended := w.comesTo(ctx, "main", w.release(second), v1alpha1.PromotionCancelled, v1alpha1.RejectedReason)
		Expect(ended.Status.PullRequest).To(HaveField("State", v1alpha1.PullRequestClosed))
		pull, _ := w.repository.PullRequest(1)
		Expect(pull).To(And(HaveField("State", "closed"), HaveField("Merged", false)))
		Expect(w.repository.Head(promotionBranch)).To(BeEmpty())

		By("when its entry goes")
		third := w.write("develop", "third", "third")
		w.opens(ctx, "main", 2, third)
		w.changes(ctx, func(spec *v1alpha1.ApplicationSpec) { spec.Environments = spec.Environments[:1] })
		w.comesTo(ctx, "main", w.release(third), v1alpha1.PromotionCancelled, v1alpha1.EnvironmentGoneReason)
		Expect(w.repository.Head(promotionBranch)).To(BeEmpty())
		w.looksAgain(ctx)
		effects := github.Effects().In(w.repository.FullName()).By(emulator.SourceAPI)
		Expect(effects.Count(emulator.BranchDeleted)).To(Equal(2))
		Expect(w.repository.PullRequests()).To(HaveEach(HaveField("State", "closed")))
	}, SpecTimeout(specLimit))

	It("that a person has pushed to stays with its branch when it is declined", func(ctx SpecContext) {
		w, _ := throughPullRequests(ctx, ciGate)
		second := w.write("develop", "second", "second")
		w.opens(ctx, "main", 1, second)
		pushed := w.write(promotionBranch, "one more thing", "more")
		w.comesTo(ctx, "main", w.release(second), v1alpha1.PromotionPending, v1alpha1.BranchMovedReason)
		Expect(w.repository.ClosePullRequest(1, "ada")).To(Succeed())
		w.comesTo(ctx, "main", w.release(second), v1alpha1.PromotionCancelled, v1alpha1.DeclinedReason)
		w.looksAgain(ctx)
		Expect(w.repository.Head(promotionBranch)).To(Equal(pushed))
	}, SpecTimeout(specLimit))

	DescribeTable("of somebody else's from the same branch is told of and left as it is", func(ctx SpecContext, mark render.Marker, mend gomegatypes.GomegaMatcher) {
		w, first := throughPullRequests(ctx, ciGate)
		w.pass(first, "build")
		w.runs(ctx, "main", first)
		body := render.PullRequestMarker(mark)
		// Theirs is to be there first.
		w.changes(ctx, func(app *v1alpha1.ApplicationSpec) { app.Suspend = true })
		second := w.write("develop", "second", "second")
		Expect(w.repository.CreateBranch(promotionBranch, second)).To(Succeed())
		number, err := w.repository.OpenPullRequest(emulator.NewPullRequest{Title: "Theirs", Body: body, Head: promotionBranch, Base: "main", Login: "ada"})
		Expect(err).NotTo(HaveOccurred())
		w.changes(ctx, func(app *v1alpha1.ApplicationSpec) { app.Suspend = false })

		promotion := w.comesTo(ctx, "main", w.release(second, ""), v1alpha1.PromotionPending, v1alpha1.PullRequestForeignReason)
		Expect(promotion.Status.Message).To(And(ContainSubstring("#%d belongs to instance %s", number, mark.Instance), mend))
		Expect(apimeta.IsStatusConditionTrue(promotion.Status.Conditions, v1alpha1.StalledCondition)).To(BeTrue())
		w.pass(second, "build")
		w.looksAgain(ctx)
		Expect(w.repository.PullRequests()).To(HaveExactElements(And(
			HaveField("Title", "Theirs"), HaveField("Body", body), HaveField("Labels", BeEmpty()), HaveField("Merged", false))))
		w.staysAt(ctx, "main", first)
	},
		Entry("another installation", SpecTimeout(patience*2), render.Marker{Instance: "elsewhere", Namespace: "apps", Application: "podinfo", Environment: "main"},
			ContainSubstring("--instance")),
		Entry("another Application", SpecTimeout(patience*2), render.Marker{Instance: instance, Namespace: "apps", Application: "other", Environment: "main"},
			And(ContainSubstring("close that pull request"), Not(ContainSubstring("--instance")))),
	)

	It("that a person pushes to is left alone until they take it back", func(ctx SpecContext) {
		w, first := throughPullRequests(ctx, ciGate)
		second := w.write("develop", "second", "second")
		w.opens(ctx, "main", 1, second)
		pushed := w.write(promotionBranch, "one more thing", "more")
		promotion := w.comesTo(ctx, "main", w.release(second), v1alpha1.PromotionPending, v1alpha1.BranchMovedReason)
		Expect(promotion.Status.Message).To(ContainSubstring("somebody pushed " + pushed[:7]))
		Expect(apimeta.IsStatusConditionTrue(promotion.Status.Conditions, v1alpha1.StalledCondition)).To(BeTrue())
		w.pass(second, "build")
		w.pass(pushed, "build")
		w.staysAt(ctx, "main", first)
		Expect(w.repository.Head(promotionBranch)).To(Equal(pushed))

		Expect(w.repository.ForcePush(promotionBranch, second)).To(Succeed())
		w.runs(ctx, "main", w.merges(ctx, 1))
	}, SpecTimeout(specLimit))

	It("waits in GitHub's words while GitHub does not merge, and goes on by itself", func(ctx SpecContext) {
		w, first := throughPullRequests(ctx, "")
		Expect(w.repository.Protect("main", emulator.Protection{RequiredApprovals: 1})).To(Succeed())
		second := w.write("develop", "second", "second")
		w.opens(ctx, "main", 1, second)
		w.waits(ctx, "main", "GitHub does not merge pull request #1 yet: ")
		w.staysAt(ctx, "main", first)
		Expect(w.state(ctx, "main").WaitingFor).To(ContainSubstring("approving review"), w.told(ctx))
		Expect(w.repository.ApprovePullRequest(1, "ada")).To(Succeed())
		w.looksAgain(ctx)
		w.runs(ctx, "main", w.merges(ctx, 1))
	}, SpecTimeout(specLimit))

	It("is one for a base: another Application there is not accepted", func(ctx SpecContext) {
		w, first := throughPullRequests(ctx, ciGate)
		other := w.called("second") // Of two that are made in the same second, the first by name is the first.
		w.submit(ctx, other.draft(`
- {name: develop#, source: {branch: develop}}
- {name: main#, source: {branch: main}, pullRequest: {}}
`))
		other.runs(ctx, "develop", first)
		Eventually(func() string { return other.accepted(ctx, "main") }).WithContext(ctx).Should(Equal(v1alpha1.PromotionBranchSharedReason), other.told(ctx))
		Expect(other.state(ctx, "main").WaitingFor).To(ContainSubstring("Application " + w.namespace + "/podinfo already promotes into branch main"))

		second := w.write("develop", "second", "second")
		w.opens(ctx, "main", 1, second)
		w.pass(second, "build")
		w.runs(ctx, "main", w.merges(ctx, 1))
		Expect(w.accepted(ctx, "main")).To(Equal(v1alpha1.AcceptedReason))
		Expect(other.promotions(ctx, "main")).To(BeEmpty())
		Expect(w.repository.PullRequests()).To(HaveLen(1))

		By("until the first one goes")
		Expect(admin.Delete(ctx, w.read(ctx))).To(Succeed())
		Eventually(func() string { return other.accepted(ctx, "main") }).WithContext(ctx).Should(Equal(v1alpha1.AcceptedReason), other.told(ctx))
	}, SpecTimeout(specLimit))
})

var _ = Describe("A hotfix on the base", func() {
	It("between the gates and the merge is noticed, and neither is deployed as proven", func(ctx SpecContext) {
		w, first := throughPullRequests(ctx, ciGate)
		second := w.write("develop", "second", "second")
		w.opens(ctx, "main", 1, second)
		hotfix := w.write("main", "hotfix", "hotfix")
		w.pass(second, "build")
		w.waits(ctx, "main", "diverged branch main")
		Expect(w.gate(ctx, "main", "proven").Message).To(ContainSubstring("branch main is at " + hotfix[:7] + ", which was never proven in " + string(w.env("develop"))))
		w.staysAt(ctx, "main", first)
		Expect(w.repository.PullRequests()).To(HaveExactElements(HaveField("Merged", false)))

		By("even when a person merges all the same")
		merge, err := w.repository.MergePullRequest(1, emulator.MergeCommit, "ada")
		Expect(err).NotTo(HaveOccurred())
		w.waits(ctx, "main", "proof in "+string(w.env("develop")))
		w.staysAt(ctx, "main", first)

		By("until it is merged back and proven there")
		back, err := w.repository.Merge("develop", "main", "ada")
		Expect(err).NotTo(HaveOccurred())
		w.pass(back, "build")
		w.pass(merge, "build")
		w.runs(ctx, "develop", back)
		Eventually(func(g Gomega) {
			current := w.state(ctx, "main").Current
			g.Expect(current).NotTo(BeNil())
			info, err := w.repository.CommitInfo(current.Commit)
			g.Expect(err).NotTo(HaveOccurred())
			merged, err := w.repository.CommitInfo(back)
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(info.Tree).To(Equal(merged.Tree), "%s", w.story(ctx))
		}).WithContext(ctx).Should(Succeed())
	}, SpecTimeout(specLimit))

	It("in the very moment of the merge is noticed too: what the merge made is not deployed as proven", func(ctx SpecContext) {
		w, first := throughPullRequests(ctx, ciGate)
		second := w.write("develop", "second", "second")
		w.opens(ctx, "main", 1, second)
		there, goOn := w.holdsUp(1)
		w.pass(second, "build")
		Eventually(there).WithContext(ctx).Should(BeClosed(), w.told(ctx))
		hotfix := w.write("main", "hotfix", "hotfix")
		goOn()
		merge := w.merges(ctx, 1)
		made, err := w.repository.CommitInfo(merge)
		Expect(err).NotTo(HaveOccurred())
		Expect(made.Parents).To(Equal([]string{hotfix, second}), "GitHub merges onto whatever is there")
		w.waits(ctx, "main", "proof in "+string(w.env("develop")))
		w.staysAt(ctx, "main", first)

		By("until somebody lets it in")
		_, err = w.person(ctx, "paula", "promote", "bypass").promotes(ctx, "main", w.release(merge), bypassing("proven", "environment/ci"))
		Expect(err).NotTo(HaveOccurred())
		w.runs(ctx, "main", merge)
		Expect(w.ledger(ctx, "main", w.release(merge)).Proof).To(Equal("None"))
	}, SpecTimeout(specLimit))

	It("that is let in is a base that is known: what comes after goes its way", func(ctx SpecContext) {
		w, first := throughPullRequests(ctx, ciGate)
		hotfix := w.write("main", "hotfix", "hotfix")
		w.pass(hotfix, "build")
		w.waits(ctx, "main", "branch main, which is at "+hotfix[:7]+" without proof in "+string(w.env("develop")))
		w.staysAt(ctx, "main", first)
		_, err := w.person(ctx, "paula", "promote", "bypass").promotes(ctx, "main", w.release(hotfix), bypassing("proven"))
		Expect(err).NotTo(HaveOccurred())
		w.runs(ctx, "main", hotfix)
		Expect(w.repository.PullRequests()).To(BeEmpty())

		second := w.write("develop", "second", "second")
		w.opens(ctx, "main", 1, second)
		w.pass(second, "build")
		w.runs(ctx, "main", w.merges(ctx, 1))
		Expect(w.attempt(ctx, "main", w.release(second)).Status.Proof).To(Equal("Lineage"))
	}, SpecTimeout(specLimit))

	It("on top of the candidate is told as diverged", func(ctx SpecContext) {
		w, _ := throughPullRequests(ctx, ciGate)
		second := w.write("develop", "second", "second")
		w.opens(ctx, "main", 1, second)
		Expect(w.repository.CreateBranch("next", second)).To(Succeed())
		ahead := w.write("next", "on top", "top")
		Expect(w.repository.ForcePush("main", ahead)).To(Succeed())
		w.pass(second, "build")
		By("which is what GitHub takes for a merge of the pull request: what was proven goes in, what was not stays out")
		w.runs(ctx, "main", second)
		w.waits(ctx, "main", "branch main, which is at "+ahead[:7]+" without proof in "+string(w.env("develop")))
		w.staysAt(ctx, "main", second)

		By("until a person lets its head in")
		w.pass(ahead, "build")
		_, err := w.person(ctx, "paula", "promote", "bypass").promotes(ctx, "main", w.release(ahead), bypassing("proven"))
		Expect(err).NotTo(HaveOccurred())
		w.runs(ctx, "main", ahead)
	}, SpecTimeout(specLimit))
})
