//go:build e2e

package e2e

import (
	"testing"
	"time"

	. "github.com/onsi/gomega"
	apimeta "k8s.io/apimachinery/pkg/api/meta"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
	"github.com/mainstem-dev/mainstem/test/journey"
)

func TestAPullRequestThatAPersonMergesTooEarlyIsDeployedOnceTheGatesPass(t *testing.T) {
	w, first := throughPullRequests(t, ciGate)
	second := w.writes("develop", "second")
	w.opens("main", 1, second)
	merge, err := w.Repository.MergePullRequest(1, emulator.MergeCommit, person)
	w.Expect(err).NotTo(HaveOccurred())
	w.Eventually(func() *v1alpha1.PullRequestStatus { return w.state("main").PullRequest }).Should(HaveValue(And(
		HaveField("State", v1alpha1.PullRequestMerged), HaveField("MergeCommit", merge), HaveField("MergedBy", person))))
	w.waits("main", "checks: build")
	w.staysAt("main", first)

	w.passes(second, "build")
	w.runs("main", merge)
	promotion := w.succeeds("main", w.release(second))
	w.Expect(promotion.Status.DeployedRelease).To(Equal(w.release(merge)))
	w.Expect(w.Repository.PullRequests()).To(HaveLen(1))
}

func TestAPullRequestThatAPersonClosesIsDeclinedUntilAPersonPromotes(t *testing.T) {
	w, first := throughPullRequests(t, ciGate)
	second := w.writes("develop", "second")
	w.opens("main", 1, second)
	w.Expect(w.Repository.ClosePullRequest(1, person)).To(Succeed())
	declined := w.comesTo("main", w.release(second), v1alpha1.PromotionCancelled, v1alpha1.DeclinedReason)
	w.passes(second, "build")
	w.staysAt("main", first)
	w.waits("main", "was rejected here (Declined)")
	w.Expect(w.Repository.PullRequests()).To(HaveExactElements(HaveField("State", "closed")))

	// In a later second: times in the API have no parts of one.
	w.Eventually(time.Now).Should(BeTemporally(">", declined.Status.FinishedAt.Add(time.Second)))
	_, err := w.person("paula", "promote").promotes("main", w.release(second))
	w.Expect(err).NotTo(HaveOccurred())
	w.runs("main", w.merged(2))
	w.Eventually(func() v1alpha1.LedgerEntry { return w.ledger("main", w.release(second)) }).Should(HaveField("RejectedAt", BeNil()))

	// A newer one goes by itself.
	third := w.writes("develop", "third")
	w.opens("main", 3, third)
	w.passes(third, "build")
	w.runs("main", w.merged(3))
}

func TestABranchOfOursThatAPersonPushesToIsStalledAndLeftAlone(t *testing.T) {
	w, first := throughPullRequests(t, ciGate)
	second := w.writes("develop", "second")
	w.opens("main", 1, second)
	pushed := w.writes(journey.PromotionBranch, "one more thing")
	stalled := w.comesTo("main", w.release(second), v1alpha1.PromotionPending, v1alpha1.BranchMovedReason)
	w.Expect(stalled.Status.Message).To(ContainSubstring("somebody pushed " + pushed[:7]))
	w.Expect(apimeta.IsStatusConditionTrue(stalled.Status.Conditions, v1alpha1.StalledCondition)).To(BeTrue())
	w.passes(second, "build")
	w.passes(pushed, "build")
	w.staysAt("main", first)
	w.Expect(w.Repository.Head(journey.PromotionBranch)).To(Equal(pushed), "it is not overwritten")
	w.Expect(w.Repository.PullRequests()).To(HaveExactElements(HaveField("State", "open")))

	// Not by something newer either.
	third := w.writes("develop", "third")
	w.runs("develop", third)
	w.passes(third, "build")
	w.staysAt("main", first)
	w.Expect(w.Repository.Head(journey.PromotionBranch)).To(Equal(pushed))

	// Taking it back mends it.
	w.Expect(w.Repository.ForcePush(journey.PromotionBranch, second)).To(Succeed())
	w.runs("main", w.merged(1))
}
