//go:build e2e

package e2e

import (
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

func TestAHotfixOnMainIsDivergedAndOnlyLetInBySomebodyWhoMay(t *testing.T) {
	w, first := throughPullRequests(t, ciGate)
	hotfix := w.writes("main", "hotfix")
	w.passes(hotfix, "build")
	w.waits("main", "branch main, which is at "+hotfix[:7]+" without proof in "+string(w.Env("develop")))
	w.staysAt("main", first)

	_, err := w.person("bob", "promote").promotes("main", w.release(hotfix), bypassing("proven"))
	w.Expect(err).To(MatchError(ContainSubstring("ask for the verb bypass on environments.mainstem.dev/" + string(w.Env("main")))))
	w.staysAt("main", first)

	paula := w.person("paula", "promote", "bypass")
	_, err = paula.promotes("main", w.release(hotfix), bypassing("proven"))
	w.Expect(err).NotTo(HaveOccurred())
	w.runs("main", hotfix)
	letIn := w.succeeds("main", w.release(hotfix))
	w.Expect(letIn.Spec.RequestedBy).To(Equal(paula.Name))
	w.Expect(letIn.Status.Proof).To(Equal("None"))
	w.Expect(w.ledger("main", w.release(hotfix)).Proof).To(Equal("None"))
	w.Expect(w.Repository.PullRequests()).To(BeEmpty())

	// What was let in is a base that is known: what comes after goes its way.
	second := w.writes("develop", "second")
	w.opens("main", 1, second)
	w.passes(second, "build")
	w.runs("main", w.merged(1))
	w.Expect(w.succeeds("main", w.release(second)).Status.Proof).To(Equal("Lineage"))
}

func TestAHotfixBetweenTheGatesAndTheMergeIsNoticed(t *testing.T) {
	w, first := throughPullRequests(t, ciGate)
	second := w.writes("develop", "second")
	w.opens("main", 1, second)
	hotfix := w.writes("main", "hotfix")
	w.passes(second, "build")
	w.waits("main", "diverged branch main")
	w.Expect(w.gate("main", "proven").Message).To(ContainSubstring("branch main is at " + hotfix[:7] + ", which was never proven in " + string(w.Env("develop"))))
	w.staysAt("main", first)
	w.Expect(w.Repository.PullRequests()).To(HaveExactElements(HaveField("Merged", false)))

	// Merged back and proven there, it goes along.
	back, err := w.Repository.Merge("develop", "main", person)
	w.Expect(err).NotTo(HaveOccurred())
	w.passes(back, "build")
	w.runs("develop", back)
	w.runs("main", w.merged(1))
	w.Expect(w.Repository.Contains("main", hotfix)).To(BeTrue())
}

func TestAHotfixInTheMomentOfTheMergeIsNoticed(t *testing.T) {
	w, first := throughPullRequests(t, ciGate)
	second := w.writes("develop", "second")
	w.opens("main", 1, second)
	var merging atomic.Bool
	pushed := make(chan struct{})
	call := "/repos/" + w.Repository.FullName() + "/pulls/1/merge"
	w.GitHub.Inject(emulator.Fault{Kind: emulator.Slow, Times: 1, Until: pushed, Match: func(r *http.Request) bool {
		struck := r.Method == http.MethodPut && strings.HasSuffix(r.URL.Path, call)
		merging.CompareAndSwap(false, struck)
		return struck
	}})
	w.passes(second, "build")
	w.Eventually(merging.Load).Should(BeTrue(), "the merge is on its way")
	hotfix := w.writes("main", "hotfix")
	close(pushed)
	merge := w.merged(1)
	made, err := w.Repository.CommitInfo(merge)
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(made.Parents).To(Equal([]string{hotfix, second}), "GitHub merges onto whatever is there")

	// What the merge made was proven nowhere, and is not deployed as proven.
	w.passes(merge, "build")
	w.waits("main", "proof in "+string(w.Env("develop")))
	w.staysAt("main", first)
	_, err = w.person("paula", "promote", "bypass").promotes("main", w.release(merge), bypassing("proven"))
	w.Expect(err).NotTo(HaveOccurred())
	w.runs("main", merge)
	w.Expect(w.ledger("main", w.release(merge))).To(And(HaveField("Proof", "None"), HaveField("RejectedAt", BeNil())))
	w.Expect(w.attempt("main", w.release(merge)).Status.Phase).To(Equal(v1alpha1.PromotionSucceeded))
}
