//go:build e2e

package e2e

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

func TestAReleaseThatNeverBecomesAvailableIsRejectedAndStaysOutOfMain(t *testing.T) {
	w := newTeam(t)
	first := w.begins(map[string]string{workloadFile: works})
	w.environment("develop", "")
	w.environment("main", "", "develop")
	w.application(`
- {name: develop#, source: {branch: develop}}
- {name: main#, source: {branch: main}, pullRequest: {}}
`)
	w.runs("main", first)

	// It runs in develop as far as it comes: Flux has applied it, and its Deployment does not become Available.
	bad := w.commits("develop", "crash", map[string]string{workloadFile: crashes})
	failed := w.ends("develop", w.release(bad), v1alpha1.PromotionFailed, v1alpha1.FluxFailedReason)
	w.Expect(failed.Status.Message).To(ContainSubstring("Deployment/" + w.target("develop") + "/podinfo"))
	w.Expect(w.applied("develop")).To(Equal(bad))
	w.Expect(w.ledger("develop", w.release(bad))).To(And(HaveField("ProvenAt", BeNil()), HaveField("RejectedAt", Not(BeNil()))))
	w.staysAt("main", first)
	w.Expect(w.Repository.PullRequests()).To(BeEmpty())
	w.Expect(w.promotions("main")).To(HaveLen(1), "the first commit's")
	w.Expect(w.state("develop")).To(HaveField("Phase", v1alpha1.EnvironmentFailed))

	// A newer one that works goes all the way.
	good := w.commits("develop", "mend", map[string]string{workloadFile: works, "notes/mended": "it did not start"})
	w.runs("develop", good)
	w.runs("main", w.merged(1))
	w.Expect(w.promotions("develop")).To(HaveLen(3), "the bad one is not tried again")
	w.Expect(w.Repository.PullRequests()).To(HaveExactElements(HaveField("HeadSHA", good)))
}
