// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"
	"pgregory.net/rapid"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// oracle knows what must never happen, from the world itself: it asks the engine nothing.
type oracle struct {
	over map[types.UID]v1alpha1.PromotionStatus
}

func newOracle() *oracle { return &oracle{over: map[types.UID]v1alpha1.PromotionStatus{}} }

// sees remembers what ran healthy where.
func (o *oracle) sees(w *world) {
	for env, k := range w.flux {
		if k.report.Ready == "True" && k.report.GenerationObserved && k.report.Applied == k.commit {
			w.ran(env, k.commit)
		}
	}
}

func (w *world) ran(env v1alpha1.EnvironmentName, commit string) {
	if w.record.healthy[env] == nil {
		if w.record.healthy == nil {
			w.record.healthy = map[v1alpha1.EnvironmentName]map[string]time.Time{}
		}
		w.record.healthy[env] = map[string]time.Time{}
	}
	if _, known := w.record.healthy[env][commit]; !known {
		w.record.healthy[env][commit] = w.now
	}
}

// objection says why a deploy must not have begun, or nothing.
func (w *world) objection(p *v1alpha1.Promotion, deployed string) string {
	env := p.Spec.Environment
	for _, h := range w.api.holds {
		if h.Spec.Environment == env && (h.Spec.Until == nil || w.now.Truncate(time.Second).Before(h.Spec.Until.Time)) {
			return "it is held"
		}
	}
	if w.api.application.Spec.Suspend {
		return "the Application is suspended"
	}
	if p.Spec.Rollback {
		if !w.ranBefore(env, deployed) {
			return "a rollback to what never ran there"
		}
		return ""
	}
	for _, up := range w.api.environments[env].Spec.After {
		if !slices.Contains(p.Spec.Bypass, GateProven) && !w.trusted(env, up, deployed, 0) {
			return fmt.Sprintf("%s was never proven in %s", short(deployed), up)
		}
	}
	return w.closedGate(p)
}

// closedGate says which gate of a Promotion must have kept it out, or nothing.
func (w *world) closedGate(p *v1alpha1.Promotion) string {
	environment := w.api.environments[p.Spec.Environment]
	candidate := w.api.releaseNamed(p.Spec.Release).Spec.Commit
	for i := range environment.Spec.Gates {
		gate := &environment.Spec.Gates[i]
		switch {
		case slices.Contains(p.Spec.Bypass, "environment/"+gate.Name):
		case gate.Checks != nil && (w.hub.down || w.hub.checks[candidate] != CheckSuccess):
			return "checks have not passed, or cannot be read"
		case gate.Soak != nil && !w.soaked(environment, candidate, gate.Soak.Duration.Duration):
			return "it has not soaked"
		case gate.Approval != nil && w.approvals(p) < int(gate.Approval.Required):
			return "it is not approved"
		}
	}
	return ""
}

func (w *world) soaked(environment *v1alpha1.Environment, candidate string, d time.Duration) bool {
	for _, up := range environment.Spec.After {
		for commit, since := range w.record.healthy[up] {
			if w.git.commits[commit].Tree == w.git.commits[candidate].Tree && w.now.Sub(since) >= d {
				return true
			}
		}
		// A merge that was proven by its lineage counts from its head.
		if merge, is := w.hub.merges[candidate]; is && w.soaked(environment, merge.Head, d) {
			return true
		}
	}
	return false
}

func (w *world) approvals(p *v1alpha1.Promotion) int {
	newest := map[string]v1alpha1.ApprovalDecision{}
	for _, a := range w.api.approvals {
		if a.Spec.PromotionUID == string(p.UID) && a.Spec.Approver != p.Spec.RequestedBy {
			newest[a.Spec.Approver] = a.Spec.Decision
		}
	}
	count := 0
	for _, decision := range newest {
		if decision == v1alpha1.DecisionApprove {
			count++
		}
	}
	return count
}

// ranBefore says that a commit, or another one of the same content, ran healthy in an environment.
func (w *world) ranBefore(env v1alpha1.EnvironmentName, commit string) bool {
	for c := range w.record.healthy[env] {
		if w.git.commits[c].Tree == w.git.commits[commit].Tree {
			return true
		}
	}
	return false
}

