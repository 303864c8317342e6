// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// briefLedger is what the ledgers say about an environment, in the order of the Releases.
func briefLedger(s *State, env v1alpha1.EnvironmentName) string {
	var words []string
	for _, r := range s.Releases {
		entry := ledgerOf(r, env)
		if entry == nil {
			continue
		}
		word := r.Name
		if entry.EnteredAt != nil {
			word += " entered"
		}
		if entry.ProvenAt != nil {
			word += " proven " + entry.ProvenAt.Sub(noon).String()
		}
		if entry.RejectedAt != nil {
			word += fmt.Sprintf(" %s %s", entry.Reason, entry.RejectedAt.Sub(noon))
		}
		if entry.Proof != "" {
			word += " by " + entry.Proof
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

func provenBy(kind string) promotionOption {
	return func(p *v1alpha1.Promotion) { p.Status.Proof = kind }
}

func TestLedger(t *testing.T) {
	// both is d1 and d2, and their merges m1 and m2.
	both := func() *scene {
		return standard().release("d1", "develop").release("m1", "main").release("d2", "develop").release("m2", "main")
	}
	declined, no := because(v1alpha1.DeclinedReason), because(v1alpha1.RejectedReason)
	cancelled := ended(v1alpha1.PromotionCancelled, "-5m")
	tests := map[string]struct {
		given *scene
		want  string
	}{
		"nothing happened":             {both(), ""},
		"pending":                      {both().promotion("main", "d1"), ""},
		"succeeded: what was deployed": {both().promotion("main", "d1", succeeded("-5m", "m1")), "m1 entered proven -5m0s"},
		"failed: both, what was deployed and what was asked for": {both().promotion("main", "d1", failed("-5m", "m1")), "d1 FluxFailed -5m0s, m1 entered FluxFailed -5m0s"},
		"superseded while it deployed":                           {both().promotion("main", "d1", toldFlux("-6m", "m1"), ended(v1alpha1.PromotionSuperseded, "-5m")), "m1 entered"},
		"declined":                                               {both().promotion("main", "d1", cancelled, declined), "d1 Declined -5m0s"},
		"somebody said no":                                       {both().promotion("main", "d1", cancelled, no), "d1 Rejected -5m0s"},
		"cancelled for another reason":                           {both().promotion("main", "d1", cancelled, because(v1alpha1.EnvironmentGoneReason)), ""},
		"no to going back to what ran":                           {both().promotion("main", "m1", created("-1h"), succeeded("-1h")).promotion("main", "m1", attempt(2), by(alice), rollback, cancelled, no), "m1 entered proven -1h0m0s"},
		"failed, then well":                                      {both().promotion("main", "d1", failed("-9m", "m1")).promotion("main", "d1", attempt(2), by(alice), succeeded("-5m", "m1")), "d1, m1 entered proven -5m0s"},
		"well, then failed":                                      {both().promotion("main", "d1", succeeded("-9m", "m1")).promotion("main", "d1", attempt(2), by(alice), failed("-5m", "m1")), "d1 FluxFailed -5m0s, m1 entered proven -9m0s FluxFailed -5m0s"},
		"declined, then well by hand":                            {both().promotion("main", "d1", ended(v1alpha1.PromotionCancelled, "-9m"), declined).promotion("main", "d1", attempt(2), by(alice), succeeded("-5m", "m1")), "d1, m1 entered proven -5m0s"},
		"well twice: the first counts":                           {both().promotion("main", "d1", succeeded("-9m", "m1")).promotion("main", "d1", attempt(2), by(alice), succeeded("-5m", "m1")), "m1 entered proven -9m0s"},
		"a rollback": {both().promotion("main", "d1", succeeded("-20m", "m1")).promotion("main", "d2", succeeded("-10m", "m2")).promotion("main", "m1", by(alice), rollback, toldFlux("-2m")),
			"m1 entered proven -20m0s, d2 RolledBack -2m0s, m2 entered proven -10m0s RolledBack -2m0s"},
		"a rollback, and back again": {both().promotion("main", "d2", succeeded("-10m", "m2")).promotion("main", "m1", by(alice), rollback, succeeded("-5m")).promotion("main", "m2", by(alice), attempt(2), succeeded("-1m")),
			"m1 entered proven -5m0s, d2 RolledBack -5m0s, m2 entered proven -1m0s"},
		"a person promotes an older one": {both().promotion("main", "d2", succeeded("-10m", "m2")).promotion("main", "m1", by(alice), toldFlux("-2m")),
			"m1 entered, d2 RolledBack -2m0s, m2 entered proven -10m0s RolledBack -2m0s"},
		"a person promotes a newer one": {both().promotion("main", "d1", succeeded("-10m", "m1")).promotion("main", "m2", by(alice), toldFlux("-2m")),
			"m1 entered proven -10m0s, m2 entered"},
		"Mainstem deploys what is older": {both().promotion("main", "m2", by(alice), succeeded("-10m")).promotion("main", "m1", toldFlux("-2m")),
			"m1 entered, m2 entered proven -10m0s"},
		"a rollback to what is of another branch": {both().promotion("main", "d1", created("-1h"), succeeded("-1h")).promotion("main", "m2", succeeded("-10m")).promotion("main", "d1", attempt(2), by(alice), rollback, toldFlux("-2m")),
			"d1 entered proven -1h0m0s, m2 entered proven -10m0s RolledBack -2m0s"},
		"adopted, where nothing was ever promoted": {both().runs("main", "m1"), "m1 entered proven 0s"},
		"adopted, whatever Release it names":       {both().runs("main", "m1").flux("main", func(f *Flux) { f.Release = "" }), "m1 entered proven 0s"},
		"not adopted while it is not healthy":      {both().runs("main", "m1").flux("main", func(f *Flux) { f.Ready = "False" }), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			before := briefLedger(withLedgers(test.given.State), "main")
			changed := Ledger(test.given.State)
			if got := briefLedger(test.given.State, "main"); got != test.want {
				t.Errorf("the ledgers say %q, want %q", got, test.want)
			}
			if before != test.want {
				t.Errorf("decisions are made on %q, and written is %q", before, test.want)
			}
			if (len(changed) > 0) != (test.want != "") {
				t.Errorf("%d ledgers changed", len(changed))
			}
			if again := Ledger(test.given.State); len(again) > 0 {
				t.Errorf("the same observation changes %d ledgers again", len(again))
			}
		})
	}
}

// TestLedgerIsWrittenWithTheEnd lets something be deployed: its Promotion says that it was let in until it ends, and then the ledger does.
func TestLedgerIsWrittenWithTheEnd(t *testing.T) {
	deploying := func() *scene { return standard().release("d1", "develop").release("m1", "main").release("m0", "main") }
	tests := map[string]struct {
		given *scene
		want  string
	}{
		"for the first time":         {deploying().promotion("main", "d1", toldFlux("-5m", "m1"), provenBy("Content")), "m1 entered by Content"},
		"over what was not promoted": {deploying().runs("main", "m0").promotion("main", "d1", toldFlux("-5m", "m1")), "m1 entered"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := briefLedger(withLedgers(test.given.State), "main"); got != test.want {
				t.Errorf("decisions are made on %q, want %q", got, test.want)
			}
			due := test.given.State
			if changed := Ledger(due); len(changed) > 0 {
				t.Errorf("%d ledgers are written while it deploys", len(changed))
			}
			for _, r := range due.Releases {
				r.Status = v1alpha1.ReleaseStatus{}
			}
			due.Promotions[0].Status.Phase, due.Promotions[0].Status.FinishedAt = v1alpha1.PromotionSuperseded, at("-1m")
			if changed := Ledger(due); len(changed) != 1 || briefLedger(due, "main") != test.want {
				t.Errorf("it ended, %d ledgers are written, and say %q", len(changed), briefLedger(due, "main"))
			}
		})
	}
}

// TestLedgerOutlivesPromotions forgets the Promotions: what is proven and rejected stays so.
func TestLedgerOutlivesPromotions(t *testing.T) {
	s := pinned().release("d1", "develop", ranIn("develop", "-1h")).release("d2", "develop", ranIn("develop", "-1h")).
		promotion("main", "d1", succeeded("-20m")).promotion("main", "d2", failed("-10m"))
	Ledger(s.State)
	before := briefLedger(s.State, "main")
	s.Promotions = nil
	if changed := Ledger(s.State); len(changed) > 0 || briefLedger(s.State, "main") != before {
		t.Errorf("the ledgers say %q, want %q", briefLedger(s.State, "main"), before)
	}
	if got := briefCandidates(Candidates(s.State, "main")); got != "d2 Rejected, d1 Older" {
		t.Errorf("candidates are %q: what was rejected comes back", got)
	}
}
