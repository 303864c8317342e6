// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"errors"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"pgregory.net/rapid"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// setups are the ways of promoting that the machine runs through.
var setups = map[string]func() *scene{
	"pull requests":  func() *scene { return standard().with("main", guarded(checking("build"), soaking(30*time.Minute))) },
	"without gates":  standard,
	"signed off":     func() *scene { return standard().with("main", guarded(soaking(10*time.Minute), approvedBy(1))) },
	"merged by hand": func() *scene { return mergedByPeople().with("main", guarded(checking("build"))) },
	"people merge our pull requests": func() *scene {
		return empty().environment("develop").lists("develop", fromBranch("develop")).
			environment("main", after("develop"), guarded(soaking(10*time.Minute))).lists("main", fromBranch("main"), byPullRequest(v1alpha1.MergeManual))
	},
	"pinned":      func() *scene { return pinned().with("main", guarded(soaking(20*time.Minute))) },
	"only commit": func() *scene { return pinned().with("main", accepting(v1alpha1.ProofCommit)) },
	"releases": func() *scene {
		return standard().with("main", guarded(checking("build"))).
			environment("production", after("main"), guarded(soaking(5*time.Minute))).lists("production", fromReleases(">=1.0.0"))
	},
	"three in a row": func() *scene {
		return empty().environment("develop", guarded(checking())).lists("develop", fromBranch("develop")).
			environment("staging", after("develop"), guarded(soaking(5*time.Minute))).lists("staging").
			environment("main", after("staging"), guarded(checking("build"))).lists("main", fromBranch("main"), byPullRequest(v1alpha1.MergeAutomatic))
	},
}

// TestHistories runs random histories of people, commits, crashes and outages against the engine, and checks after each step that
// what must always be so is so. At the end of each, people stop and everything is well: then the newest commit must arrive everywhere.
func TestHistories(t *testing.T) {
	fewer(t, "40")
	for name, setup := range setups {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				m := &machine{world: newWorld(setup()), oracle: newOracle()}
				defer func() {
					if t.Failed() {
						t.Log(strings.Join(m.record.log, "\n"))
					}
				}()
				t.Repeat(map[string]func(*rapid.T){
					"":           m.check,
					"reconcile":  m.reconciles,
					"reconciled": m.reconciles,
					"die":        m.dies,
					"wait":       m.waits,
					"flux":       m.fluxWorks,
					"quiet":      m.quiet,
					"quieter":    m.quiet,
					"push":       m.pushes,
					"hotfix":     m.hotfixes,
					"pull":       m.peoplePull,
					"check":      m.flipsCheck,
					"hold":       m.holds,
					"decide":     m.peopleDecide,
					"promote":    m.peoplePromote,
					"rollback":   m.peopleRollBack,
					"break":      m.breaks,
					"merge":      m.peopleMergeBranches,
					"publish":    m.publishes,
				})
				m.live(t)
			})
		})
	}
}

// fewer lets a test that runs many properties check each of them less often, unless somebody asks for a number:
// go test -rapid.checks=2000 -rapid.steps=60 looks harder.
func fewer(t *testing.T, checks string) {
	t.Helper()
	asked := flag.Lookup("rapid.checks")
	before := asked.Value.String()
	if before != asked.DefValue {
		return
	}
	if err := flag.Set("rapid.checks", checks); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := flag.Set("rapid.checks", before); err != nil {
			t.Error(err)
		}
	})
}

// machine draws what happens next.
type machine struct {
	*world
	oracle *oracle
	again  time.Time
	// aged counts what makes names of objects.
	aged int
}

func (m *machine) environments() []v1alpha1.EnvironmentName {
	var names []v1alpha1.EnvironmentName
	for i := range m.api.application.Spec.Environments {
		names = append(names, m.api.application.Spec.Environments[i].Name)
	}
	return names
}

func (m *machine) anyEnvironment(t *rapid.T) v1alpha1.EnvironmentName {
	return rapid.SampledFrom(m.environments()).Draw(t, "environment")
}

// reconciles runs rounds until one writes nothing: it must, and another one must then write nothing either.
func (m *machine) reconciles(t *rapid.T) {
	m.budget = -1
	for range 24 {
		before := m.writes
		again, err := m.reconcile()
		if err != nil {
			t.Fatalf("reconciling: %v", err)
		}
		m.again = again
		if m.writes != before {
			m.oracle.never(t, m.world)
			continue
		}
		if _, err := m.reconcile(); err != nil || m.writes != before {
			t.Fatalf("a second look at the same world wrote something (%v)", err)
		}
		m.oracle.settled(t, m.world)
		return
	}
	t.Fatalf("the world stands still, and the operator does not stop writing")
}

// dies kills the operator at one of its next writes.
func (m *machine) dies(t *rapid.T) {
	m.budget = rapid.IntRange(0, 6).Draw(t, "writes before it dies")
	defer func() { m.budget = -1 }()
	for range 3 {
		if _, err := m.reconcile(); err != nil {
			if !errors.Is(err, errDied) {
				t.Fatalf("reconciling: %v", err)
			}
			m.say("the operator dies")
			return
		}
	}
}

