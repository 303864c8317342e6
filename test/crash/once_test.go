//go:build e2e

package crash_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	. "github.com/onsi/gomega"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/render"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

// quiet is how long nothing may be written once there is nothing to do.
const quiet = 2 * time.Second

func releaseOf(commit string) emulator.ReleaseSpec {
	return emulator.ReleaseSpec{Tag: releaseTag, Target: commit}
}

// concerns says whether a write is about this world.
func (w *world) concerns(sent *write) bool {
	if sent.server == toGitHub {
		return strings.Contains(sent.path, fmt.Sprintf("/repos/acme/app%d/", w.n))
	}
	return strings.Contains(sent.path, "/namespaces/"+w.namespace+"/")
}

// writes are those about this world that reached GitHub and the API server, by whichever replica.
func (w *world) writes(replicas ...*replica) []*write {
	all := shared.wire.carriedOut()
	for _, r := range replicas {
		all = append(all, r.api.carriedOut()...)
	}
	all = slices.DeleteFunc(all, func(sent *write) bool { return !w.concerns(sent) })
	slices.SortStableFunc(all, func(a, b *write) int { return a.at.Compare(b.at) })
	return all
}

// expectOnce checks that the journey has arrived, that everything happened once, and that nothing happens any more.
func (j *journey) expectOnce(replicas ...*replica) {
	j.t.Helper()
	j.expectIdle(replicas...)
	j.expectEffects()
	j.expectStatuses()
	j.expectPromotions()
	writes := j.writes(replicas...)
	j.expectNoRepeats(writes)
	j.expectNoRefusals(writes)
	j.expect().Expect(shared.github.Mismatches()).To(BeEmpty())
}

// expectIdle waits until nothing is written for a while.
func (w *world) expectIdle(replicas ...*replica) {
	w.t.Helper()
	w.expect().Eventually(func(g Gomega) {
		writes := w.writes(replicas...)
		g.Expect(writes).NotTo(BeEmpty())
		last := writes[len(writes)-1]
		g.Expect(time.Since(last.at)).To(BeNumerically(">", quiet), "%s", last)
	}).Should(Succeed(), "nothing is written when there is nothing to do")
}

// expectEffects counts what happened on GitHub.
func (j *journey) expectEffects() {
	j.t.Helper()
	counts := map[emulator.EffectKind]int{}
	for _, effect := range shared.github.Effects().In(j.repository.FullName()).By(emulator.SourceAPI) {
		counts[effect.Kind]++
	}
	delete(counts, emulator.StatusCreated) // have a check of their own
	delete(counts, emulator.PullEdited)    // the description is kept true
	j.expect().Expect(counts).To(Equal(map[emulator.EffectKind]int{
		emulator.BranchCreated:    1, // of the promotion
		emulator.PullOpened:       1,
		emulator.LabelAdded:       1,
		emulator.PullSynchronized: 1, // the fix takes the change's place
		emulator.PullMerged:       1,
		emulator.BranchMoved:      2, // of the promotion, to the fix; and main, by the merge
	}))
	g := j.expect()
	g.Expect(j.repository.Head("main")).To(Equal(j.merge))
	g.Expect(j.repository.Head("develop")).To(Equal(j.fix))
}

// expectStatuses checks that no commit was told the same thing twice, and what was said last.
func (j *journey) expectStatuses() {
	j.t.Helper()
	g := j.expect()
	told, last := map[string]int{}, map[string]string{}
	for _, commit := range []string{j.first, j.change, j.fix, j.merge} {
		for _, status := range j.repository.Statuses(commit) {
			what := commit + " " + envOf(status.Context)
			told[fmt.Sprintf("%s %s %q", what, status.State, status.Description)]++
			last[what] = status.State
		}
	}
	for what, times := range told {
		g.Expect(times).To(Equal(1), what)
	}
	g.Expect(last).To(HaveKeyWithValue(j.first+" mainstem/develop", "success"))
	g.Expect(last).To(HaveKeyWithValue(j.first+" mainstem/main", "success"))
	g.Expect(last).To(HaveKeyWithValue(j.fix+" mainstem/develop", "success"))
	g.Expect(last).To(HaveKeyWithValue(j.merge+" mainstem/main", "success"))
	g.Expect(last).To(HaveKeyWithValue(j.merge+" mainstem/production", "success"))
}

// expectPromotions checks that every release has one Promotion into each environment that it entered, and how that ended.
func (j *journey) expectPromotions() {
	j.t.Helper()
	phases := map[string]v1alpha1.PromotionPhase{}
	for _, p := range j.promotions() {
		what := envOf(string(p.Spec.Environment)) + " " + p.Spec.Release
		j.expect().Expect(phases).NotTo(HaveKey(what), "one Promotion")
		phases[what] = p.Status.Phase
	}
	name := func(commit, tag string) string { return render.ReleaseName(appName, commit, tag) }
	j.expect().Expect(phases).To(Equal(map[string]v1alpha1.PromotionPhase{
		"develop " + name(j.first, ""):            v1alpha1.PromotionSucceeded,
		"develop " + name(j.change, ""):           v1alpha1.PromotionSucceeded,
		"develop " + name(j.fix, ""):              v1alpha1.PromotionSucceeded,
		"main " + name(j.first, ""):               v1alpha1.PromotionSucceeded,
		"main " + name(j.change, ""):              v1alpha1.PromotionSuperseded,
		"main " + name(j.fix, ""):                 v1alpha1.PromotionSucceeded,
		"production " + name(j.merge, releaseTag): v1alpha1.PromotionSucceeded,
	}))
}

// expectNoRepeats checks that no object of Flux and no pull request was given what it had been given before, and that no record
// was made twice.
func (j *journey) expectNoRepeats(writes []*write) {
	j.t.Helper()
	type content struct{ method, path, body string }
	seen := map[content]*write{}
	for _, sent := range writes {
		resource, _, _ := sent.resource()
		flux := resource == "gitrepositories" || resource == "kustomizations"
		once := flux || sent.method == http.MethodPost || sent.server == toGitHub
		if !once || !sent.succeeded() {
			continue
		}
		key := content{sent.method, sent.path, canonical(sent.body)}
		if sent.server == toKubernetes && sent.method == http.MethodPost {
			key.body = nameIn(sent.body)
		}
		j.expect().Expect(seen).NotTo(HaveKey(key), "%s, again after %s", sent, seen[key])
		seen[key] = sent
	}
}

// canonical is a JSON body without what the API server's answer puts into it.
func canonical(body []byte) string {
	return moments.ReplaceAllString(string(body), "")
}

func nameIn(body []byte) string {
	var object struct{ Metadata struct{ Name string } }
	_ = json.Unmarshal(body, &object) // what cannot be read has no name
	return object.Metadata.Name
}

// expectNoRefusals checks that what the rights, the policies or GitHub do not allow was not tried.
func (j *journey) expectNoRefusals(writes []*write) {
	j.t.Helper()
	for _, sent := range writes {
		refused := sent.status/100 != 2 && sent.status != http.StatusConflict && sent.status != http.StatusNotFound
		j.expect().Expect(refused).To(BeFalse(), "%s\n%s", sent, sent.body)
	}
}

// tidy waits until the sources that nothing refers to are gone.
func (w *world) tidy() {
	w.t.Helper()
	w.expect().Eventually(func(g Gomega) {
		var sources sourcev1.GitRepositoryList
		g.Expect(shared.admin.List(w.t.Context(), &sources, client.InNamespace(w.namespace))).To(Succeed())
		g.Expect(sources.Items).To(HaveLen(3), "develop, main and production each refer to one")
	}).Should(Succeed())
}
