// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"cmp"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

var update = flag.Bool("update", false, "write the golden files anew")

// narrator tells a story in a world: what people and machines do, and what status says then.
type narrator struct {
	*world
	t     *testing.T
	told  int
	story strings.Builder
}

func narrate(t *testing.T, s *scene) *narrator {
	t.Helper()
	return &narrator{world: newWorld(s), t: t}
}

// when does something, lets the operator come to rest, and tells what is so then.
func (n *narrator) when(what string, does func()) {
	n.t.Helper()
	does()
	for round := 0; ; round++ {
		before := n.writes
		if _, err := n.reconcile(); err != nil {
			n.t.Fatalf("reconciling: %v", err)
		}
		if n.writes == before {
			break
		}
		if round > 20 {
			n.t.Fatal("the operator does not come to rest")
		}
	}
	fmt.Fprintf(&n.story, "## %s\n\n", what)
	for _, line := range n.record.log[n.told:] {
		fmt.Fprintf(&n.story, "    %s\n", line)
	}
	n.told = len(n.record.log)
	status := n.api.application.Status
	fmt.Fprintf(&n.story, "\n%s\n", status.Summary)
	for i := range status.Environments {
		env := &status.Environments[i]
		next := ""
		if env.Next != nil {
			next = short(env.Next.Commit)
		}
		fmt.Fprintf(&n.story, "- %s: %s %s | %s\n", env.Name, env.Phase, next, cmp.Or(env.WaitingFor, "nothing to wait for"))
		for _, g := range env.Gates {
			fmt.Fprintf(&n.story, "  - %s: %s %s: %s\n", g.Name, g.Outcome, g.Reason, g.Message)
		}
	}
	n.story.WriteString("\n")
}

// flux lets Flux work in every environment until nothing changes.
func (n *narrator) flux() {
	for range 3 {
		n.now = n.now.Add(time.Second)
		for env := range n.world.flux {
			n.work(env)
		}
		if _, err := n.reconcile(); err != nil {
			n.t.Fatalf("reconciling: %v", err)
		}
	}
}

func (n *narrator) later(d time.Duration) func() {
	return func() { n.now = n.now.Add(d) }
}

// golden compares the story with the one that is stored.
func (n *narrator) golden(name string) {
	n.t.Helper()
	path := filepath.Join("testdata", name+".golden")
	got := n.story.String()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			n.t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		n.t.Fatalf("%v: go test -update writes it", err)
	}
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(string(want), "\n")
	for i := range max(len(gotLines), len(wantLines)) {
		g, w := lineAt(gotLines, i), lineAt(wantLines, i)
		if g != w {
			n.t.Fatalf("line %d of %s tells another story (go test -update writes it anew):\n got %s\nwant %s", i+1, path, g, w)
		}
	}
}

func lineAt(lines []string, i int) string {
	if i >= len(lines) {
		return "(the end)"
	}
	return lines[i]
}

func journey() *scene {
	return standard().with("main", guarded(checking("build"), soaking(2*time.Minute))).
		environment("production", after("main")).lists("production", fromReleases(">=1.0.0"))
}

// TestJourney is the demo: a commit travels from develop to main and, once it is released, to production.
func TestJourney(t *testing.T) {
	n := narrate(t, journey())
	var commit string
	n.hub.checks[n.git.branches["develop"]] = CheckSuccess
	n.when("Mainstem is installed; develop and main are at the same commit", func() {})
	n.when("Flux applies it to develop", n.flux)
	n.when("The soak is over: the base has the content already, so it is deployed without a merge", n.later(2*time.Minute))
	n.when("Flux applies it to main", n.flux)
	n.when("A commit is pushed to develop", func() { commit, _ = n.git.push("develop", "d") })
	n.when("Flux fetches it", func() { n.work("develop") })
	n.when("Flux looks at it", func() { n.work("develop") })
	n.when("Flux reports it as applied and healthy", func() { n.work("develop") })
	n.when("Its checks run", func() { n.hub.checks[commit] = CheckPending })
	n.when("Its checks are green", func() { n.hub.checks[commit] = CheckSuccess })
	n.when("A minute passes", n.later(time.Minute))
	n.when("The soak is over", n.later(time.Minute))
	n.when("Flux applies the merge to main", n.flux)
	n.when("v1.0.0 is published on main", func() {
		n.hub.published = append(n.hub.published, Published{Tag: "v1.0.0", Commit: n.git.commits[n.git.branches["main"]]})
	})
	n.when("Flux applies it to production", n.flux)
	n.golden("journey")
}