func (m *machine) waits(t *rapid.T) {
	d := rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 7 * time.Minute, time.Hour, 100 * 24 * time.Hour}).Draw(t, "how long")
	if rapid.Bool().Draw(t, "until it is time to look again") && m.again.After(m.now) {
		d = m.again.Sub(m.now)
	}
	m.now = m.now.Add(d)
}

func (m *machine) fluxWorks(t *rapid.T) {
	env := m.anyEnvironment(t)
	m.now = m.now.Add(time.Second)
	m.work(env)
	m.oracle.sees(m.world)
}

// quiet is a while in which nobody does anything, and Flux and the operator come as far as they can.
func (m *machine) quiet(t *rapid.T) {
	for range 4 {
		m.reconciles(t)
		m.now = m.now.Add(time.Second)
		for _, env := range m.environments() {
			m.work(env)
		}
		m.oracle.sees(m.world)
	}
	m.reconciles(t)
	if m.again.After(m.now) && m.again.Sub(m.now) < 2*time.Hour && rapid.Bool().Draw(t, "until it is time to look again") {
		m.now = m.again
		m.reconciles(t)
	}
}

// pushes adds a commit to develop: a good one, one that breaks somewhere, or one that mends all that is broken.
func (m *machine) pushes(t *rapid.T) {
	commit, change := m.git.push("develop", "d")
	switch rapid.SampledFrom([]string{"good", "good", "bad everywhere", "bad downstream", "a fix"}).Draw(t, "what") {
	case "bad everywhere":
		m.git.bad[change] = m.environments()
	case "bad downstream":
		m.git.bad[change] = m.environments()[1:]
	case "a fix":
		m.git.fix(commit, change)
	}
	m.hub.checks[commit] = CheckSuccess
	m.say("pushed %s to develop", short(commit))
}

// fix makes a commit cure everything that is broken in it.
func (g *repository) fix(commit, with string) {
	for _, bad := range g.changes[commit] {
		if len(g.bad[bad]) > 0 {
			cure := with + "-cures-" + bad
			g.cure[cure] = bad
			g.changes[commit] = append(g.changes[commit], cure)
		}
	}
	slices.Sort(g.changes[commit])
	c := g.commits[commit]
	c.Tree = "tree-" + strings.Join(g.changes[commit], ".")
	g.commits[commit] = c
}

func (m *machine) hotfixes(t *rapid.T) {
	if rapid.IntRange(0, 2).Draw(t, "rarely") > 0 {
		t.Skip("no hotfix this time")
	}
	commit, _ := m.git.push("main", "f")
	m.hub.checks[commit] = CheckSuccess
	m.say("pushed hotfix %s to main", short(commit))
}

// peoplePull does to an open pull request what people do.
func (m *machine) peoplePull(t *rapid.T) {
	open := m.hub.open("main")
	if len(open) == 0 {
		t.Skip("no pull request is open")
	}
	pull := open[0]
	switch rapid.SampledFrom([]string{"merge", "merge", "close", "push"}).Draw(t, "what") {
	case "merge":
		m.mergePull(pull, alice)
		m.say("alice merged #%d at %s as %s", pull.Number, short(pull.Head), short(pull.MergeCommit))
	case "close":
		pull.State = v1alpha1.PullRequestClosed
		m.say("alice closed #%d", pull.Number)
	case "push":
		change := m.git.commit("s", append(slices.Clone(m.git.changes[pull.Head]), "stranger"), pull.Head)
		pull.Head = change
		m.say("alice pushed %s to #%d", short(change), pull.Number)
	}
}

// peopleMergeBranches merges one branch into the other through a pull request of somebody's own.
func (m *machine) peopleMergeBranches(t *rapid.T) {
	from, into := "develop", "main"
	if rapid.Bool().Draw(t, "back") {
		from, into = into, from
	}
	m.mergeBranch(from, into)
}

func (m *machine) mergeBranch(from, into string) {
	head := m.git.branches[from]
	if m.git.ancestors(m.git.branches[into])[head] {
		return
	}
	number := int64(len(m.hub.pulls) + 1)
	pull := &PullRequest{Number: number, State: v1alpha1.PullRequestOpen, Head: head}
	m.hub.pulls[number], m.hub.base[number] = pull, into
	m.mergePull(pull, alice)
	m.hub.checks[pull.MergeCommit] = CheckSuccess
	m.say("alice merged %s into %s as %s", from, into, short(pull.MergeCommit))
}

// publishes makes a GitHub release of what main is at, or of something that is nowhere proven.
func (m *machine) publishes(t *rapid.T) {
	if m.api.environments["production"] == nil {
		t.Skip("nobody follows releases")
	}
	m.publish(rapid.SampledFrom([]string{"main", "main", "develop"}).Draw(t, "branch"))
}

func (m *machine) publish(branch string) {
	tag := fmt.Sprintf("v1.%d.0", len(m.hub.published))
	m.hub.published = append(m.hub.published, Published{Tag: tag, Commit: m.git.commits[m.git.branches[branch]]})
	m.say("published %s at %s", tag, short(m.git.branches[branch]))
}

