// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

func TestBranchNeeds(t *testing.T) {
	s := standard().environment("qa").lists("qa", fromBranch("develop")).environment("pin", after("qa")).lists("pin")
	if got := BranchNeeds(s.Application); !slices.Equal(got.Branches, []string{"develop", "main"}) || got.Published {
		t.Errorf("it asks for branches %v, releases %t", got.Branches, got.Published)
	}
	if got := BranchNeeds(production().Application); !got.Published {
		t.Error("it does not ask for releases, and follows them")
	}
}

// briefNeeds is what is asked of GitHub, in few words.
func briefNeeds(n Needs) string {
	var words []string
	add := func(what string, commits []string) {
		for _, c := range commits {
			words = append(words, what+" "+strings.TrimRight(c, "0"))
		}
	}
	add("commit", n.Commits)
	add("merge", n.Merges)
	add("checks", n.Checks)
	for i := range n.Homes {
		add("home of "+n.Homes[i].Tag, []string{n.Homes[i].Commit.SHA})
	}
	for _, span := range n.Distances {
		words = append(words, fmt.Sprintf("distance %s..%s", strings.TrimRight(span.Base, "0"), strings.TrimRight(span.Head, "0")))
	}
	add("branch", n.Branches)
	for _, span := range n.Reaches {
		words = append(words, fmt.Sprintf("way %s..%s", strings.TrimRight(span.Base, "0"), strings.TrimRight(span.Head, "0")))
	}
	for _, p := range n.PullRequests {
		words = append(words, "pull of "+p.Name)
	}
	return strings.Join(words, ", ")
}

func TestEvidenceNeeds(t *testing.T) {
	d := ranIn("develop", "-1h")
	// candidate is d1, proven, and main at b1.
	candidate := func(gates ...v1alpha1.Gate) *scene {
		return standard().with("main", guarded(gates...)).release("d1", "develop", d).head("develop", "d1").head("main", "b1")
	}
	tests := map[string]struct {
		given *scene
		want  string
	}{
		"nothing at first":               {standard(), ""},
		"a base that nobody knows":       {candidate(), "merge b1, distance b1..d1"},
		"a base that is known":           {candidate().release("b1", "main", enteredIn("main", "-9h")), "distance b1..d1"},
		"a base without lineage":         {candidate().with("main", accepting(v1alpha1.ProofCommit)), "distance b1..d1"},
		"checks of the candidate":        {candidate(checking()).head("main", "d1"), "checks d1"},
		"no checks where none are asked": {candidate(approvedBy(1)).head("main", "d1"), ""},
		"both sides of a merge":          {candidate().merge("b1", 3, "d9", "e5"), "merge d9, merge e5, distance e5..d9, distance b1..d1"},
		"its pull request":               {candidate().head("main", "d1").promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestOpen, "d1"), "pull of main-d1-1"},
		"the commit that its merge made": {candidate().head("main", "d1").promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestMerged, "d1", mergedAs("c1", alice)).
			do(func(s *State) { FollowPullRequest(s, s.Promotions[0]) }), "commit c1, merge c1, pull of main-d1-1"},
		"not the pull request of what deploys": {candidate().head("main", "d1").promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestMerged, "d1").
			do(func(s *State) { toldFlux("-1m")(s.Promotions[0]) }), ""},
		"how far behind it is":            {candidate().head("main", "d1").release("b1", "main").runs("main", "b1").runs("develop", "d1"), "distance b1..d1"},
		"checks of what is diverged":      {mergedByPeople().with("main", guarded(checking())).release("c1", "main").head("main", "c1"), "merge c1, checks c1"},
		"checks of what is on the base":   {candidate(checking()).promotion("main", "d1", succeeded("-1h")).runs("main", "d1").release("b1", "main"), "merge b1, checks b1"},
		"the way to what is pinned":       {pinned().release("d1", "develop", d).head("develop", "d2"), "way d2..d1"},
		"no way to what Flux has":         {pinned().release("d1", "develop", d).head("develop", "d2").fetched("develop", "d1"), ""},
		"no way to a head":                {pinned().release("d1", "develop", d).head("develop", "d1"), ""},
		"no way from what is not there":   {pinned().release("d1", "develop", d).do(func(s *State) { s.GitHub.Branches["develop"] = Branch{} }), ""},
		"the branch of what waits":        {pinned().release("x1", "topic").promotion("main", "x1", by(alice)), "branch topic"},
		"the way to what waits":           {pinned().release("x1", "topic").head("topic", "x2").promotion("main", "x1", by(alice)), "way x2..x1"},
		"the way to what deploys":         {pinned().release("d1", "develop", d).head("develop", "d2").promotion("main", "d1", toldFlux("-1m")), "way d2..d1"},
		"the way to what is gone back to": {candidate().head("main", "m2").release("m2", "main", enteredIn("main", "-9h")).release("m1", "main", ranIn("main", "-9h")).promotion("main", "m1", by(alice), rollback), "distance m2..m1, distance m2..d1, way m2..m1"},
		"of an Environment that is gone":  {candidate().do(func(s *State) { delete(s.Environments, "main") }), ""},
		"the branch of what is released":  {production().do(publishing("1.2.0")), "home of v1.2.0 12"},
		"no branch where one is known":    {production().release("12", "main").do(publishing("1.2.0")), ""},
		"no branch of what is known":      {production().release("12", "", tagged("1.2.0")).do(publishing("1.2.0")), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := briefNeeds(EvidenceNeeds(test.given.State)); got != test.want {
				t.Errorf("it asks for %q, want %q", got, test.want)
			}
		})
	}
}
