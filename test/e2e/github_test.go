//go:build e2e

package e2e

import (
	"maps"

	. "github.com/onsi/gomega"

	emulator "github.com/mainstem-dev/mainstem/test/github"
)

// configuration is applied in an instant, and says which commit it is of.
const configuration = `apiVersion: v1
kind: ConfigMap
metadata: {name: "${app}"}
data: {commit: "${commit}"}
`

// workload is a Deployment with one pod, which gets these labels.
func workload(labels string) string {
	return `apiVersion: apps/v1
kind: Deployment
metadata: {name: podinfo}
spec:
  selector: {matchLabels: {app: podinfo}}
  template:
    metadata: {labels: {app: podinfo` + labels + `}}
    spec: {containers: [{name: podinfo, image: ghcr.io/acme/podinfo}]}
`
}

// works is a Deployment that becomes Available, crashes one that never does: see the rig.
var works, crashes = workload(""), workload(`, mainstem.dev/rig: crash`)

const workloadFile = "deploy/workload.yaml"

// person commits, merges and closes.
const person = "ada"

// begins makes main and develop, at one commit that deploys the configuration, and these files.
func (w *team) begins(files ...map[string]string) string {
	w.t.Helper()
	content := map[string]string{"deploy/configuration.yaml": configuration}
	for _, more := range files {
		maps.Copy(content, more)
	}
	sha := w.commits("main", "first", content)
	w.Expect(w.Repository.CreateBranch("develop", sha)).To(Succeed())
	return sha
}

// commits commits files to a branch.
func (w *team) commits(branch, message string, files map[string]string) string {
	w.t.Helper()
	sha, err := w.Repository.Commit(branch, message, person, files)
	w.Expect(err).NotTo(HaveOccurred())
	return sha
}

// writes commits a message to a branch, in a file of that name: such commits never conflict.
func (w *team) writes(branch, message string) string {
	w.t.Helper()
	return w.commits(branch, message, map[string]string{"notes/" + message: message})
}

// passes lets CI pass on a commit.
func (w *team) passes(sha string, checks ...string) {
	w.t.Helper()
	for _, name := range checks {
		w.Expect(w.Repository.SetCheckRun(sha, emulator.CheckRun{Name: name, Status: "completed", Conclusion: "success"})).To(Succeed())
	}
}

// publishes publishes a GitHub release.
func (w *team) publishes(tag, target string) {
	w.t.Helper()
	_, err := w.Repository.PublishRelease(emulator.ReleaseSpec{Tag: tag, Target: target})
	w.Expect(err).NotTo(HaveOccurred())
}

// opens waits for the pull request of a number to be open at a commit, and to be in the status.
func (w *team) opens(env string, number int, head string) emulator.PullRequest {
	w.t.Helper()
	var pull emulator.PullRequest
	w.Eventually(func(g Gomega) {
		pull, _ = w.Repository.PullRequest(number)
		g.Expect(pull.State).To(Equal("open"))
		g.Expect(pull.HeadSHA).To(Equal(head))
		state := w.state(env)
		g.Expect(state.PullRequest).To(HaveValue(HaveField("Number", BeEquivalentTo(number))))
		g.Expect(state.Next).To(HaveField("Commit", head))
	}).Should(Succeed(), "pull request #%d into %s at %s", number, env, head)
	return pull
}

// merged waits until a pull request is merged, and returns the merge commit.
func (w *team) merged(number int) string {
	w.t.Helper()
	var sha string
	w.Eventually(func() string {
		pull, _ := w.Repository.PullRequest(number)
		sha = pull.MergeSHA
		return sha
	}).ShouldNot(BeEmpty(), "pull request #%d is merged", number)
	return sha
}