func (m *machine) flipsCheck(t *rapid.T) {
	head := m.git.branches[rapid.SampledFrom([]string{"develop", "main"}).Draw(t, "branch")]
	state := rapid.SampledFrom([]CheckState{CheckSuccess, CheckPending, CheckFailure, ""}).Draw(t, "state")
	if state == "" {
		delete(m.hub.checks, head)
		return
	}
	m.hub.checks[head] = state
}

func (m *machine) holds(t *rapid.T) {
	if len(m.api.holds) > 0 && rapid.Bool().Draw(t, "resume") {
		m.api.holds = nil
		m.say("resumed")
		return
	}
	h := &v1alpha1.Hold{ObjectMeta: metav1.ObjectMeta{Name: "hold", Namespace: team},
		Spec: v1alpha1.HoldSpec{Environment: m.anyEnvironment(t), Reason: "incident 7", CreatedBy: alice}}
	switch rapid.SampledFrom([]string{"application", "namespace", "freeze"}).Draw(t, "what is held") {
	case "application":
		h.Spec.Application = "web"
	case "freeze":
		h.Namespace = system
	}
	if rapid.Bool().Draw(t, "for a while") {
		h.Spec.Until = &metav1.Time{Time: m.now.Add(15 * time.Minute)}
	}
	m.api.holds = []*v1alpha1.Hold{h}
	m.say("held %s", h.Spec.Environment)
}

// peopleDecide approves, rejects or withdraws.
func (m *machine) peopleDecide(t *rapid.T) {
	waiting := m.waiting()
	if len(waiting) == 0 {
		t.Skip("nothing waits")
	}
	p := rapid.SampledFrom(waiting).Draw(t, "promotion")
	decision := rapid.SampledFrom([]v1alpha1.ApprovalDecision{v1alpha1.DecisionApprove, v1alpha1.DecisionApprove, v1alpha1.DecisionReject, ""}).Draw(t, "decision")
	if decision == "" {
		m.api.approvals = nil
		m.say("approvals are withdrawn")
		return
	}
	m.approve(p, rapid.SampledFrom([]string{alice, bob}).Draw(t, "approver"), decision)
}

func (m *machine) approve(p *v1alpha1.Promotion, approver string, decision v1alpha1.ApprovalDecision) {
	m.aged++
	m.api.approvals = append(slices.Clone(m.api.approvals), &v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{Name: "approval-" + strings.Repeat("i", m.aged), Namespace: team, CreationTimestamp: metav1.NewTime(m.now)},
		Spec:       v1alpha1.ApprovalSpec{Promotion: p.Name, PromotionUID: string(p.UID), Environment: p.Spec.Environment, Approver: approver, Decision: decision},
	})
	m.say("%s says %s to %s", approver, decision, p.Name)
}

// waiting are the Promotions that are not over.
func (m *machine) waiting() []*v1alpha1.Promotion {
	return slices.DeleteFunc(slices.Clone(m.api.promotions), func(p *v1alpha1.Promotion) bool { return phase(p).Terminal() })
}

func (m *machine) peoplePromote(t *rapid.T) {
	if len(m.api.releases) == 0 || rapid.IntRange(0, 1).Draw(t, "rarely") > 0 {
		t.Skip("nothing to promote")
	}
	var options []promotionOption
	env := m.anyEnvironment(t)
	if rapid.Bool().Draw(t, "bypass") {
		keys := []string{GateProven}
		for _, gate := range m.api.environments[env].Spec.Gates {
			if gate.Soak != nil {
				keys = append(keys, "environment/"+gate.Name)
			}
		}
		if rapid.IntRange(0, 9).Draw(t, "mistyped") == 0 {
			keys = append(keys, "environment/soka")
		}
		options = append(options, bypassing(keys...))
	}
	p := m.ask(alice, env, rapid.SampledFrom(m.api.releases).Draw(t, "release").Name, options...)
	m.say("alice asks for %s, bypassing %v", p.Name, p.Spec.Bypass)
}

func (m *machine) peopleRollBack(t *rapid.T) {
	env := m.anyEnvironment(t)
	before := slices.DeleteFunc(slices.Clone(m.api.releases), func(r *v1alpha1.Release) bool {
		entry := ledgerOf(r, env)
		return entry == nil || entry.ProvenAt == nil
	})
	if len(before) == 0 {
		t.Skip("nothing ran before")
	}
	p := m.ask(bob, env, rapid.SampledFrom(before).Draw(t, "release").Name, rollback)
	m.say("bob goes back: %s", p.Name)
}

// breaks takes GitHub away or suspends the Application, or mends it.
func (m *machine) breaks(t *rapid.T) {
	if rapid.IntRange(0, 2).Draw(t, "what") > 0 {
		m.hub.down = !m.hub.down
		m.say("GitHub is down: %t", m.hub.down)
		return
	}
	m.api.application.Spec.Suspend = !m.api.application.Spec.Suspend
	m.say("suspended: %t", m.api.application.Spec.Suspend)
}

func (m *machine) check(t *rapid.T) { m.oracle.never(t, m.world) }
