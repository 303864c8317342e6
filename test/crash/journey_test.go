//go:build e2e

package crash_test

import . "github.com/onsi/gomega"

// journey is what a team does until a change is in production: a first commit, which is in develop and main from the beginning; a
// change, for which the pull request is opened; another one, which takes its place; its checks, after which it is merged; and the
// release of what the merge made.
type journey struct {
	*world
	first, change, fix, merge string
}

const releaseTag = "v1.0.0"

// travel goes all the way. Each step waits for the one before it, as people do.
func (w *world) travel() *journey {
	w.t.Helper()
	j := &journey{world: w}
	for _, step := range []func(){j.begin, j.propose, j.replace, j.approve, j.release} {
		step()
	}
	return j
}

// begin brings the first commit to develop and, as both branches hold the same, to main.
func (j *journey) begin() {
	j.t.Helper()
	j.first = j.commit("main", "first")
	j.expect().Expect(j.repository.CreateBranch("develop", j.first)).To(Succeed())
	j.pass(j.first)
	j.declare()
	j.runs("develop", j.first)
	j.runs("main", j.first)
}

// propose commits a change, and waits for the pull request.
func (j *journey) propose() {
	j.t.Helper()
	j.change = j.commit("develop", "change")
	j.runs("develop", j.change)
	j.opened(j.change)
}

// replace commits another change while the first one waits for its checks.
func (j *journey) replace() {
	j.t.Helper()
	j.fix = j.commit("develop", "fix")
	j.runs("develop", j.fix)
	j.opened(j.fix)
}

// approve lets the checks pass, and waits for the merge and its deploy.
func (j *journey) approve() {
	j.t.Helper()
	j.pass(j.fix)
	j.merge = j.merged()
	j.runs("main", j.merge)
}

// release publishes the merge as a GitHub release, and waits for it in production.
func (j *journey) release() {
	j.t.Helper()
	_, err := j.repository.PublishRelease(releaseOf(j.merge))
	j.expect().Expect(err).NotTo(HaveOccurred())
	j.runs("production", j.merge)
}
