// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// needing says that the templates of an environment use variables.
func needing(env v1alpha1.EnvironmentName, variables ...string) func(*State) {
	return func(s *State) { s.Templates[env] = Templates{Needs: variables} }
}

func production() *scene {
	return standard().environment("production", after("main")).lists("production", fromReleases(">=1.0.0 <3.0.0"))
}

// twoUpstreams is load and qa after develop, and main after both, pinned.
func twoUpstreams() *scene {
	return empty().environment("load").lists("load", fromBranch("develop")).environment("qa").lists("qa", fromBranch("develop")).
		environment("main", after("load", "qa")).lists("main")
}

func TestCandidates(t *testing.T) {
	d, m := ranIn("develop", "-1h"), ranIn("main", "-30m")
	tests := map[string]struct {
		given *scene
		env   v1alpha1.EnvironmentName
		want  string
	}{
		// Branches.
		"entry, branch: the head":                             {standard().release("d1", "develop").release("d2", "develop").head("develop", "d2"), "develop", "d2"},
		"entry, branch: a head without a Release yet":         {standard().release("d1", "develop").head("develop", "d2"), "develop", ""},
		"entry, branch: what is deployed":                     {standard().release("d1", "develop").head("develop", "d1").promotion("develop", "d1", succeeded("-5m")), "develop", "d1 AlreadyDeployed"},
		"entry, branch: what failed":                          {standard().release("d1", "develop").head("develop", "d1").promotion("develop", "d1", failed("-5m")), "develop", "d1 AlreadyDeployed"},
		"entry, branch: moved back to what ran":               {standard().release("d1", "develop", d).release("d2", "develop", d).head("develop", "d1").promotion("develop", "d2", succeeded("-5m")), "develop", "d1"},
		"entry, branch: moved back from what failed":          {standard().release("d1", "develop", d).release("d2", "develop").head("develop", "d1").promotion("develop", "d2", failed("-5m")), "develop", "d1 Rejected"},
		"entry, branch: newer than what failed":               {standard().release("d1", "develop").release("d2", "develop").head("develop", "d2").promotion("develop", "d1", failed("-5m")), "develop", "d2"},
		"entry, branch: a deploy that nobody followed":        {standard().release("d1", "develop").head("develop", "d1").promotion("develop", "d1", toldFlux("-5m"), ended(v1alpha1.PromotionSuperseded, "-4m")), "develop", "d1"},
		"entry, branch: a person said no":                     {standard().release("d1", "develop").head("develop", "d1").promotion("develop", "d1", ended(v1alpha1.PromotionCancelled, "-5m"), because(v1alpha1.RejectedReason)), "develop", "d1 Rejected"},
		"entry, branch: cancelled for another reason":         {standard().release("d1", "develop").head("develop", "d1").promotion("develop", "d1", ended(v1alpha1.PromotionCancelled, "-5m"), because(v1alpha1.EnvironmentGoneReason)), "develop", "d1"},
		"entry, branch: what runs already, never promoted":    {standard().release("d1", "develop").head("develop", "d1").runs("develop", "d1"), "develop", "d1 AlreadyDeployed"},
		"entry, branch: without a variable that is used":      {standard().release("d1", "develop").head("develop", "d1").do(needing("develop", "branch", "version")), "develop", "d1 VersionMissing"},
		"upstream, branch: the head of the branch, if proven": {mergedByPeople().release("d1", "develop", d).head("main", "d1"), "main", "d1"},
		"upstream, branch: a head that is nowhere proven":     {mergedByPeople().release("d1", "develop", d).release("m1", "main").head("main", "m1"), "main", "m1 Diverged"},
		"upstream, branch: a head of proven content":          {mergedByPeople().release("d1", "develop", d).release("m1", "main", content("d1")).head("main", "m1"), "main", "m1"},
		// Releases.
		"entry, release: the newest version first":              {empty().environment("prod").lists("prod", fromReleases("")).release("c2", "", tagged("1.10.0")).release("c1", "", tagged("1.9.0")), "prod", "c2-v1.10.0, c1-v1.9.0"},
		"entry, release: nothing out of the range":              {empty().environment("prod").lists("prod", fromReleases("<1.10.0")).release("c2", "", tagged("1.10.0")).release("c1", "", tagged("1.9.0")), "prod", "c1-v1.9.0"},
		"entry, release: older than what runs":                  {empty().environment("prod").lists("prod", fromReleases("")).release("c2", "", tagged("2.0.0")).release("c1", "", tagged("1.9.1")).promotion("prod", "c2-v2.0.0", succeeded("-5m")), "prod", "c2-v2.0.0 AlreadyDeployed, c1-v1.9.1 Older"},
		"entry, release: no Releases without a tag":             {empty().environment("prod").lists("prod", fromReleases("")).release("c2", "main"), "prod", ""},
		"entry, release: a tag that was moved, neither of both": {empty().environment("prod").lists("prod", fromReleases("")).release("c1", "", tagged("1.0.0")).release("c2", "", tagged("1.0.0")), "prod", "c2-v1.0.0 TagMoved, c1-v1.0.0 TagMoved"},
		"upstream, release: proven by its commit":               {production().release("m1", "main", m).release("m1", "main", tagged("1.0.0")), "production", "m1-v1.0.0"},
		"upstream, release: not proven":                         {production().release("m1", "main").release("m1", "main", tagged("1.0.0")), "production", "m1-v1.0.0 Diverged"},
		"upstream, release: the newest of the proven":           {production().release("m1", "main", m).release("m1", "main", tagged("1.0.0")).release("m2", "main", tagged("1.1.0")), "production", "m2-v1.1.0 Diverged, m1-v1.0.0"},
		// Pinned.
		"pinned: what is proven upstream, newest first":       {pinned().release("d1", "develop", d).release("d2", "develop", d).release("d3", "develop"), "main", "d2, d1"},
		"pinned: not what was rejected upstream since":        {pinned().release("d1", "develop", d).release("d2", "develop", d, rejectedIn("develop", "-10m")), "main", "d1"},
		"pinned: not what ran before":                         {pinned().release("d1", "develop", d, m).release("d2", "develop", d).promotion("main", "d2", succeeded("-5m")), "main", "d2 AlreadyDeployed, d1 Older"},
		"pinned: nothing that a hotfix replaced":              {pinned().release("d1", "develop", d, m).release("h1", "main").promotion("main", "h1", by(alice), succeeded("-5m")), "main", "d1 Older"},
		"pinned: what is newer than what a hotfix replaced":   {pinned().release("d1", "develop", d, m).release("h1", "main").release("d2", "develop", d).promotion("main", "h1", by(alice), succeeded("-5m")), "main", "d2, d1 Older"},
		"pinned: of two branches, by observation":             {pinned().release("d1", "develop", d, m).release("m1", "main", d).promotion("main", "m1", succeeded("-5m")), "main", "m1 AlreadyDeployed, d1 Older"},
		"pinned: older than a rejected one of another branch": {pinned().release("d1", "develop", d).release("m1", "main", d, rejectedIn("main", "-5m")), "main", "m1 Rejected, d1 Rejected"},
		"pinned: only what every upstream has proven":         {twoUpstreams().release("d1", "develop", ranIn("load", "-1h"), ranIn("qa", "-1h")).release("d2", "develop", ranIn("load", "-1h")), "main", "d2 NotProven, d1"},
		"pinned: not what a rewritten branch has lost":        {pinned().release("d1", "develop", d).rewritten("develop", "e1", "d1"), "main", "d1 CommitUnreachable"},
		"pinned: what Flux has, though the branch is lost":    {pinned().release("d1", "develop", d).rewritten("develop", "e1", "d1").fetched("develop", "d1"), "main", "d1"},
		"entry, release: of a branch that was rewritten":      {empty().environment("prod").lists("prod", fromReleases("")).release("c1", "main", tagged("1.0.0")).rewritten("main", "e1", "c1"), "prod", "c1-v1.0.0 CommitUnreachable"},
		"entry, release: of a tag that is on no branch":       {empty().environment("prod").lists("prod", fromReleases("")).release("c1", "", tagged("1.0.0")), "prod", "c1-v1.0.0"},
		// Pull requests.
		"pull request: a candidate is not what Flux fetches":   {standard().release("d1", "develop", d).rewritten("develop", "e1", "d1").head("main", "m0"), "main", "d1"},
		"pull request: what is proven upstream":                {standard().release("d1", "develop", d).head("main", "m0"), "main", "d1"},
		"pull request: the base has the content, not deployed": {standard().release("d1", "develop", d).release("m1", "main", content("d1")).head("main", "m1"), "main", "d1"},
		"pull request: the base has the content, and is deployed": {
			standard().release("d1", "develop", d).release("m1", "main", content("d1")).head("main", "m1").promotion("main", "m1", by(alice), succeeded("-5m")), "main", "d1 AlreadyDeployed"},
		"pull request: the base contains it, unproven": {
			standard().release("d1", "develop", d).release("m1", "main").head("main", "m1").distance("m1", "d1", 0, 3), "main", "d1 Contained"},
		"pull request: what is older than what the base contains": {
			standard().release("d0", "develop", d).release("d1", "develop", d).release("m1", "main").head("main", "m1").distance("m1", "d1", 0, 3), "main", "d1 Contained, d0 Older"},
		"pull request: the base is its very merge, by a person": {
			standard().release("d1", "develop", d).release("h1", "main", enteredIn("main", "-1h")).release("m1", "main").head("main", "m1").distance("m1", "d1", 0, 2).merge("m1", 4, "d1", "h1"), "main", "d1"},
		"pull request: its merge is deployed": {
			standard().release("d1", "develop", d).release("m1", "main", m).head("main", "m1").distance("m1", "d1", 0, 1).promotion("main", "d1", succeeded("-5m", "m1")), "main", "d1 AlreadyDeployed"},
		"pull request: closed by a person": {
			standard().release("d1", "develop", d).head("main", "m0").promotion("main", "d1", ended(v1alpha1.PromotionCancelled, "-5m"), because(v1alpha1.DeclinedReason)), "main", "d1 Rejected"},
		"pull request: closed, and then deployed by a person": {
			standard().release("d1", "develop", d).release("m1", "main").head("main", "m1").distance("m1", "d1", 0, 1).
				promotion("main", "d1", ended(v1alpha1.PromotionCancelled, "-9m"), because(v1alpha1.DeclinedReason)).
				promotion("main", "d1", attempt(2), by(alice), succeeded("-5m", "m1")), "main", "d1 AlreadyDeployed"},
		"pull request: a tag is no help, the merge has none":        {standard().release("d1", "develop", d, tagged("1.0.0")).head("main", "m0").do(needing("main", "tag")), "main", "d1-v1.0.0 VersionMissing"},
		"pull request: after a hotfix, what is newer":               {standard().release("d1", "develop", d).release("h1", "main", m).release("d2", "develop", d).head("main", "h1").distance("h1", "d1", 0, 2).promotion("main", "h1", by(alice), succeeded("-5m")), "main", "d2, d1 AlreadyDeployed"},
		"pull request: after a hotfix, what was observed before it": {standard().release("d1", "develop", d).release("h1", "main", m).head("main", "h1").promotion("main", "h1", by(alice), succeeded("-5m")), "main", "d1"},
		"pull request: after a rollback": {
			standard().release("d1", "develop", d).release("m1", "main", m).release("d2", "develop", d).release("m2", "main", m).release("d3", "develop", d).head("main", "m2").
				promotion("main", "d1", created("-50m"), succeeded("-50m", "m1")).promotion("main", "d2", created("-40m"), succeeded("-40m", "m2")).
				promotion("main", "m1", by(alice), rollback, succeeded("-5m")), "main", "d3, d2 Rejected, d1 Rejected"},
		"nobody lists it": {standard(), "staging", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := briefCandidates(Candidates(test.given.State, test.env)); got != test.want {
				t.Errorf("Candidates are %q, want %q", got, test.want)
			}
		})
	}
}