// trusted says that a commit brings nothing into env that never ran upstream: it ran there, or it merges what ran there onto what is
// trusted or was let in.
func (w *world) trusted(env, up v1alpha1.EnvironmentName, commit string, depth int) bool {
	if w.ranBefore(up, commit) {
		return true
	}
	merge, is := w.hub.merges[commit]
	if !is || depth > 20 {
		return false
	}
	let := slices.ContainsFunc(w.record.began, func(b beginning) bool { return b.env == env && b.commit == merge.Base })
	return w.trusted(env, up, merge.Head, depth+1) && (let || w.trusted(env, up, merge.Base, depth+1))
}

func (w *world) contains(commit, other string) bool { return w.git.ancestors(commit)[other] }

// known says that the base of a promotion into main brings nothing unproven in.
func (w *world) known(base string) bool {
	let := slices.ContainsFunc(w.record.began, func(b beginning) bool { return b.env == "main" && b.commit == base })
	return let || w.trusted("main", w.api.environments["main"].Spec.After[0], base, 0)
}

// never checks what must never be so, after every step.
func (o *oracle) never(t *rapid.T, w *world) {
	for _, b := range w.record.began {
		if b.objection != "" {
			t.Fatalf("%s began to deploy %s into %s although %s", b.promotion, short(b.commit), b.env, b.objection)
		}
	}
	if len(w.record.mistakes) > 0 {
		t.Fatal(w.record.mistakes[0])
	}
	no, proven := map[string]bool{}, map[string]bool{}
	for _, p := range w.api.promotions {
		key := string(p.Spec.Environment) + "/" + p.Spec.Release
		// A no to going back to what ran there says nothing about what it is.
		goingBack := p.Spec.RequestedBy != operator && proven[key]
		refused := p.Status.Reason == v1alpha1.DeclinedReason || p.Status.Reason == v1alpha1.RejectedReason
		said := phase(p) == v1alpha1.PromotionFailed || (refused && !goingBack)
		proven[key] = proven[key] || (phase(p) == v1alpha1.PromotionSucceeded && p.Status.DeployedRelease == p.Spec.Release)
		if no[key] && p.Spec.RequestedBy == operator {
			t.Fatalf("%s was started by itself, although that release had failed or was declined there", p.Name)
		}
		no[key] = (no[key] || said) && phase(p) != v1alpha1.PromotionSucceeded
	}
	deploying, automatic := map[v1alpha1.EnvironmentName]int{}, map[v1alpha1.EnvironmentName]int{}
	for _, p := range w.api.promotions {
		if before, is := o.over[p.UID]; is && !equality.Semantic.DeepEqual(before, p.Status) {
			t.Fatalf("%s was %s and is %s: what is over never changes", p.Name, before.Phase, p.Status.Phase)
		}
		switch {
		case phase(p).Terminal():
			o.over[p.UID] = *p.Status.DeepCopy()
			if p.Status.FinishedAt == nil {
				t.Fatalf("%s is over, and nobody knows since when", p.Name)
			}
			continue
		case phase(p) == v1alpha1.PromotionDeploying:
			deploying[p.Spec.Environment]++
		}
		if p.Spec.RequestedBy == operator {
			automatic[p.Spec.Environment]++
		}
	}
	for _, env := range []v1alpha1.EnvironmentName{"develop", "staging", "main", "production"} {
		if deploying[env] > 1 || automatic[env] > 1 {
			t.Fatalf("%d promotions deploy into %s, %d are automatic", deploying[env], env, automatic[env])
		}
	}
	if open := w.hub.open("main"); len(open) > 1 {
		t.Fatalf("%d promotion pull requests are open into main", len(open))
	}
	merged := map[string]bool{}
	for _, pull := range w.record.merged {
		if pull.MergedBy == "mainstem" && merged[pull.Head] {
			t.Fatalf("%s was merged twice", short(pull.Head))
		}
		merged[pull.Head] = merged[pull.Head] || pull.MergedBy == "mainstem"
	}
}

