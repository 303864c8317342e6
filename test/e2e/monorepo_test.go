//go:build e2e

package e2e

import (
	"fmt"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/render"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

func TestTwoApplicationsOfARepositoryShareItsCommitsAndTheirStatus(t *testing.T) {
	w := newTeam(t)
	files := map[string]string{}
	for _, name := range []string{"api", "web"} {
		files[name+"/deploy/configuration.yaml"] = configuration
	}
	first := w.commits("main", "first", files)
	w.environment("develop", "")
	w.environment("main", "", "develop")
	api, web := w.component("api"), w.component("web")
	for _, app := range []*team{api, web} {
		app.runs("main", first)
	}
	w.Expect(api.source("main").UID).To(Equal(web.source("develop").UID), "one source for all")
	w.tells(first, "develop", "success", "deployed and healthy")
	w.tells(first, "main", "success", "deployed and healthy")

	// A commit goes on for one of them while the other is held.
	hold, err := w.person("holly", "hold").holds(w.Namespace, "main", func(spec *v1alpha1.HoldSpec) { spec.Application = web.app })
	w.Expect(err).NotTo(HaveOccurred())
	second := w.commits("main", "second", map[string]string{"api/notes": "second", "web/notes": "second"})
	api.runs("main", second)
	web.runs("develop", second)
	web.waits("main", "hold: an audit")
	w.tells(second, "develop", "success", "deployed and healthy")
	w.tells(second, "main", "pending", w.Namespace+"/web: ")
	web.staysAt("main", first)
	w.Expect(w.Admin.Delete(t.Context(), hold)).To(Succeed())
	web.runs("main", second)
	w.tells(second, "main", "success", "deployed and healthy")

	// A commit that breaks one of them leaves the other alone.
	third := w.commits("main", "third", map[string]string{"api/notes": "third", "web/deploy/workload.yaml": crashes})
	api.runs("main", third)
	web.comesTo("develop", web.release(third), v1alpha1.PromotionFailed, v1alpha1.FluxFailedReason)
	w.tells(third, "develop", "failure", w.Namespace+"/web: ")
	web.staysAt("main", second)
	w.Expect(api.ledger("develop", api.release(third)).ProvenAt).NotTo(BeNil())

	// One that mends it goes on for both.
	fourth := w.commits("main", "fourth", map[string]string{"web/deploy/workload.yaml": works})
	for _, app := range []*team{api, web} {
		app.runs("main", fourth)
	}
	for _, env := range []string{"develop", "main"} {
		w.tells(fourth, env, "success", "deployed and healthy")
	}
	w.Expect(web.attempt("main", web.release(third)).Name).To(BeEmpty())
}

// component declares the Application of a directory of the repository, on pinned environments.
func (w *team) component(name string) *team {
	w.t.Helper()
	app := w.called(name)
	draft := app.draft("- {name: develop#, source: {branch: main}}\n- {name: main#}\n")
	draft.Spec.Deploy.Kustomize.Path = fmt.Sprintf("./%s/deploy", name)
	app.create(draft)
	return app
}

// tells waits until the newest commit status about an environment has a state, and a description that holds these words.
func (w *team) tells(commit, env, state, words string) {
	w.t.Helper()
	w.Eventually(func() emulator.Status {
		var newest emulator.Status
		for _, status := range w.Repository.Statuses(commit) {
			if status.Context == render.CommitStatusContext(w.Env(env)) {
				newest = status
			}
		}
		return newest
	}).Should(And(HaveField("State", state), HaveField("Description", ContainSubstring(words))), "%s about %s", commit, env)
}
