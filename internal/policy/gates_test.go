// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

func until(when string) func(*v1alpha1.Hold) {
	return func(h *v1alpha1.Hold) { h.Spec.Until = at(when) }
}

func ofApplication(name string) func(*v1alpha1.Hold) {
	return func(h *v1alpha1.Hold) { h.Spec.Application = name }
}

func inNamespace(name string) func(*v1alpha1.Hold) {
	return func(h *v1alpha1.Hold) { h.Namespace = name }
}

// gate returns one gate of the candidate d1 into main, for its Promotion if there is one.
func gate(t *testing.T, s *scene, key string) GateResult {
	t.Helper()
	var p *v1alpha1.Promotion
	if len(s.Promotions) > 0 {
		p = s.Promotions[len(s.Promotions)-1]
	}
	for _, g := range Gates(s.State, "main", s.State.release("d1"), p) {
		if g.Name == key {
			return g
		}
	}
	t.Fatalf("there is no gate %s", key)
	return GateResult{}
}

// ready is d1, proven in develop an hour ago and running there, and nothing that keeps it from main but the gates.
func ready(gates ...v1alpha1.Gate) *scene {
	return standard().with("main", guarded(gates...)).release("d1", "develop", ranIn("develop", "-1h")).
		head("develop", "d1").head("main", "m0").distance("m0", "d1", 1, 0).runs("develop", "d1")
}

func TestHold(t *testing.T) {
	tests := map[string]struct {
		given *scene
		want  string
	}{
		"none":                              {ready(), "Passed NotHeld"},
		"the namespace":                     {ready().hold("main"), "Waiting Held"},
		"this application":                  {ready().hold("main", ofApplication("web")), "Waiting Held"},
		"another application":               {ready().hold("main", ofApplication("api")), "Passed NotHeld"},
		"another environment":               {ready().hold("develop"), "Passed NotHeld"},
		"another namespace":                 {ready().hold("main", inNamespace("team-b")), "Passed NotHeld"},
		"a freeze":                          {ready().hold("main", inNamespace(system)), "Waiting Held"},
		"an application of Mainstem's own":  {ready().hold("main", inNamespace(system), ofApplication("web")), "Passed NotHeld"},
		"until later":                       {ready().hold("main", until("10m")), "Waiting Held until 12:10:00"},
		"until now":                         {ready().hold("main", until("0s")), "Passed NotHeld"},
		"two, the first end":                {ready().hold("main", until("20m")).hold("main", until("10m")), "Waiting Held until 12:10:00"},
		"one without end beside":            {ready().hold("main").hold("main", until("10m")), "Waiting Held until 12:10:00"},
		"a rollback is held too":            {ready().hold("main").promotion("main", "d1", rollback, by(alice)), "Waiting Held"},
		"a bypass does not help":            {ready().hold("main").promotion("main", "d1", bypassing(GateHold), by(alice)), "Waiting Held"},
		"an application of team-a's own":    {ready().do(func(s *State) { s.SystemNamespace = team }).hold("main", ofApplication("api")), "Passed NotHeld"},
		"in Mainstem's namespace, a freeze": {ready().do(func(s *State) { s.SystemNamespace = team }).hold("main"), "Waiting Held"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := briefGate(gate(t, test.given, GateHold)); got != test.want {
				t.Errorf("hold is %q, want %q", got, test.want)
			}
		})
	}
	if g := gate(t, ready().hold("main", until("20m")).hold("main", until("10m")), GateHold); !g.Until.Equal(noon.Add(20 * time.Minute)) {
		t.Errorf("two holds end at %s, want the later end", g.Until)
	}
	if g := gate(t, ready().hold("main").hold("main", until("10m")), GateHold); !g.Until.IsZero() {
		t.Errorf("a hold without an end ends at %s", g.Until)
	}
}

