//go:build e2e

package e2e

import (
	"testing"

	. "github.com/onsi/gomega"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

func TestARollbackByHandHoldsUntilANewerReleaseGoesOn(t *testing.T) {
	w, first := throughPullRequests(t, "")
	second := w.writes("develop", "second")
	good := w.merged(1)
	w.runs("main", good)
	third := w.writes("develop", "third")
	bad := w.merged(2)
	w.runs("main", bad)

	// Who may not promote does not roll back either.
	_, err := w.person("bob").promotes("main", w.release(good), rollingBack)
	w.Expect(err).To(MatchError(ContainSubstring("ask for the verb promote on environments.mainstem.dev/" + string(w.Env("main")))))
	paula := w.person("paula", "promote")
	_, err = paula.promotes("main", w.release(good), rollingBack)
	w.Expect(err).NotTo(HaveOccurred())
	w.runs("main", good)
	back := w.succeeds("main", w.release(good))
	w.Expect(back.Spec).To(And(HaveField("Rollback", true), HaveField("RequestedBy", paula.Name)))
	w.Expect(w.ledger("main", w.release(bad))).To(And(HaveField("RejectedAt", Not(BeNil())), HaveField("Reason", v1alpha1.RolledBackReason)))

	// It does not come back by itself, and nothing upstream and nothing on GitHub is turned back.
	w.staysAt("main", good)
	w.Expect(w.state("main")).To(And(HaveField("Phase", Not(Equal(v1alpha1.EnvironmentDeploying))), HaveField("WaitingFor", ContainSubstring(v1alpha1.RolledBackReason))))
	w.Expect(w.state("develop").Current).To(HaveField("Commit", third))
	w.Expect(w.Repository.Head("main")).To(Equal(bad))
	w.Expect(w.Repository.PullRequests()).To(HaveLen(2))

	// A second step back, to what was there before.
	_, err = paula.promotes("main", w.release(first), rollingBack)
	w.Expect(err).NotTo(HaveOccurred())
	w.runs("main", first)
	w.staysAt("main", first)

	// A newer one goes on by itself.
	fourth := w.writes("develop", "fourth")
	w.runs("main", w.merged(3))
	w.Expect(w.succeeds("main", w.release(fourth)).Status.Proof).To(Equal("Content"))
	w.staysAt("main", w.merged(3))
	w.Expect(w.Repository.PullRequests()).To(HaveLen(3))
	for _, release := range []string{w.release(second), w.release(third)} {
		w.Expect(w.attempt("main", release).Spec.Attempt).To(BeEquivalentTo(1), "%s is promoted once", release)
	}
	w.Expect(w.GitHub.Effects().In(w.Repository.FullName()).By(emulator.SourceAPI).Count(emulator.PullMerged)).To(Equal(3))
}