// TestFailureAndFix is a release that does not become healthy on main, and the one that mends it.
func TestFailureAndFix(t *testing.T) {
	n := narrate(t, standard())
	n.flux()
	n.flux()
	n.when("Both environments run the first commit", n.flux)
	n.when("A commit is pushed that does not run on main", func() {
		_, change := n.git.push("develop", "d")
		n.git.bad[change] = []v1alpha1.EnvironmentName{"main"}
	})
	n.when("Flux applies it to develop", n.flux)
	n.when("Flux fails at it on main", n.flux)
	n.when("An hour passes", n.later(time.Hour))
	n.when("A commit is pushed that mends it", func() {
		commit, change := n.git.push("develop", "d")
		n.git.fix(commit, change)
	})
	n.when("Flux applies it to develop", n.flux)
	n.when("Flux applies its merge to main", n.flux)
	n.golden("failure-and-fix")
}

// TestHotfix is a commit that somebody pushes to main itself, lets in with a bypass, and merges back.
func TestHotfix(t *testing.T) {
	n := narrate(t, standard())
	var hotfix string
	n.flux()
	n.flux()
	n.when("Both environments run the first commit", n.flux)
	n.when("A hotfix is pushed to main", func() { hotfix, _ = n.git.push("main", "f") })
	n.when("A commit is pushed to develop", func() { n.git.push("develop", "d") })
	n.when("Flux applies it to develop: main has a hotfix that nobody has proven", n.flux)
	n.when("Alice lets the hotfix in", func() {
		n.ask(alice, "main", n.releaseAt(hotfix), bypassing(GateProven))
	})
	n.when("Flux applies the hotfix to main: the commit follows, merged onto it", n.flux)
	n.when("Flux applies the merge to main, proven by its lineage", n.flux)
	n.when("Bob goes back to the hotfix", func() { n.ask(bob, "main", n.releaseAt(hotfix), rollback) })
	n.when("Flux applies it to main: what was rolled back stays out", n.flux)
	n.when("Freeze", func() {
		n.api.holds = []*v1alpha1.Hold{{Spec: v1alpha1.HoldSpec{Environment: "main", Reason: "incident 7", CreatedBy: alice}}}
		n.api.holds[0].Name, n.api.holds[0].Namespace = "freeze", system
		n.git.push("develop", "d")
	})
	n.when("Flux applies the next commit to develop", n.flux)
	n.when("Alice merges the pull request, although it is held", func() { n.mergePull(n.hub.open("main")[0], alice) })
	n.when("The freeze ends", func() { n.api.holds = nil })
	n.when("Flux applies it to main", n.flux)
	n.golden("hotfix")
}

// TestDeclined is a person who closes the pull request, and another one who promotes the release all the same.
func TestDeclined(t *testing.T) {
	n := narrate(t, standard().with("main", guarded(approvedBy(1))))
	n.flux()
	n.when("The first commit runs in develop, and waits for a person", n.flux)
	n.when("Bob approves it", func() { n.approved(bob) })
	n.when("Flux applies it to main", n.flux)
	n.when("A commit is pushed, and Flux applies it to develop", func() {
		n.git.push("develop", "d")
		n.flux()
		n.flux()
	})
	n.when("Alice closes the pull request", func() { n.hub.open("main")[0].State = v1alpha1.PullRequestClosed })
	n.when("An hour passes", n.later(time.Hour))
	n.when("Alice promotes it after all", func() { n.ask(alice, "main", n.releaseAt(n.git.branches["develop"])) })
	n.when("She approves it herself", func() { n.approved(alice) })
	n.when("Bob approves it", func() { n.approved(bob) })
	n.when("Flux applies it to main", n.flux)
	n.golden("declined")
}

// releaseAt names the Release of a commit.
func (n *narrator) releaseAt(commit string) string {
	return (&State{Releases: n.api.releases}).releaseAt(commit).Name
}

// approved lets somebody approve what is on its way.
func (n *narrator) approved(by string) {
	m := &machine{world: n.world, aged: len(n.api.approvals)}
	for _, p := range m.waiting() {
		m.approve(p, by, v1alpha1.DecisionApprove)
	}
}
