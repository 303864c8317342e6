// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// Keys of the gates that every environment has.
const (
	// GateHold is the gate that a Hold closes. It cannot be bypassed.
	GateHold = "hold"
	// GateProven is the gate that asks for proof upstream.
	GateProven = "proven"
)

// GateResult is how one gate stands, and when to ask again.
type GateResult struct {
	// Name is the gate's key.
	Name string
	// Outcome is Passed, Waiting, Failed or Unknown. Unknown keeps a release out.
	Outcome v1alpha1.GateOutcome
	// Reason is one word, Message one sentence without a running clock.
	Reason, Message string
	// Brief is what the gate waits for in a few words, for a list of several.
	Brief string
	// Since and Until bound the wait, where known.
	Since, Until time.Time
	// RecheckAt is when time alone may change the outcome; zero where it cannot.
	RecheckAt time.Time
	// coming says that the gate decides by itself before long: time passes, or checks are running.
	coming bool
}

// Passed says whether the gate lets the release in.
func (g GateResult) Passed() bool { return g.Outcome == v1alpha1.GatePassed }

// Status is the gate as the API shows it.
func (g GateResult) Status() v1alpha1.GateStatus {
	status := v1alpha1.GateStatus{Name: g.Name, Outcome: g.Outcome, Reason: g.Reason, Message: cut(g.Message, 512)}
	if !g.Since.IsZero() {
		status.Since = &metav1.Time{Time: g.Since}
	}
	if !g.Until.IsZero() {
		status.Until = &metav1.Time{Time: g.Until}
	}
	return status
}

// entrance is what asks to be let in: a Release, by a Promotion if there is one yet.
type entrance struct {
	env       v1alpha1.EnvironmentName
	candidate *v1alpha1.Release
	// deployed is the Release that would be deployed, once it is known: the candidate, or the merge of it.
	deployed  *v1alpha1.Release
	promotion *v1alpha1.Promotion
}

func (e entrance) rollback() bool { return e.promotion != nil && e.promotion.Spec.Rollback }

func (e entrance) bypassed(key string) bool {
	return key != GateHold && e.promotion != nil && slices.Contains(e.promotion.Spec.Bypass, key)
}

// Gates evaluates every gate of an entrance, always all of them, in the order in which they are shown.
func Gates(s *State, env v1alpha1.EnvironmentName, candidate *v1alpha1.Release, promotion *v1alpha1.Promotion) []GateResult {
	s = withLedgers(s)
	if r := s.release(candidate.Name); r != nil {
		candidate = r
	}
	return gates(s, entrance{env: env, candidate: candidate, promotion: promotion})
}

func gates(s *State, e entrance) []GateResult {
	results := []GateResult{named(GateHold, hold(s, e)), bypassable(e, GateProven, func() GateResult { return proven(s, e) })}
	if environment := s.Environments[e.env]; environment != nil {
		for i := range environment.Spec.Gates {
			gate := &environment.Spec.Gates[i]
			results = append(results, bypassable(e, environmentGate(gate), func() GateResult { return declared(s, e, gate) }))
		}
	}
	if entry := s.entry(e.env); entry != nil {
		for i := range entry.Gates {
			gate := &entry.Gates[i]
			results = append(results, bypassable(e, applicationGate(gate), func() GateResult { return declared(s, e, gate) }))
		}
	}
	return results
}

// gateKeys are the keys of the gates of an environment that can be bypassed.
func gateKeys(s *State, env v1alpha1.EnvironmentName) []string {
	keys := []string{GateProven}
	if environment := s.Environments[env]; environment != nil {
		for i := range environment.Spec.Gates {
			keys = append(keys, environmentGate(&environment.Spec.Gates[i]))
		}
	}
	if entry := s.entry(env); entry != nil {
		for i := range entry.Gates {
			keys = append(keys, applicationGate(&entry.Gates[i]))
		}
	}
	return keys
}

func environmentGate(gate *v1alpha1.Gate) string { return "environment/" + gate.Name }

func applicationGate(gate *v1alpha1.Gate) string { return "application/" + gate.Name }

