//go:build e2e

package e2e

import (
	"fmt"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

func TestCommitsThatLandEveryFewSecondsDoNotKeepMainFromGettingOne(t *testing.T) {
	const soak, every = 8 * time.Second, 2 * time.Second
	w, first := throughPullRequests(t, "gates: [{name: soak, soak: {duration: 8s}}]")
	head, commits := first, 0
	// Twice, so that it is no accident.
	for range 2 {
		before := w.state("main").Current.Commit
		w.Eventually(func(g Gomega) {
			commits++
			head = w.writes("develop", fmt.Sprintf("commit-%d", commits))
			g.Expect(w.state("main").Current).To(HaveValue(HaveField("Commit", Not(Equal(before)))))
		}).WithPolling(every).Should(Succeed(), "main gets a release while commits land")
	}
	for _, promotion := range w.promotions("main") {
		if promotion.Status.Phase == v1alpha1.PromotionSucceeded && promotion.Spec.Release != w.release(first) {
			proven := w.ledger("develop", promotion.Spec.Release).ProvenAt
			w.Expect(promotion.Status.DeployStartedAt.Time).NotTo(BeTemporally("<", proven.Add(soak)), "it has soaked")
		}
	}

	// When it is quiet again, the newest goes in.
	w.runs("develop", head)
	w.Eventually(func() (bool, error) { return w.Repository.Contains("main", head) }).Should(BeTrue())
	w.runs("main", w.Repository.Head("main"))
}
