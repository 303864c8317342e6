//go:build e2e

package e2e

import (
	"net/http"
	"sync/atomic"
	"testing"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

// rewrites makes a commit on top of another one and forces a branch to it: what the branch had besides is lost.
func (w *team) rewrites(branch, onto, message string) string {
	w.t.Helper()
	draft := "draft-of-" + message
	w.Expect(w.Repository.CreateBranch(draft, onto)).To(Succeed())
	sha := w.writes(draft, message)
	w.Expect(w.Repository.ForcePush(branch, sha)).To(Succeed())
	return sha
}

// sources are those of a commit.
func (w *team) sources(commit string) []sourcev1.GitRepository {
	w.t.Helper()
	var all sourcev1.GitRepositoryList
	w.Expect(w.Admin.List(w.t.Context(), &all, client.InNamespace(w.Namespace))).To(Succeed())
	var found []sourcev1.GitRepository
	for i := range all.Items {
		if all.Items[i].Spec.Reference.Commit == commit {
			found = append(found, all.Items[i])
		}
	}
	return found
}

func TestARollbackToWhatABranchHasLostIsRefused(t *testing.T) {
	w, first := followsMain(t)
	second := w.writes("main", "second")
	w.runs("develop", second)
	third := w.rewrites("main", first, "third")
	w.runs("develop", third)
	w.Eventually(func() []sourcev1.GitRepository { return w.sources(second) }).Should(BeEmpty(), "Flux has it no more")

	before := w.objects()
	paula := w.person("paula", "promote")
	_, err := paula.promotes("develop", w.release(second), rollingBack)
	w.Expect(err).NotTo(HaveOccurred())
	refused := w.comesTo("develop", w.release(second), v1alpha1.PromotionCancelled, v1alpha1.CommitUnreachableReason)
	w.Expect(refused.Status.Message).To(And(
		ContainSubstring("branch main was rewritten and does not lead to "+second[:7]), ContainSubstring("promote a release that the branch has")))
	w.staysAt("develop", third)
	w.Expect(w.objects()).To(Equal(before))
	w.Expect(w.ledger("develop", w.release(third)).RejectedAt).To(BeNil(), "it was not replaced")

	// Once the branch has it again, Flux can fetch it.
	w.Expect(w.Repository.ForcePush("main", second)).To(Succeed())
	w.looksAgain()
	_, err = paula.promotes("develop", w.release(second), rollingBack)
	w.Expect(err).NotTo(HaveOccurred())
	w.runs("develop", second)
}

func TestADeployOfACommitThatIsForcedAwayBeforeFluxFetchesItEnds(t *testing.T) {
	w, first := followsMain(t)
	var fetching atomic.Bool
	rewritten, call := make(chan struct{}), "/"+w.Repository.FullName()+"/info/refs"
	w.GitHub.Inject(emulator.Fault{Kind: emulator.Slow, Times: 1, Until: rewritten, Match: func(r *http.Request) bool {
		struck := r.URL.Path == call
		fetching.CompareAndSwap(false, struck)
		return struck
	}})
	second := w.writes("main", "second")
	w.Eventually(fetching.Load).Should(BeTrue(), "Flux begins to fetch")
	third := w.rewrites("main", first, "third")
	close(rewritten)
	w.Eventually(func() []sourcev1.GitRepository { return w.sources(second) }).Should(
		ConsistOf(HaveField("Status.Conditions", ContainElement(HaveField("Message", ContainSubstring("object not found"))))), "Flux cannot fetch it")
	ended := w.comesTo("develop", w.release(second), v1alpha1.PromotionCancelled, v1alpha1.CommitUnreachableReason)
	w.Expect(ended.Status.Message).To(ContainSubstring("does not lead to " + second[:7]))
	w.runs("develop", third)
	w.Expect(w.ledger("develop", w.release(second)).RejectedAt).To(BeNil(), "nobody has tried it")
}
