// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"testing"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// briefProof says how a release is proven for main, or where it is not.
func briefProof(s *scene, release string) string {
	found := prove(s.State, "main", subjectOf(s.State.release(release)))
	if !found.proven() {
		return "not in " + string(found.missing)
	}
	return string(found.kind)
}

func TestProof(t *testing.T) {
	d := ranIn("develop", "-1h")
	// merged is m1, which merges d1, proven in develop, onto h1.
	merged := func(base ...releaseOption) *scene {
		return standard().release("d1", "develop", d).release("h1", "main", base...).release("m1", "main").merge("m1", 4, "d1", "h1")
	}
	tests := map[string]struct {
		given   *scene
		release string
		want    string
	}{
		"commit: it ran there":                                   {standard().release("d1", "develop", d), "d1", "Commit"},
		"commit: another Release of the commit ran there":        {standard().release("d1", "develop", d).release("d1", "develop", tagged("1.0.0")), "d1-v1.0.0", "Commit"},
		"commit: it failed there since":                          {standard().release("d1", "develop", d, rejectedIn("develop", "-5m")), "d1", "not in develop"},
		"commit: it was only told to run there":                  {standard().release("d1", "develop", enteredIn("develop", "-1h")), "d1", "not in develop"},
		"commit: another one of the commit, not accepted":        {standard().with("main", accepting(v1alpha1.ProofContent)).release("d1", "develop", d, content("")).release("d1", "develop", tagged("1.0.0")), "d1-v1.0.0", "not in develop"},
		"commit: the very Release counts whatever is accepted":   {standard().with("main", accepting(v1alpha1.ProofLineage)).release("d1", "develop", d), "d1", "Commit"},
		"content: the same ran there":                            {standard().release("d1", "develop", d).release("m1", "main", content("d1")), "m1", "Content"},
		"content: the same, not accepted":                        {standard().with("main", accepting(v1alpha1.ProofCommit)).release("d1", "develop", d).release("m1", "main", content("d1")), "m1", "not in develop"},
		"content: another":                                       {standard().release("d1", "develop", d).release("m1", "main"), "m1", "not in develop"},
		"lineage: onto what main ran":                            {merged(enteredIn("main", "-2h")), "m1", "Lineage"},
		"lineage: onto what main runs, never promoted":           {merged().runs("main", "h1"), "m1", "Lineage"},
		"lineage: onto what is proven itself":                    {merged(d), "m1", "Lineage"},
		"lineage: onto content that is proven itself":            {merged(content("d1")), "m1", "Lineage"},
		"lineage: onto what the merged head contains":            {merged().distance("h1", "d1", 3, 0), "m1", "Lineage"},
		"lineage: onto a hotfix that slipped in":                 {merged(), "m1", "not in develop"},
		"lineage: onto a hotfix that was let in and rolled back": {merged(enteredIn("main", "-2h"), rejectedIn("main", "-1h")), "m1", "Lineage"},
		"lineage: not accepted":                                  {merged(enteredIn("main", "-2h")).with("main", accepting(v1alpha1.ProofCommit, v1alpha1.ProofContent)), "m1", "not in develop"},
		"lineage: of a head that is not proven":                  {standard().release("d1", "develop").release("m0", "main", enteredIn("main", "-2h")).release("m1", "main").merge("m1", 4, "d1", "m0"), "m1", "not in develop"},
		"lineage: of a squash, whose content differs":            {standard().release("d1", "develop", d).release("m0", "main", enteredIn("main", "-2h")).release("s1", "main").merge("s1", 4, "d1", "m0"), "s1", "Lineage"},
		"lineage: of a rebase, by its last commit":               {standard().release("d1", "develop", d).release("m0", "main", enteredIn("main", "-2h")).release("r1", "main").merge("r1", 4, "d1", "m0"), "r1", "Lineage"},
		"lineage: a person merged, no Release of the head":       {standard().release("d1", "develop", d, content("x")).release("m0", "main", enteredIn("main", "-2h")).release("m1", "main").merge("m1", 4, "d9", "m0"), "m1", "not in develop"},
		"lineage: two merges in a row, neither deployed": {
			standard().release("d1", "develop", d).release("d2", "develop", d).release("m0", "main", enteredIn("main", "-2h")).
				release("m1", "main").release("m2", "main").merge("m1", 4, "d1", "m0").merge("m2", 5, "d2", "m1"), "m2", "Lineage"},
		"lineage: two merges in a row, with a hotfix between": {
			standard().release("d1", "develop", d).release("d2", "develop", d).release("m0", "main", enteredIn("main", "-2h")).
				release("m1", "main").release("h1", "main").release("m2", "main").merge("m1", 4, "d1", "m0").merge("m2", 5, "d2", "h1"), "m2", "not in develop"},
		"lineage: round in a circle":     {standard().release("m1", "main").merge("m1", 4, "m1", "m1"), "m1", "not in develop"},
		"no upstream, nothing to prove":  {empty().environment("main").lists("main", fromBranch("main")).release("m1", "main"), "m1", "Commit"},
		"two upstreams, both":            {twoUpstreams().release("d1", "develop", ranIn("load", "-1h"), ranIn("qa", "-2h")), "d1", "Commit"},
		"two upstreams, one is missing":  {twoUpstreams().release("d1", "develop", ranIn("load", "-1h")), "d1", "not in qa"},
		"two upstreams, the weaker kind": {twoUpstreams().release("d1", "develop", ranIn("load", "-1h")).release("q1", "develop", content("d1"), ranIn("qa", "-2h")), "d1", "Content"},
		"two upstreams, the last moment": {twoUpstreams().release("d1", "develop", ranIn("load", "-1h"), ranIn("qa", "-2h")), "d1", "Commit"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := briefProof(test.given, test.release); got != test.want {
				t.Errorf("proof is %q, want %q", got, test.want)
			}
		})
	}
	s := twoUpstreams().release("d1", "develop", ranIn("load", "-1h"), ranIn("qa", "-2h"))
	if found := prove(s.State, "main", subjectOf(s.State.release("d1"))); !found.at.Equal(at("-1h").Time) {
		t.Errorf("it was proven at %s, want when the last upstream did", found.at)
	}
}

