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
	w.application(byPullRequest)
	w.runs("main", first)

	// It runs in develop as far as it comes: Flux has applied it, and its Deployment does not become Available.
	bad := w.commits("develop", "crash", map[string]string{workloadFile: crashes})
	failed := w.comesTo("develop", w.release(bad), v1alpha1.PromotionFailed, v1alpha1.FluxFailedReason)
	w.Expect(failed.Status.Message).To(ContainSubstring("Deployment/" + w.target("develop") + "/podinfo"))
	w.Expect(w.applied("develop")).To(Equal(bad))
	w.staysAt("main", first)
	w.Expect(w.ledger("develop", w.release(bad))).To(And(HaveField("ProvenAt", BeNil()), HaveField("RejectedAt", Not(BeNil()))))
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

func TestADirectoryThatIsMissingOnABranchOfWhateverNameIsToldAndTheDeployGoesOnOnceItIsMended(t *testing.T) {
	const develop, main = "größe/版本;$(touch-x)`id`&|<>'\"#%2F!", "$HOME/#1=%00+"
	w := newTeam(t)
	first := w.begins()
	w.Expect(w.Repository.CreateBranch(develop, first)).To(Succeed())
	w.Expect(w.Repository.CreateBranch(main, first)).To(Succeed())
	w.environment("develop", "")
	w.environment("main", "", "develop")
	app := w.draft("- {name: develop#, source: {branch: x}}\n- {name: main#, source: {branch: x}, pullRequest: {}}\n")
	app.Spec.Environments[0].Source.Branch, app.Spec.Environments[1].Source.Branch = develop, main
	app.Spec.Deploy.Kustomize.Path = "./nowhere"
	w.create(app)
	told := "Flux says: kustomization path not found: stat /nowhere: no such file or directory: correct deploy.kustomize.path, or push the directory"
	w.waits("develop", told)
	w.Expect(w.applied("develop")).To(BeEmpty())
	before := w.comesTo("develop", w.release(first), v1alpha1.PromotionDeploying, v1alpha1.DeployingReason)

	// In the same words when Flux tries again, in another directory of its own.
	w.handles(w.made("develop"))
	w.looksAgain()
	w.Expect(w.attempt("develop", w.release(first)).ResourceVersion).To(Equal(before.ResourceVersion))
	w.Expect(w.state("develop").WaitingFor).To(ContainSubstring(told))

	w.edit(func(spec *v1alpha1.ApplicationSpec) { spec.Deploy.Kustomize.Path = "./deploy" })
	w.runs("develop", first)
	w.runs("main", first)
	second := w.writes(develop, "second")
	w.runs("develop", second)
	w.runs("main", w.merged(1))
	w.Expect(w.Repository.PullRequests()).To(HaveExactElements(And(HaveField("HeadSHA", second), HaveField("BaseRef", main))))
	w.Expect(w.source("develop").Spec.Reference).To(HaveField("Branch", develop))
}