func TestCandidatesSayWhy(t *testing.T) {
	s := standard().release("d1", "develop", ranIn("develop", "-1h")).head("main", "m1").distance("m1", "d1", 0, 3)
	if got := Candidates(s.State, "main")[0].Message; !strings.Contains(got, "3 commits on top") || !strings.Contains(got, "bypass: [proven]") {
		t.Errorf("%q does not say what is in the way and how to go on", got)
	}
	s.distance("m1", "d1", 0, 1)
	if got := Candidates(s.State, "main")[0].Message; !strings.Contains(got, "1 commit on top") {
		t.Errorf("%q does not count in words", got)
	}
}

// TestWhatABaseContainsIsToldTheSame whether its distance was known before there was a Promotion, or only after.
func TestWhatABaseContainsIsToldTheSame(t *testing.T) {
	s := ready().release("m1", "main").head("main", "m1").distance("m1", "d1", 0, 2)
	before := Candidates(s.State, "main")[0].Message
	after := step(s.promotion("main", "d1"), "main-d1-1").Message
	for _, words := range []string{"2 commits on top", "promote m1 with bypass: [proven]"} {
		if !strings.Contains(before, words) || !strings.Contains(after, words) {
			t.Errorf("%q and %q do not both say %q", before, after, words)
		}
	}
}