func TestChecks(t *testing.T) {
	build, test := func(state CheckState) Check { return Check{"build", state} }, func(state CheckState) Check { return Check{"test", state} }
	tests := map[string]struct {
		given *scene
		want  string
	}{
		"required, all well":                    {ready(checking("build", "test")).checks("d1", build(CheckSuccess), test(CheckSuccess)), "Passed ChecksPassed"},
		"required, others do not count":         {ready(checking("build")).checks("d1", build(CheckSuccess), test(CheckFailure)), "Passed ChecksPassed"},
		"required, one absent":                  {ready(checking("build", "test")).checks("d1", build(CheckSuccess)), "Waiting ChecksPending"},
		"required, one pending":                 {ready(checking("build")).checks("d1", build(CheckPending)), "Waiting ChecksPending"},
		"required, one failed":                  {ready(checking("build", "test")).checks("d1", build(CheckPending), test(CheckFailure)), "Failed ChecksFailed"},
		"any, all well":                         {ready(checking()).checks("d1", build(CheckSuccess), test(CheckSuccess)), "Passed ChecksPassed"},
		"any, one pending":                      {ready(checking()).checks("d1", build(CheckSuccess), test(CheckPending)), "Waiting ChecksPending"},
		"any, one failed":                       {ready(checking()).checks("d1", build(CheckSuccess), test(CheckFailure)), "Failed ChecksFailed"},
		"a status of the name of a failed run":  {ready(checking("build")).checks("d1", build(CheckFailure), build(CheckSuccess)), "Failed ChecksFailed"},
		"a run of the name of a failed status":  {ready(checking()).checks("d1", build(CheckSuccess), build(CheckFailure)), "Failed ChecksFailed"},
		"a status of the name of a running run": {ready(checking("build")).checks("d1", build(CheckPending), build(CheckSuccess)), "Waiting ChecksPending"},
		"any, none at all":                      {ready(checking()).checks("d1"), "Waiting NoChecks"},
		"required, none at all":                 {ready(checking("build")).checks("d1"), "Waiting ChecksPending"},
		"of another commit":                     {ready(checking()).checks("d2", build(CheckSuccess)), "Unknown NotObserved"},
		"not read":                              {ready(checking()), "Unknown NotObserved"},
		"that cannot be read": {ready(checking()).do(func(s *State) {
			s.GitHub.Checks[sha("d1")] = Checks{Problem: &Problem{Reason: v1alpha1.RateLimitedReason, RetryAt: at("5m").Time}, Runs: []Check{build(CheckSuccess)}}
		}), "Unknown RateLimited until 12:05:00"},
		"without GitHub":        {ready(checking()).outage("2m"), "Unknown Unreachable until 12:02:00"},
		"bypassed":              {ready(checking()).promotion("main", "d1", by(alice), bypassing("environment/ci")), "Passed Bypassed"},
		"another gate bypassed": {ready(checking()).promotion("main", "d1", by(alice), bypassing("application/ci")), "Unknown NotObserved"},
		"a rollback":            {ready(checking()).promotion("main", "d1", by(alice), rollback), "Passed Rollback"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := briefGate(gate(t, test.given, "environment/ci")); got != test.want {
				t.Errorf("checks are %q, want %q", got, test.want)
			}
		})
	}
}

func TestSoak(t *testing.T) {
	hour := soaking(time.Hour)
	healthy := func(since string) func(*State) {
		return func(s *State) { s.statusOf("develop").Current.HealthySince = at(since) }
	}
	tests := map[string]struct {
		given *scene
		want  string
	}{
		"over to the second":        {ready(hour), "Passed Soaked"},
		"a second before":           {ready(hour).do(func(s *State) { s.Now = noon.Add(-time.Second) }), "Waiting Soaking until 12:00:00"},
		"counts from the proof":     {ready(soaking(90 * time.Minute)), "Waiting Soaking until 12:30:00"},
		"counts from being healthy": {ready(hour).do(healthy("-20m")), "Waiting Soaking until 12:40:00"},
		"not proven": {
			standard().with("main", guarded(hour)).release("d1", "develop").head("main", "m0"), "Waiting NotProven"},
		"unhealthy upstream, whatever runs there": {
			ready(hour).release("d2", "develop").fails("develop", "d2", "-1m"), "Waiting UpstreamUnhealthy"},
		"Flux is looking": {
			ready(hour).flux("develop", func(f *Flux) { f.Ready, f.Reason = "Unknown", "Progressing" }), "Passed Soaked"},
		"Flux is looking after an unhealthy spell": {
			ready(hour).flux("develop", func(f *Flux) { f.Ready, f.Reason = "Unknown", "Progressing" }).do(func(s *State) {
				s.statusOf("develop").Current.Healthy, s.statusOf("develop").Current.HealthySince = "False", nil
			}), "Waiting UpstreamUnhealthy"},
		"healthy again: anew": {
			ready(hour).do(func(s *State) {
				s.statusOf("develop").Current.Healthy, s.statusOf("develop").Current.HealthySince = "False", nil
			}), "Waiting Soaking until 13:00:00"},
		"a newer release runs there": {
			ready(hour).release("d2", "develop", ranIn("develop", "-5m")).runs("develop", "d2"), "Passed Soaked"},
		"nothing runs there any more": {ready(hour).flux("develop", func(f *Flux) { *f = Flux{} }), "Waiting UpstreamUnhealthy"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := briefGate(gate(t, test.given, "environment/soak")); got != test.want {
				t.Errorf("soak is %q, want %q", got, test.want)
			}
		})
	}
}