// settled checks what must be so once the operator has nothing more to do.
func (o *oracle) settled(t *rapid.T, w *world) {
	o.never(t, w)
	s := w.observe()
	first, at := Report(s)
	second, later := Report(s)
	if !equality.Semantic.DeepEqual(first, second) || !at.Equal(later) {
		t.Fatalf("two reports of one observation differ")
	}
	moving := map[v1alpha1.EnvironmentName]string{}
	for _, p := range w.api.promotions {
		if phase(p).Terminal() || p.Status.Reason == v1alpha1.QueuedReason || w.api.application.Spec.Suspend {
			continue
		}
		if other, is := moving[p.Spec.Environment]; is {
			t.Fatalf("%s and %s both move", p.Name, other)
		}
		moving[p.Spec.Environment] = p.Name
	}
	for _, env := range w.api.application.Status.Environments {
		applied := w.flux[env.Name].report.Applied
		if (env.Current == nil) != (applied == "") || (env.Current != nil && env.Current.Commit != applied) {
			t.Fatalf("status says that %s runs %v, and Flux says %s", env.Name, env.Current, short(applied))
		}
	}
}

// live ends a history: people stop, everything is well, and then the newest commit must arrive everywhere within bounded rounds.
func (m *machine) live(t *rapid.T) {
	m.hub.down, m.api.application.Spec.Suspend, m.api.holds = false, false, nil
	for _, pull := range m.hub.open("main") {
		if m.git.commits[pull.Head].SHA[0] == 's' {
			pull.State = v1alpha1.PullRequestClosed
		}
	}
	m.mergeBranch("main", "develop")
	commit, change := m.git.push("develop", "d")
	m.git.fix(commit, change)
	m.say("people stop; %s is the last commit, and is good", short(commit))
	for range 60 {
		for c := range m.git.commits {
			m.hub.checks[c] = CheckSuccess
		}
		m.help()
		before := m.writes
		m.reconciles(t)
		for range 3 {
			m.now = m.now.Add(time.Second)
			for _, env := range m.environments() {
				m.work(env)
			}
			m.oracle.sees(m.world)
			m.reconciles(t)
		}
		if m.arrived(commit) {
			return
		}
		if m.writes == before {
			m.now = m.now.Add(max(time.Minute, m.again.Sub(m.now)))
		}
	}
	t.Fatalf("%s did not arrive: %s", short(commit), m.api.application.Status.Summary)
}

// help is what people still do: they sign off what Mainstem promotes, merge what only people merge, say no to what a person once
// asked for and nothing came of, and merge main back where somebody has put something there at the last moment.
func (m *machine) help() {
	for _, p := range m.waiting() {
		switch {
		case p.Spec.RequestedBy == operator && p.Status.Reason == v1alpha1.GatesWaitingReason && m.approvals(p) == 0:
			m.approve(p, bob, v1alpha1.DecisionApprove)
		case p.Spec.RequestedBy != operator && phase(p) == v1alpha1.PromotionPending:
			m.approve(p, bob, v1alpha1.DecisionReject)
		case p.Status.Reason == v1alpha1.MergeWaitingReason && p.Status.PullRequest != nil:
			if pull := m.hub.pulls[p.Status.PullRequest.Number]; pull.State == v1alpha1.PullRequestOpen {
				m.mergePull(pull, alice)
				m.say("alice merged #%d as %s", pull.Number, short(pull.MergeCommit))
			}
		}
	}
	if strings.Contains(m.api.application.Status.Summary, "waiting for diverged branch main") {
		m.mergeBranch("main", "develop") // As it says.
	}
	if production := m.flux["production"]; production != nil {
		if tip := m.git.branches["main"]; m.flux["main"].report.Applied == tip && !slices.ContainsFunc(m.hub.published, func(p Published) bool { return p.Commit.SHA == tip }) {
			m.publish("main")
		}
		return
	}
	if entry := m.api.application.Spec.Environments[len(m.environments())-1]; entry.Source != nil && entry.PullRequest == nil {
		m.mergeBranch("develop", "main")
	}
}

// arrived says that every environment runs everything of a commit, healthy.
func (m *machine) arrived(commit string) bool {
	for _, k := range m.flux {
		if k.report.Ready != "True" || !k.report.GenerationObserved {
			return false
		}
		for _, change := range m.git.changes[commit] {
			if !slices.Contains(m.git.changes[k.report.Applied], change) {
				return false
			}
		}
	}
	return true
}
