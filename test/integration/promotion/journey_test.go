// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package promotion

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

var _ = Describe("A release", func() {
	It("goes from develop through a pull request to main, and as a GitHub release to production", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.firstCommit()
		w.environment(ctx, "develop", "")
		w.environment(ctx, "main", `gates: [{name: ci, checks: {required: [build, test]}}, {name: soak, soak: {duration: 1s}}]`, "develop")
		w.environment(ctx, "production", "", "main")
		sha := w.commit("develop", "second")
		w.application(ctx, `
- {name: develop#, source: {branch: develop}}
- {name: main#, source: {branch: main}, pullRequest: {labels: [promotion]}}
- {name: production#, source: {release: {}}}
`)
		By("deploying the head of develop")
		w.runs(ctx, "develop", sha)

		By("opening a pull request from the very commit")
		Eventually(func(g Gomega) {
			pull := w.state(ctx, "main").PullRequest
			g.Expect(pull).NotTo(BeNil(), "%s", w.story(ctx))
			g.Expect(pull.State).To(Equal(v1alpha1.PullRequestOpen))
		}).WithContext(ctx).Should(Succeed())
		Expect(w.repository.PullRequests()).To(HaveLen(1))
		Expect(w.repository.PullRequests()[0].HeadSHA).To(Equal(sha))
		w.waits(ctx, "main", "checks: build, test")

		By("merging when the checks are green and the soak is over")
		w.pass(sha, "build", "test")
		Eventually(func() string { return w.repository.PullRequests()[0].MergeSHA }).WithContext(ctx).ShouldNot(BeEmpty(), w.told(ctx))
		merge := w.repository.PullRequests()[0].MergeSHA
		w.runs(ctx, "main", merge)

		By("telling people on GitHub")
		Eventually(func() []emulator.Status { return w.repository.Statuses(merge) }).WithContext(ctx).Should(ContainElement(And(
			HaveField("Context", "mainstem/"+string(w.env("main"))), HaveField("State", "success"))))

		By("deploying the GitHub release of the merge, proven by its commit")
		_, err := w.repository.PublishRelease(emulator.ReleaseSpec{Tag: "v1.0.0", Target: merge})
		Expect(err).NotTo(HaveOccurred())
		w.runs(ctx, "production", merge)
		Expect(w.state(ctx, "production").Current.Version).To(Equal("1.0.0"))
		promotions := w.promotions(ctx, "production")
		Expect(promotions).To(HaveLen(1))
		Expect(promotions[0].Status.Proof).To(Equal("Commit"))
		Expect(github.Mismatches()).To(BeEmpty())
	}, SpecTimeout(specLimit))
})