// TestSoakOverTime follows status through a spell that Flux first does not know, and then knows to be bad.
func TestSoakOverTime(t *testing.T) {
	s := ready(soaking(2 * time.Hour))
	report := func() { s.Application.Status, _ = Report(s.State) }
	look := func(after time.Duration, ready, reason string) GateResult {
		s.Now = noon.Add(after)
		s.flux("develop", func(f *Flux) { f.Ready, f.Reason = ready, reason })
		report()
		return gate(t, s, "environment/soak")
	}
	if g := look(0, "True", "ReconciliationSucceeded"); briefGate(g) != "Waiting Soaking until 13:00:00" {
		t.Fatalf("at noon: %s", briefGate(g))
	}
	if g := look(10*time.Minute, "Unknown", "Progressing"); briefGate(g) != "Waiting Soaking until 13:00:00" {
		t.Fatalf("while Flux looks: %s", briefGate(g))
	}
	if g := look(20*time.Minute, "False", "HealthCheckFailed"); briefGate(g) != "Waiting UpstreamUnhealthy" {
		t.Fatalf("in a bad spell: %s", briefGate(g))
	}
	if g := look(25*time.Minute, "Unknown", "Progressing"); briefGate(g) != "Waiting UpstreamUnhealthy" {
		t.Fatalf("while Flux looks at it: %s", briefGate(g))
	}
	if g := look(30*time.Minute, "True", "ReconciliationSucceeded"); briefGate(g) != "Waiting Soaking until 14:30:00" {
		t.Fatalf("after it: %s", briefGate(g))
	}
	if g := look(150*time.Minute, "True", "ReconciliationSucceeded"); !g.Passed() {
		t.Fatalf("two hours after it: %s", briefGate(g))
	}
}

func TestSoakOfSeveralUpstreams(t *testing.T) {
	s := twoUpstreams().with("main", guarded(soaking(time.Hour))).
		release("d1", "develop", ranIn("load", "-50m"), ranIn("qa", "-10m")).runs("load", "d1").runs("qa", "d1")
	if got := briefGate(gate(t, s, "environment/soak")); got != "Waiting Soaking until 12:50:00" {
		t.Errorf("soak is %q, want it to count from the last proof", got)
	}
	s.fails("load", "d1", "-1m")
	if got := briefGate(gate(t, s, "environment/soak")); got != "Waiting UpstreamUnhealthy" {
		t.Errorf("soak is %q although one upstream is not healthy", got)
	}
}