// TestLineageEnds proves that a long row of merges, each of which is only as good as the one before, is followed no further than the
// bound, and that it fails closed there.
func TestLineageEnds(t *testing.T) {
	s := standard().release("d1", "develop", ranIn("develop", "-1h")).release("m000", "main", enteredIn("main", "-2h"))
	names := []string{"m000"}
	for i := range lineageDepth + 3 {
		name := "m" + string(rune('a'+i))
		s.release(name, "main").merge(name, int64(i), "d1", names[len(names)-1])
		names = append(names, name)
	}
	if got := briefProof(s, names[lineageDepth-1]); got != "Lineage" {
		t.Errorf("%d merges in a row are %s", lineageDepth-1, got)
	}
	if got := briefProof(s, names[len(names)-1]); got != "not in develop" {
		t.Errorf("%d merges in a row are %s", len(names)-1, got)
	}
}

// TestBase asks what keeps d1 from being merged into main.
func TestBase(t *testing.T) {
	d := ranIn("develop", "-1h")
	base := func(options ...releaseOption) *scene {
		return standard().release("d1", "develop", d).release("h1", "main", options...).head("main", "h1")
	}
	tests := map[string]struct {
		given *scene
		want  string
	}{
		"the candidate itself":         {standard().release("d1", "develop", d).head("main", "d1"), "Passed Commit"},
		"the same content":             {base(content("d1")), "Passed Commit"},
		"contained in the candidate":   {base().distance("h1", "d1", 4, 0), "Passed Commit"},
		"what runs here":               {base().distance("h1", "d1", 4, 1).runs("main", "h1"), "Passed Commit"},
		"what once entered here":       {base(enteredIn("main", "-9h")).distance("h1", "d1", 4, 1), "Passed Commit"},
		"a hotfix that nobody let in":  {base().distance("h1", "d1", 4, 1), "Waiting Diverged"},
		"of which nothing is known":    {base(), "Waiting Diverged"},
		"proven as a merge":            {base().merge("h1", 3, "d1", "m0").distance("m0", "d1", 3, 0), "Passed Commit"},
		"that was not read":            {standard().release("d1", "develop", d), "Unknown NotObserved"},
		"that cannot be read":          {standard().release("d1", "develop", d).outage("1m"), "Unknown Unreachable until 12:01:00"},
		"a hotfix, bypassed":           {base().promotion("main", "d1", by(alice), bypassing(GateProven)), "Passed Bypassed"},
		"a candidate that is unproven": {standard().release("d1", "develop").head("main", "d1"), "Waiting NotProven"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := briefGate(gate(t, test.given, GateProven)); got != test.want {
				t.Errorf("proven is %q, want %q", got, test.want)
			}
		})
	}
}

func TestRollbackIsProvenHere(t *testing.T) {
	s := standard().release("d1", "develop", ranIn("main", "-9h"), rejectedIn("main", "-1h")).promotion("main", "d1", by(alice), rollback)
	if got := briefGate(gate(t, s, GateProven)); got != "Passed ProvenHere" {
		t.Errorf("what ran here before is %s", got)
	}
	s = standard().release("d1", "develop", ranIn("develop", "-9h")).promotion("main", "d1", by(alice), rollback)
	if got := briefGate(gate(t, s, GateProven)); got != "Failed NotProvenHere" {
		t.Errorf("what never ran here is %s", got)
	}
}