func TestDecide(t *testing.T) {
	waiting := func() *scene {
		return standard().release("d1", "develop", ranIn("develop", "-1h")).head("develop", "d1").head("main", "m0").promotion("develop", "d1", succeeded("-5m"))
	}
	tests := map[string]struct {
		given *scene
		env   v1alpha1.EnvironmentName
		want  string
	}{
		"a candidate":                      {waiting(), "main", "Start d1 attempt 1"},
		"a candidate whose gates wait":     {waiting().with("main", guarded(soaking(2*time.Hour))), "main", "Start d1 attempt 1"},
		"a candidate again":                {waiting().promotion("main", "d1", ended(v1alpha1.PromotionSuperseded, "-5m")), "main", "Start d1 attempt 2"},
		"nothing new":                      {waiting(), "develop", "Hold AlreadyDeployed"},
		"nothing at all":                   {standard(), "develop", "Hold NoCandidate"},
		"one on its way":                   {waiting().promotion("main", "d1"), "main", "Hold Active d1"},
		"suspended":                        {waiting().do(func(s *State) { s.Application.Spec.Suspend = true }), "main", "Hold Suspended"},
		"not accepted":                     {waiting().with("main", after("qa")), "main", "Hold UpstreamNotFound"},
		"people start":                     {waiting().with("main", startedByPeople), "main", "Hold Manual d1"},
		"GitHub cannot be observed":        {waiting().outage("1m"), "main", "Hold Unreachable d1"},
		"held: it starts, and waits":       {waiting().hold("main"), "main", "Start d1 attempt 1"},
		"a declined one":                   {waiting().promotion("main", "d1", ended(v1alpha1.PromotionCancelled, "-5m"), because(v1alpha1.DeclinedReason)), "main", "Hold Rejected"},
		"diverged, which people must see":  {mergedByPeople().release("m1", "main").head("main", "m1"), "main", "Hold Diverged m1"},
		"contained, which people must see": {waiting().distance("m0", "d1", 0, 1), "main", "Hold Contained d1"},
		"proven in one of two upstreams":   {twoUpstreams().release("d1", "develop", ranIn("load", "-1h")), "main", "Hold NotProven d1"},
		"first installation, main behind":  {waiting().distance("m0", "d1", 4, 0), "main", "Start d1 attempt 1"},
		"first installation, same commit":  {waiting().head("main", "d1"), "main", "Start d1 attempt 1"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := briefDecision(Decide(test.given.State, test.env)); got != test.want {
				t.Errorf("Decide says %q, want %q", got, test.want)
			}
		})
	}
}