// strangeGate is the first gate in a Promotion's bypass that there is not, or nothing. Once its gates were asked, one that somebody
// takes away is no mistake of whoever named it.
func strangeGate(s *State, p *v1alpha1.Promotion) string {
	if len(p.Status.Gates) > 0 {
		return ""
	}
	keys := gateKeys(s, p.Spec.Environment)
	for _, key := range p.Spec.Bypass {
		if !slices.Contains(keys, key) {
			return key
		}
	}
	return ""
}

func named(key string, result GateResult) GateResult {
	result.Name = key
	return result
}

func bypassable(e entrance, key string, evaluate func() GateResult) GateResult {
	if e.bypassed(key) {
		return GateResult{Name: key, Outcome: v1alpha1.GatePassed, Reason: "Bypassed",
			Message: fmt.Sprintf("bypassed by %s: %s", e.promotion.Spec.RequestedBy, e.promotion.Spec.Reason)}
	}
	return named(key, evaluate())
}

func declared(s *State, e entrance, gate *v1alpha1.Gate) GateResult {
	if e.rollback() {
		return GateResult{Outcome: v1alpha1.GatePassed, Reason: "Rollback", Message: "not asked of a release that was proven here before"}
	}
	switch {
	case gate.Checks != nil:
		return checks(s, e, gate.Checks)
	case gate.Soak != nil:
		return soak(s, e, gate.Soak)
	case gate.Approval != nil:
		return approval(s, e, gate.Approval)
	}
	return GateResult{Outcome: v1alpha1.GateUnknown, Reason: "UnknownGate", Brief: gate.Name,
		Message: "this version of Mainstem does not know this kind of gate: upgrade Mainstem, or take the gate away"}
}

