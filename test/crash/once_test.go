//go:build e2e

package crash_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	. "github.com/onsi/gomega"

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
		return strings.Contains(sent.path, "/repos/"+w.repository.FullName()+"/")
	}
	_, name, _ := sent.resource()
	its := strings.Contains(sent.path, "/namespaces/"+w.namespace+"/") || strings.Contains(sent.path, "/namespaces/"+w.namespace+"-")
	return its || envOf(name) != name && w.env(envOf(name)) == v1alpha1.EnvironmentName(name)
}

// writes are those about this world that reached GitHub and the API server, by whichever replica.
func (w *world) writes(replicas ...*replica) []*write {
	all := shared.wire.carriedOut()
	for _, r := range replicas {
		all = append(all, r.api.carriedOut()...)
	}
	all = slices.DeleteFunc(all, func(sent *write) bool { return !w.concerns(sent) || sent.at.Before(w.since) })
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
	j.expectDeploys(writes)
	j.expectNoRepeats(writes)
	j.expectNoRefusals(writes)
	j.expect().Expect(shared.github.Mismatches()).To(BeEmpty())
}

// expectIdle waits until nothing is written for a while, from now on.
func (w *world) expectIdle(replicas ...*replica) {
	w.t.Helper()
	began := time.Now()
	w.expect().Eventually(func(g Gomega) {
		writes := w.writes(replicas...)
		g.Expect(writes).NotTo(BeEmpty())
		last := writes[len(writes)-1]
		g.Expect(time.Since(began)).To(BeNumerically(">", quiet))
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
	expected := map[emulator.EffectKind]int{
		emulator.BranchCreated:    1, // of the promotion
		emulator.PullOpened:       1,
		emulator.LabelAdded:       1,
		emulator.ReviewRequested:  1,
		emulator.PullSynchronized: 1, // the fix takes the change's place
		emulator.PullMerged:       1,
		emulator.BranchMoved:      2, // of the promotion, to the fix; and main, by the merge
	}
	develop := j.fix
	if j.unwanted != "" { // and two more pull requests, which are not merged
		for _, kind := range []emulator.EffectKind{emulator.PullOpened, emulator.LabelAdded, emulator.ReviewRequested, emulator.BranchDeleted} {
			expected[kind] += 2
		}
		expected[emulator.BranchMoved]++   // to the unwanted change; a person closes its pull request
		expected[emulator.BranchCreated]++ // for the late one
		expected[emulator.PullClosed]++    // with its branch, when main is left
		develop = j.unstarted
	}
	g := j.expect()
	g.Expect(counts).To(Equal(expected))
	g.Expect(j.repository.Head("main")).To(Equal(j.merge))
	g.Expect(j.repository.Head("develop")).To(Equal(develop))
}

// deploys are the Releases that each environment is to run, in their order.
func (j *journey) deploys() map[string][]string {
	deploys := map[string][]string{
		"develop":    {nameOf(j.first), nameOf(j.change), nameOf(j.fix)},
		"main":       {nameOf(j.first), nameOf(j.merge)},
		"production": {render.ReleaseName(appName, j.merge, releaseTag)},
	}
	if j.unwanted != "" {
		deploys["develop"] = append(deploys["develop"], nameOf(j.unwanted), nameOf(j.broken), nameOf(j.unwanted), nameOf(j.late), nameOf(j.unstarted))
	}
	return deploys
}

// nameOf is the name of the Release of a commit.
func nameOf(commit string) string { return render.ReleaseName(appName, commit, "") }

// expectDeploys checks what was written for Flux: in each environment one write for each Release that it was to run, in their order;
// one source for each commit of a branch, which comes back only where it had gone; and no Kustomization is let go twice.
func (j *journey) expectDeploys(writes []*write) {
	j.t.Helper()
	deployed, there, left := map[string][]string{}, map[string]bool{}, map[string]int{}
	for _, sent := range writes {
		resource, name, _ := sent.resource()
		if !sent.succeeded() {
			continue
		}
		switch {
		case resource == "gitrepositories" && sent.applies():
			j.expect().Expect(there[name]).To(BeFalse(), "%s, which is there", sent)
			there[name] = true
		case resource == "gitrepositories":
			there[name] = false
		case resource == "kustomizations" && sent.applies():
			env := envOf(strings.TrimPrefix(name, appName+"-"))
			deployed[env] = append(deployed[env], sent.release())
		case resource == "kustomizations":
			left[name]++
		}
	}
	j.expect().Expect(deployed).To(Equal(j.deploys()))
	for name, times := range left {
		j.expect().Expect(times).To(Equal(1), "times that %s was let go", name)
	}
}

// expectStatuses checks that no commit was told the same thing twice, but one that came back, and what was said last.
func (j *journey) expectStatuses() {
	j.t.Helper()
	g := j.expect()
	told, last := map[string]int{}, map[string]string{}
	for _, commit := range []string{j.first, j.change, j.fix, j.merge, j.unwanted, j.broken, j.late, j.unstarted} {
		before := map[string]string{}
		for _, status := range j.repository.Statuses(commit) {
			what := commit + " " + envOf(status.Context)
			words := fmt.Sprintf("%s %s %q", what, status.State, status.Description)
			g.Expect(words).NotTo(Equal(before[what]), "said twice in a row")
			before[what] = words
			told[words]++
			last[what] = status.State
		}
	}
	for what, times := range told {
		most := 1
		if j.unwanted != "" && strings.HasPrefix(what, j.unwanted) {
			most = 2 // it came back
		}
		g.Expect(times).To(BeNumerically("<=", most), what)
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
		if env := envOf(string(p.Spec.Environment)); env != oldEnv {
			phases[fmt.Sprintf("%s %s %d", env, p.Spec.Release, p.Spec.Attempt)] = p.Status.Phase
		}
	}
	expected := map[string]v1alpha1.PromotionPhase{}
	expect := func(phase v1alpha1.PromotionPhase, env string, releases ...string) {
		for _, release := range releases {
			expected[fmt.Sprintf("%s %s 1", env, release)] = phase
		}
	}
	expect(v1alpha1.PromotionSucceeded, "develop", nameOf(j.first), nameOf(j.change), nameOf(j.fix))
	expect(v1alpha1.PromotionSucceeded, "main", nameOf(j.first), nameOf(j.fix))
	expect(v1alpha1.PromotionSuperseded, "main", nameOf(j.change))
	expect(v1alpha1.PromotionSucceeded, "production", render.ReleaseName(appName, j.merge, releaseTag))
	if j.unwanted != "" {
		expect(v1alpha1.PromotionSucceeded, "develop", nameOf(j.unwanted), nameOf(j.late))
		expect(v1alpha1.PromotionFailed, "develop", nameOf(j.broken))
		expect(v1alpha1.PromotionCancelled, "develop", nameOf(j.unstarted))
		expect(v1alpha1.PromotionCancelled, "main", nameOf(j.unwanted), nameOf(j.late))
		expected[fmt.Sprintf("develop %s %d", nameOf(j.unwanted), backAttempt)] = v1alpha1.PromotionSucceeded
	}
	j.expect().Expect(phases).To(Equal(expected))
}

// expectNoRepeats checks that no source and no pull request was given what it had been given before, and that no record was made
// twice.
func (j *journey) expectNoRepeats(writes []*write) {
	j.t.Helper()
	type content struct{ method, path, body string }
	seen := map[content]*write{}
	for _, sent := range writes {
		resource, _, _ := sent.resource()
		once := resource == "gitrepositories" || sent.method == http.MethodPost || sent.server == toGitHub
		if sent.method == http.MethodDelete && sent.succeeded() {
			maps.DeleteFunc(seen, func(c content, _ *write) bool { return c.path == sent.path }) // it may come back
			continue
		}
		if !once || !sent.succeeded() {
			continue
		}
		if strings.HasPrefix(sent.kind, "say ") {
			continue // what is said of a commit changes, and may change back
		}
		key := content{sent.method, sent.path, canonical(sent.body)}
		switch {
		case sent.server == toKubernetes && sent.method == http.MethodPost:
			key.body = nameIn(sent.body)
		case sent.kind == editPull:
			key.body = string(sent.body) // it says until when gates wait, and that may change
		}
		j.expect().Expect(seen).NotTo(HaveKey(key), "%s, again after %s: %s", sent, seen[key], sent.body)
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
