// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package promotion

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

var _ = Describe("The way into an environment", func() {
	It("is the very commit that is proven upstream, over three environments", func(ctx SpecContext) {
		w := newWorld(ctx)
		first := w.commit("main", "first")
		w.environment(ctx, "develop", "")
		w.environment(ctx, "staging", "", "develop")
		w.environment(ctx, "production", "", "staging")
		w.application(ctx, `
- {name: develop#, source: {branch: main}}
- {name: staging#}
- {name: production#}
`)
		w.runs(ctx, "production", first)
		second := w.commit("main", "second")
		w.runs(ctx, "production", second)

		By("one step at a time, and proven by the commit itself")
		for _, env := range []string{"staging", "production"} {
			promotion := w.comesTo(ctx, env, w.release(second), v1alpha1.PromotionSucceeded, v1alpha1.SucceededReason)
			Expect(promotion.Status.Proof).To(Equal("Commit"))
			Expect(promotion.Status.DeployedRelease).To(Equal(promotion.Spec.Release))
		}
		upstream := w.attempt(ctx, "develop", w.release(second)).Status
		Expect(upstream.Proof).To(BeEmpty(), "an entry environment has no upstream that could prove anything")
		Expect(w.attempt(ctx, "staging", w.release(second)).Status.DeployStartedAt.Time).NotTo(BeTemporally("<", upstream.FinishedAt.Time))

		By("from one source that all of them share")
		used := map[string]bool{}
		for _, env := range []string{"develop", "staging", "production"} {
			k, err := w.kustomization(ctx, env)
			Expect(err).NotTo(HaveOccurred())
			used[k.Spec.SourceRef.Name] = true
		}
		Expect(used).To(HaveLen(1))
		Expect(w.repository.PullRequests()).To(BeEmpty())
	}, SpecTimeout(specLimit))

	It("is the head of a branch, once that is proven by its commit, its content or its lineage", func(ctx SpecContext) {
		w := newWorld(ctx)
		first := w.firstCommit()
		w.environment(ctx, "develop", "")
		w.environment(ctx, "main", "", "develop")
		w.application(ctx, `
- {name: develop#, source: {branch: develop}}
- {name: main#, source: {branch: main}}
`)
		By("by its commit")
		w.runs(ctx, "main", first)
		proof := func(commit string) string {
			w.runs(ctx, "main", commit)
			return w.comesTo(ctx, "main", w.release(commit), v1alpha1.PromotionSucceeded, v1alpha1.SucceededReason).Status.Proof
		}
		Expect(proof(first)).To(Equal("Commit"))

		By("by its content: a merge commit with the tree of what it merges")
		w.runs(ctx, "develop", w.write("develop", "second", "second"))
		merge, err := w.repository.Merge("main", "develop", "ada")
		Expect(err).NotTo(HaveOccurred())
		Expect(proof(merge)).To(Equal("Content"))

		By("not when it has something of its own")
		own := w.write("main", "only here", "hotfix")
		w.waits(ctx, "main", "is not proven in "+string(w.env("develop")))
		w.staysAt(ctx, "main", merge)
		_, err = w.person(ctx, "paula", "promote", "bypass").promotes(ctx, "main", w.release(own), bypassing("proven"))
		Expect(err).NotTo(HaveOccurred())
		Expect(proof(own)).To(Equal("None"))

		By("by its lineage: what it merges was proven, and what it is merged onto was let in")
		for _, method := range []string{emulator.MergeCommit, emulator.Rebase, emulator.Squash} {
			w.runs(ctx, "develop", w.write("develop", "for a "+method, method))
			number, err := w.repository.OpenPullRequest(emulator.NewPullRequest{Title: method, Head: "develop", Base: "main", Login: "ada"})
			Expect(err).NotTo(HaveOccurred())
			sha, err := w.repository.MergePullRequest(number, method, "ada")
			Expect(err).NotTo(HaveOccurred())
			Expect(proof(sha)).To(Equal("Lineage"), method)
		}
	}, SpecTimeout(specLimit))

	It("leads through branches with Unicode and what a shell would take for its own", func(ctx SpecContext) {
		w := newWorld(ctx)
		const develop, main = "größe/版本;$(touch-x)`id`&|<>'\"#%2F!", "$HOME/#1=%00+"
		first := w.commit("main", "first")
		Expect(w.repository.CreateBranch(develop, first)).To(Succeed())
		Expect(w.repository.CreateBranch(main, first)).To(Succeed())
		w.environment(ctx, "develop", "")
		w.environment(ctx, "main", "", "develop")
		app := w.draft("- {name: develop#, source: {branch: x}}\n- {name: main#, source: {branch: x}, pullRequest: {}}")
		app.Spec.Environments[0].Source.Branch = develop
		app.Spec.Environments[1].Source.Branch = main
		w.submit(ctx, app)
		w.runs(ctx, "main", first)
		second := w.write(develop, "second", "second")
		w.runs(ctx, "main", w.merges(ctx, 1))
		pull, _ := w.repository.PullRequest(1)
		Expect(pull).To(And(HaveField("HeadSHA", second), HaveField("BaseRef", main), HaveField("HeadRef", "mainstem/"+instance+"/"+main)))
		Expect(w.source(ctx, w.made(ctx, "develop").Spec.SourceRef.Name).Spec.Reference).To(HaveField("Branch", develop))
		Expect(github.Mismatches()).To(BeEmpty())
	}, SpecTimeout(specLimit))

	It("is what GitHub publishes, in range and not in draft", func(ctx SpecContext) {
		w := newWorld(ctx)
		first := w.commit("main", "first")
		w.environment(ctx, "production", "")
		w.publish("v1.0.0", first)
		w.application(ctx, `
- {name: production#, source: {release: {semver: ">=1.0.0 <2.0.0"}}}
`)
		w.runs(ctx, "production", first)
		Expect(w.state(ctx, "production").Current.Version).To(Equal("1.0.0"))

		second := w.commit("main", "second")
		draft, err := w.repository.PublishRelease(emulator.ReleaseSpec{Tag: "v1.1.0", Target: second, Draft: true})
		Expect(err).NotTo(HaveOccurred())
		_, err = w.repository.PublishRelease(emulator.ReleaseSpec{Tag: "v1.2.0", Target: second, Prerelease: true})
		Expect(err).NotTo(HaveOccurred())
		w.publish("v1.3.0-rc.1", second)
		w.publish("v2.0.0", second)
		w.publish("latest", second)
		w.staysAt(ctx, "production", first)
		for _, tag := range []string{"v1.1.0", "v1.2.0", "v1.3.0-rc.1", "v2.0.0", "latest"} {
			Expect(w.hasRelease(ctx, tag)).To(BeFalse(), tag)
		}

		By("taking the draft once it is published")
		Expect(w.repository.PublishDraft(draft)).To(Succeed())
		w.runs(ctx, "production", second)
		Expect(w.state(ctx, "production").Current.Version).To(Equal("1.1.0"))

		By("taking an annotated tag for the commit that it is about")
		third := w.commit("main", "third")
		_, err = w.repository.AnnotatedTag("v1.4.0", third, "The fourth")
		Expect(err).NotTo(HaveOccurred())
		w.publish("v1.4.0", third)
		w.runs(ctx, "production", third)

		By("leaving an older version that is published late")
		w.publish("v1.3.0", w.commit("main", "for the old ones"))
		w.staysAt(ctx, "production", third)
	}, SpecTimeout(specLimit))

	It("is what GitHub publishes, once its commit is proven upstream", func(ctx SpecContext) {
		w := newWorld(ctx)
		first := w.commit("main", "first")
		w.environment(ctx, "develop", "")
		w.environment(ctx, "production", "", "develop")
		w.application(ctx, `
- {name: develop#, source: {branch: main}}
- {name: production#, source: {release: {prereleases: true}}}
`)
		w.runs(ctx, "develop", first)
		w.staysEmpty(ctx, "production")

		By("candidate and final version on one commit")
		for _, version := range []string{"1.0.0-rc.1", "1.0.0"} {
			w.publish("v"+version, first)
			Eventually(func() *v1alpha1.CurrentRelease { return w.state(ctx, "production").Current }).WithContext(ctx).
				Should(And(Not(BeNil()), HaveField("Version", version), HaveField("Commit", first)), w.told(ctx))
			promotion := w.comesTo(ctx, "production", w.release(first, "v"+version), v1alpha1.PromotionSucceeded, v1alpha1.SucceededReason)
			Expect(promotion.Status.Proof).To(Equal("Commit"))
		}

		By("keeping out what never ran upstream, and saying so")
		side, err := w.repository.Commit("side", "aside", "ada", map[string]string{"aside": "aside"})
		Expect(err).NotTo(HaveOccurred())
		w.publish("v1.1.0", side)
		w.waits(ctx, "production", "is not proven in "+string(w.env("develop")))
		w.staysAt(ctx, "production", first)
		state := w.state(ctx, "production")
		Expect(state.Next).To(HaveField("Version", "1.1.0"), w.told(ctx))
		Expect(state.Phase).To(Equal(v1alpha1.EnvironmentWaiting))
		Expect(state.Gates).To(ContainElement(And(HaveField("Name", "proven"), HaveField("Outcome", v1alpha1.GateWaiting))))

		By("letting it in once it ran there")
		Expect(w.repository.ForcePush("main", side)).To(Succeed())
		w.runs(ctx, "production", side)
		Expect(w.state(ctx, "production").Current.Version).To(Equal("1.1.0"))
	}, SpecTimeout(specLimit))

	It("is a pull request that a person merges, where it says merge: Manual", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.firstCommit()
		w.environment(ctx, "develop", "")
		w.environment(ctx, "main", "", "develop")
		sha := w.commit("develop", "second")
		w.application(ctx, `
- {name: develop#, source: {branch: develop}}
- {name: main#, source: {branch: main}, pullRequest: {merge: Manual}}
`)
		w.opens(ctx, "main", 1, sha)
		w.waits(ctx, "main", "waiting for a person to merge pull request #1")
		w.staysEmpty(ctx, "main")
		Expect(w.repository.PullRequests()).To(HaveExactElements(HaveField("Merged", false)))
		Eventually(func() []emulator.Status { return w.repository.Statuses(sha) }).WithContext(ctx).Should(ContainElement(And(
			HaveField("Context", "mainstem/"+string(w.env("main"))), HaveField("State", "success"))), "the gates have passed")

		merge, err := w.repository.MergePullRequest(1, emulator.MergeCommit, "ada")
		Expect(err).NotTo(HaveOccurred())
		w.runs(ctx, "main", merge)
		promotion := w.comesTo(ctx, "main", w.release(sha), v1alpha1.PromotionSucceeded, v1alpha1.SucceededReason)
		Expect(promotion.Status.PullRequest).To(And(HaveField("MergedBy", "ada"), HaveField("MergeCommit", merge), HaveField("State", v1alpha1.PullRequestMerged)))
		Expect(promotion.Status.DeployedRelease).To(Equal(w.release(merge)))
	}, SpecTimeout(specLimit))

	It("waits for a person to ask, where it says promotion: Manual", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.firstCommit()
		w.environment(ctx, "develop", "")
		w.environment(ctx, "main", "promotion: Manual", "develop")
		sha := w.commit("develop", "second")
		w.application(ctx, `
- {name: develop#, source: {branch: develop}}
- {name: main#, source: {branch: main}, pullRequest: {}}
`)
		w.runs(ctx, "develop", sha)
		w.waits(ctx, "main", "a person starts promotions into this environment: create a Promotion")
		w.staysEmpty(ctx, "main")
		Expect(w.promotions(ctx, "main")).To(BeEmpty())
		Expect(w.repository.PullRequests()).To(BeEmpty())

		paula := w.person(ctx, "paula", "promote")
		_, err := paula.promotes(ctx, "main", w.release(sha))
		Expect(err).NotTo(HaveOccurred())
		merge := w.merges(ctx, 1)
		w.runs(ctx, "main", merge)
		promotion := w.comesTo(ctx, "main", w.release(sha), v1alpha1.PromotionSucceeded, v1alpha1.SucceededReason)
		Expect(promotion.Spec.RequestedBy).To(Equal(paula.Name))
		Expect(promotion.Status.Proof).To(Equal("Content"))
	}, SpecTimeout(specLimit))
})