// Holding returns the Holds that stop an environment for the Application now.
func Holding(s *State, env v1alpha1.EnvironmentName) []*v1alpha1.Hold {
	var holding []*v1alpha1.Hold
	for _, h := range s.Holds {
		if h.Spec.Environment != env || (h.Spec.Until != nil && !s.Now.Before(h.Spec.Until.Time)) {
			continue
		}
		freeze := h.Namespace == s.SystemNamespace && h.Spec.Application == ""
		here := h.Namespace == s.Application.Namespace && (h.Spec.Application == "" || h.Spec.Application == s.Application.Name)
		if freeze || here {
			holding = append(holding, h)
		}
	}
	slices.SortFunc(holding, func(a, b *v1alpha1.Hold) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return holding
}

// HoldEnds is when the first of the Holds that stop an environment now ends by itself; zero where none does.
func HoldEnds(s *State, env v1alpha1.EnvironmentName) time.Time {
	var first time.Time
	for _, h := range Holding(s, env) {
		if h.Spec.Until != nil {
			first = earliest(first, h.Spec.Until.Time)
		}
	}
	return first
}

func hold(s *State, e entrance) GateResult {
	holding := Holding(s, e.env)
	if len(holding) == 0 {
		return GateResult{Outcome: v1alpha1.GatePassed, Reason: "NotHeld"}
	}
	result := GateResult{Outcome: v1alpha1.GateWaiting, Reason: "Held", RecheckAt: HoldEnds(s, e.env)}
	endless := false
	var by []string
	for _, h := range holding {
		words := fmt.Sprintf("%s (%s)", h.Spec.Reason, h.Spec.CreatedBy)
		by = append(by, words)
		if h.Spec.Until == nil {
			endless = true
			continue
		}
		if h.Spec.Until.After(result.Until) {
			result.Until = h.Spec.Until.Time
		}
	}
	result.Message = fmt.Sprintf("held: %s; delete Hold %s/%s to resume", strings.Join(by, "; "), holding[0].Namespace, holding[0].Name)
	result.Brief = "hold: " + holding[0].Spec.Reason
	if endless {
		result.Until = time.Time{}
	}
	return result
}

// proven asks for proof upstream of the candidate, of what a merge would be made onto, and of what the merge made.
func proven(s *State, e entrance) GateResult {
	if e.rollback() {
		return provenHere(e)
	}
	what := e.candidate
	if e.deployed != nil {
		what = e.deployed
	}
	ups := s.upstreams(e.env)
	if len(ups) == 0 {
		return GateResult{Outcome: v1alpha1.GatePassed, Reason: "EntryEnvironment", Message: "this environment has no upstream"}
	}
	found := prove(s, e.env, subjectOf(what))
	if !found.proven() {
		return GateResult{Outcome: v1alpha1.GateWaiting, Reason: ReasonNotProven, Brief: "proof in " + string(found.missing),
			Message: fmt.Sprintf("%s is not proven in %s: let it run there, or promote with bypass: [proven]", short(what.Spec.Commit), found.missing)}
	}
	if entry := s.entry(e.env); entry != nil && routeOf(entry) == routePullRequest && e.deployed == nil {
		switch problem := baseProblem(s, e.env, entry.Source.Branch, e.candidate); {
		case problem == nil:
		case problem.Reason == ReasonDiverged:
			return GateResult{Outcome: v1alpha1.GateWaiting, Reason: problem.Reason, Brief: "diverged branch " + entry.Source.Branch, Message: problem.Message}
		default:
			return GateResult{Outcome: v1alpha1.GateUnknown, Reason: problem.Reason, Brief: "branch " + entry.Source.Branch, Message: problem.Message, RecheckAt: problem.RetryAt}
		}
	}
	return GateResult{Outcome: v1alpha1.GatePassed, Reason: string(found.kind), Since: found.at,
		Message: fmt.Sprintf("proven in %s by %s", joined(ups), strings.ToLower(string(found.kind)))}
}

func provenHere(e entrance) GateResult {
	if entry := ledgerOf(e.candidate, e.env); entry != nil && entry.ProvenAt != nil {
		return GateResult{Outcome: v1alpha1.GatePassed, Reason: "ProvenHere", Since: entry.ProvenAt.Time, Message: "it was proven in this environment before"}
	}
	return GateResult{Outcome: v1alpha1.GateFailed, Reason: v1alpha1.NotProvenHereReason, Brief: "proof here",
		Message: fmt.Sprintf("a rollback goes back to a release that was proven in %s, and %s was not: promote it without rollback", e.env, e.candidate.Name)}
}

func checks(s *State, e entrance, gate *v1alpha1.ChecksGate) GateResult {
	evidence, observed := s.GitHub.Checks[e.candidate.Spec.Commit]
	switch {
	case evidence.Problem != nil:
		return GateResult{Outcome: v1alpha1.GateUnknown, Reason: evidence.Problem.Reason, Brief: "checks", RecheckAt: evidence.Problem.RetryAt,
			Message: "the checks could not be read: " + evidence.Problem.Message}
	case !observed && s.GitHub.Problem != nil:
		return GateResult{Outcome: v1alpha1.GateUnknown, Reason: s.GitHub.Problem.Reason, Brief: "checks", RecheckAt: s.GitHub.Problem.RetryAt,
			Message: "the checks could not be read: " + s.GitHub.Problem.Message}
	case !observed:
		return GateResult{Outcome: v1alpha1.GateUnknown, Reason: ReasonNotObserved, Brief: "checks", Message: "the checks were not read yet"}
	}
	return judgeChecks(e, gate, evidence.Runs)
}

func judgeChecks(e entrance, gate *v1alpha1.ChecksGate, runs []Check) GateResult {
	states := map[string]CheckState{}
	for _, run := range runs {
		// A check run and a commit status can have one name. As on GitHub both must have succeeded: the worse one counts.
		if known, is := states[run.Name]; !is || known == CheckSuccess || run.State == CheckFailure {
			states[run.Name] = run.State
		}
	}
	wanted := gate.Required
	if len(wanted) == 0 {
		for name := range states {
			wanted = append(wanted, name)
		}
	}
	var failed, pending, absent []string
	for _, name := range wanted {
		switch state, reported := states[name]; {
		case !reported:
			absent = append(absent, name)
		case state == CheckFailure:
			failed = append(failed, name)
		case state == CheckPending:
			pending = append(pending, name)
		}
	}
	commit := short(e.candidate.Spec.Commit)
	switch {
	case len(failed) > 0:
		return GateResult{Outcome: v1alpha1.GateFailed, Reason: "ChecksFailed", Brief: "checks failed: " + list(failed),
			Message: fmt.Sprintf("failed on %s: %s", commit, list(failed))}
	case len(wanted) == 0:
		return GateResult{Outcome: v1alpha1.GateWaiting, Reason: "NoChecks", Brief: "a first check", Message: fmt.Sprintf("no check has reported on %s yet", commit)}
	case len(pending)+len(absent) > 0:
		waiting := slices.Concat(pending, absent)
		return GateResult{Outcome: v1alpha1.GateWaiting, Reason: "ChecksPending", Brief: "checks: " + list(waiting), coming: len(absent) == 0,
			Message: fmt.Sprintf("waiting on %s for %s", commit, list(waiting))}
	}
	return GateResult{Outcome: v1alpha1.GatePassed, Reason: "ChecksPassed", Message: fmt.Sprintf("passed on %s: %s", commit, list(wanted))}
}

// soak counts from when the candidate was proven upstream, or from when that environment last became healthy, if that is later.
func soak(s *State, e entrance, gate *v1alpha1.SoakGate) GateResult {
	found := prove(s, e.env, subjectOf(e.candidate))
	if !found.proven() {
		return GateResult{Outcome: v1alpha1.GateWaiting, Reason: ReasonNotProven, Brief: "soak",
			Message: fmt.Sprintf("the soak begins when %s is proven in %s", short(e.candidate.Spec.Commit), found.missing)}
	}
	since := found.at
	for _, up := range s.upstreams(e.env) {
		health := Health(s, up)
		if health.Healthy == metav1.ConditionFalse || health.HealthySince == nil {
			return GateResult{Outcome: v1alpha1.GateWaiting, Reason: "UpstreamUnhealthy", Brief: "soak, while " + string(up) + " is not healthy",
				Message: fmt.Sprintf("%s is not healthy: the soak begins anew when it is", up)}
		}
		if health.HealthySince.After(since) {
			since = health.HealthySince.Time
		}
	}
	until := since.Add(gate.Duration.Duration)
	if s.Now.Before(until) {
		return GateResult{Outcome: v1alpha1.GateWaiting, Reason: "Soaking", Brief: "soak until " + clock(until), coming: true,
			Message: fmt.Sprintf("proven and healthy in %s since %s, soaking for %s", joined(s.upstreams(e.env)), instant(since), gate.Duration.Duration),
			Since:   since, Until: until, RecheckAt: until}
	}
	return GateResult{Outcome: v1alpha1.GatePassed, Reason: "Soaked", Since: since, Until: until,
		Message: fmt.Sprintf("proven and healthy in %s since %s, for at least %s", joined(s.upstreams(e.env)), instant(since), gate.Duration.Duration)}
}

// passed says whether every gate lets the release in.
func passed(results []GateResult) bool {
	return !slices.ContainsFunc(results, func(g GateResult) bool { return !g.Passed() })
}

// onlyComing says that what keeps the release out decides by itself before long.
func onlyComing(results []GateResult) bool {
	return !passed(results) && !slices.ContainsFunc(results, func(g GateResult) bool { return !g.Passed() && !g.coming })
}

// recheck is when time alone may change one of the gates.
func recheck(results []GateResult) time.Time {
	var at time.Time
	for _, g := range results {
		at = earliest(at, g.RecheckAt)
	}
	return at
}

// unmet says in a few words what the gates wait for.
func unmet(results []GateResult) string {
	var words []string
	for _, g := range results {
		if !g.Passed() {
			words = append(words, cmp.Or(g.Brief, g.Name))
		}
	}
	return cut(strings.Join(words, "; "), 512)
}

func gateStatuses(results []GateResult) []v1alpha1.GateStatus {
	statuses := make([]v1alpha1.GateStatus, 0, len(results))
	for _, g := range results {
		statuses = append(statuses, g.Status())
	}
	return statuses
}