func TestDecideLooksAgainExactly(t *testing.T) {
	s := standard().with("main", guarded(soaking(2*time.Hour))).release("d1", "develop", ranIn("develop", "-1h")).head("main", "m0").runs("develop", "d1")
	if got, want := Decide(s.State, "main").RecheckAt, noon.Add(time.Hour); !got.Equal(want) {
		t.Errorf("Decide looks again at %s, want the end of the soak, %s", got, want)
	}
	s.hold("main", until("20m"))
	if got, want := Decide(s.State, "main").RecheckAt, noon.Add(20*time.Minute); !got.Equal(want) {
		t.Errorf("Decide looks again at %s, want the end of the hold, %s", got, want)
	}
	s.outage("3m")
	if got, want := Decide(s.State, "main").RecheckAt, noon.Add(3*time.Minute); !got.Equal(want) {
		t.Errorf("Decide looks again at %s, want when GitHub may answer, %s", got, want)
	}
}

func TestLostItsPin(t *testing.T) {
	prod := func() *scene { return empty().environment("prod").lists("prod", fromReleases("")) }
	tests := map[string]struct {
		given *scene
		want  bool
	}{
		"a tag that stands":                        {prod().release("c1", "", tagged("1.0.0")).release("c2", "", tagged("1.1.0")), false},
		"a tag that was moved":                     {prod().release("c1", "", tagged("1.0.0")).release("c2", "", tagged("1.0.0")), true},
		"a tag that was moved, beside a branch":    {prod().release("c1", "main", tagged("1.0.0")).release("c2", "", tagged("1.0.0")), false},
		"two tags of one commit":                   {prod().release("c1", "", tagged("1.0.0")).release("c1", "", tagged("1.0.1")), false},
		"no tag, as another Release that has none": {prod().release("c1", "").release("c2", ""), false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := LostItsPin(test.given.State, test.given.Releases[0]); got != test.want {
				t.Errorf("got %t", got)
			}
		})
	}
}