func TestApproval(t *testing.T) {
	asked := func(people int32, options ...promotionOption) *scene {
		return ready(approvedBy(people)).promotion("main", "d1", options...)
	}
	yes, no := v1alpha1.DecisionApprove, v1alpha1.DecisionReject
	alone := func(s *State) {
		distinct := false
		s.Environments["main"].Spec.Gates[0].Approval.Distinct = &distinct
	}
	tests := map[string]struct {
		given *scene
		want  string
	}{
		"before there is a Promotion":           {ready(approvedBy(1)), "Waiting NoPromotion"},
		"nobody yet":                            {asked(1), "Waiting ApprovalsMissing"},
		"one of one":                            {asked(1).approval("main-d1-1", alice, yes), "Passed Approved"},
		"one of two":                            {asked(2).approval("main-d1-1", alice, yes), "Waiting ApprovalsMissing"},
		"one person twice":                      {asked(2).approval("main-d1-1", alice, yes).approval("main-d1-1", alice, yes), "Waiting ApprovalsMissing"},
		"two of two":                            {asked(2).approval("main-d1-1", alice, yes).approval("main-d1-1", bob, yes), "Passed Approved"},
		"who asked does not count":              {asked(1, by(alice)).approval("main-d1-1", alice, yes), "Waiting ApprovalsMissing"},
		"who asked counts where one is allowed": {asked(1, by(alice)).approval("main-d1-1", alice, yes).do(alone), "Passed Approved"},
		"of a Promotion of the same name":       {asked(1).approval("main-d1-1", alice, yes, func(a *v1alpha1.Approval) { a.Spec.PromotionUID = "uid-of-old" }), "Waiting ApprovalsMissing"},
		"for another environment":               {asked(1).approval("main-d1-1", alice, yes, func(a *v1alpha1.Approval) { a.Spec.Environment = "develop" }), "Waiting ApprovalsMissing"},
		"for another Promotion":                 {asked(1).approval("main-d1-1", alice, yes, func(a *v1alpha1.Approval) { a.Spec.Promotion = "main-d0-1" }), "Waiting ApprovalsMissing"},
		"the newest of a person: yes":           {asked(1).approval("main-d1-1", alice, no).approval("main-d1-1", alice, yes), "Passed Approved"},
		"the newest of a person: no":            {asked(1).approval("main-d1-1", alice, yes).approval("main-d1-1", alice, no), "Waiting ApprovalsMissing"},
		"a yes and a no in one second":          {asked(1).approval("main-d1-1", alice, no).approval("main-d1-1", alice, yes, func(a *v1alpha1.Approval) { a.CreationTimestamp = *at("-60s") }), "Waiting ApprovalsMissing"},
		"withdrawn":                             {asked(1).approval("main-d1-1", alice, yes).do(func(s *State) { s.Approvals = nil }), "Waiting ApprovalsMissing"},
		"none required means one":               {asked(0), "Waiting ApprovalsMissing"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := briefGate(gate(t, test.given, "environment/sign-off")); got != test.want {
				t.Errorf("approval is %q, want %q", got, test.want)
			}
		})
	}
}

// TestWhatDoesNotCountIsTold : people who approved in vain must see why.
func TestWhatDoesNotCountIsTold(t *testing.T) {
	yes := v1alpha1.DecisionApprove
	asked := func(options ...promotionOption) *scene {
		return ready(approvedBy(1)).promotion("main", "d1", options...)
	}
	tests := map[string]struct {
		given *scene
		says  string
	}{
		"nobody":                          {asked(), "approved by 0 of 1: create an Approval for Promotion main-d1-1"},
		"of a Promotion of the same name": {asked().approval("main-d1-1", alice, yes, func(a *v1alpha1.Approval) { a.Name, a.Spec.PromotionUID = "mine", "uid-of-old" }), "Approval mine does not count: write promotionUID uid-main-d1-1 and environment main"},
		"for another environment":         {asked().approval("main-d1-1", alice, yes, func(a *v1alpha1.Approval) { a.Name, a.Spec.Environment = "mine", "develop" }), "Approval mine does not count"},
		"by who asked":                    {asked(by(alice)).approval("main-d1-1", alice, yes), "that of alice does not count, who asked for the promotion"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			g := gate(t, test.given, "environment/sign-off")
			if !strings.Contains(g.Message, test.says) || strings.Contains(g.Message, "does not count") != strings.Contains(test.says, "does not count") {
				t.Errorf("%q does not say %q", g.Message, test.says)
			}
		})
	}
}

func TestGatesAreAllEvaluated(t *testing.T) {
	s := ready(checking("build"), soaking(2*time.Hour)).hold("main").do(func(s *State) {
		s.entry("main").Gates = []v1alpha1.Gate{approvedBy(1), {Name: "new"}}
	})
	var keys, waits []string
	results := Gates(s.State, "main", s.State.release("d1"), nil)
	for _, g := range results {
		keys = append(keys, g.Name)
		if !g.Passed() {
			waits = append(waits, g.Name)
		}
		if g.Reason == "" || (!g.Passed() && (g.Message == "" || g.Brief == "")) {
			t.Errorf("gate %s says too little: %+v", g.Name, g)
		}
	}
	if got, want := strings.Join(keys, " "), "hold proven environment/ci environment/soak application/sign-off application/new"; got != want {
		t.Errorf("gates are %s, want %s", got, want)
	}
	if got, want := strings.Join(waits, " "), "hold environment/ci environment/soak application/sign-off application/new"; got != want {
		t.Errorf("what waits is %s, want %s", got, want)
	}
	if g := results[len(results)-1]; g.Outcome != v1alpha1.GateUnknown {
		t.Errorf("a gate that this version does not know is %s, want Unknown: it keeps releases out", g.Outcome)
	}
	if got, want := unmet(results), "hold: incident 7; checks; soak until 2026-03-02 13:00:00Z; approval (0 of 1); new"; got != want {
		t.Errorf("it waits for %q, want %q", got, want)
	}
}
