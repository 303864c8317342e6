// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// step is the next step of the Promotion of a name, after its pull request was followed.
func step(s *scene, promotion string) Step {
	p := s.get(promotion)
	FollowPullRequest(s.State, p)
	return Next(s.State, p)
}

// opened is d1 on its way into main, whose pull request is open.
func opened(gates ...v1alpha1.Gate) *scene {
	return ready(gates...).promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestOpen, "d1")
}

// merged is d1 on its way into main, whose pull request somebody merged as m1.
func mergedPull(gates ...v1alpha1.Gate) *scene {
	return ready(gates...).promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestMerged, "d1", mergedAs("m1", alice)).
		release("m1", "main", content("d1")).head("main", "m1")
}

func foreign(p *PullRequest) { p.Foreign = true }

func archive(s *State) { s.GitHub.Archived = true }

func TestPending(t *testing.T) {
	tests := map[string]struct {
		given *scene
		want  string
	}{
		// The way through a pull request.
		"no pull request yet":                        {ready().promotion("main", "d1"), "Pending MergeWaiting +PullRequest"},
		"no pull request yet, gates wait":            {ready(soaking(2*time.Hour)).promotion("main", "d1"), "Pending GatesWaiting +PullRequest"},
		"no pull request yet, held":                  {ready().hold("main").promotion("main", "d1"), "Pending GatesWaiting +PullRequest"},
		"no pull request yet, the base not compared": {standard().release("d1", "develop", ranIn("develop", "-1h")).head("main", "m0").promotion("main", "d1"), "Pending NotObserved"},
		"open, gates wait":                           {opened(soaking(2 * time.Hour)), "Pending GatesWaiting +PullRequest"},
		"open, gates pass":                           {opened(), "Merging Merging +Merge"},
		"open, gates pass, people merge":             {opened().do(func(s *State) { s.entry("main").PullRequest.Merge = v1alpha1.MergeManual }), "Pending MergeWaiting +PullRequest"},
		"merging, and a gate turns back":             {opened().hold("main").do(func(s *State) { s.Promotions[0].Status.Phase = v1alpha1.PromotionMerging }), "Pending GatesWaiting +PullRequest"},
		"open at what came before":                   {ready().release("d0", "develop").promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestOpen, "d0"), "Pending MergeWaiting +PullRequest"},
		"open at what a stranger pushed":             {ready().promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestOpen, "x1"), "Pending BranchMoved stalled"},
		"open with another installation's mark":      {ready().promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestOpen, "d1", foreign), "Pending PullRequestForeign stalled"},
		"closed by a person":                         {ready().promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestClosed, "d1"), "Cancelled Declined +Withdraw"},
		"that cannot be read": {opened().do(func(s *State) {
			s.GitHub.PullRequests["main-d1-1"] = PullRequest{Problem: &Problem{Reason: v1alpha1.RateLimitedReason}}
		}), "Pending RateLimited"},
		"that was not read":                          {opened().do(func(s *State) { s.GitHub.PullRequests = nil }), "Pending NotObserved"},
		"without GitHub":                             {opened().outage("1m"), "Pending Unreachable"},
		"merged, gates pass":                         {mergedPull(), "Deploying Deploying m1 by Content"},
		"merged by a person before the gates":        {mergedPull(soaking(2 * time.Hour)), "Pending GatesWaiting"},
		"merged while held":                          {mergedPull().hold("main"), "Pending GatesWaiting"},
		"merged, the merge not read yet":             {ready().promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestMerged, "d1", mergedAs("m1", alice)), "Pending MergeNotObserved"},
		"merged, and GitHub is gone since":           {mergedPull().do(func(s *State) { FollowPullRequest(s, s.Promotions[0]) }).outage("1m"), "Deploying Deploying m1 by Content"},
		"merged onto a hotfix that slipped in":       {mergedPull().release("h1", "main").merge("m1", 4, "d1", "h1").do(func(s *State) { s.release("m1").Spec.Content = "tree-m1" }), "Pending GatesWaiting"},
		"merged onto a hotfix that was let in":       {mergedPull().release("h1", "main", enteredIn("main", "-2h")).merge("m1", 4, "d1", "h1").do(func(s *State) { s.release("m1").Spec.Content = "tree-m1" }), "Deploying Deploying m1 by Lineage"},
		"merged at another head: a new pull request": {ready().release("d0", "develop").promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestMerged, "d0", mergedAs("m0", alice)), "Pending MergeWaiting +PullRequest"},
		"a hotfix on the base":                       {opened().release("h1", "main").head("main", "h1").distance("h1", "d1", 1, 1), "Pending GatesWaiting +PullRequest"},
		"the base has the content":                   {ready().release("m1", "main", content("d1")).head("main", "m1").promotion("main", "d1"), "Deploying Deploying m1 by Content"},
		"the base is the commit":                     {ready().head("main", "d1").promotion("main", "d1"), "Deploying Deploying d1 by Commit"},
		"the base has the content, no Release yet": {ready().do(func(s *State) {
			s.GitHub.Branches["main"] = Branch{Found: true, Head: Commit{SHA: sha("m1"), Tree: "tree-d1"}}
		}).promotion("main", "d1"), "Pending BaseNotObserved"},
		"the base contains it, with more":              {ready().head("main", "m1").distance("m1", "d1", 0, 2).promotion("main", "d1"), "Pending Contained"},
		"the base is its merge, by a person elsewhere": {ready().release("h1", "main", enteredIn("main", "-2h")).release("m1", "main").head("main", "m1").distance("m1", "d1", 0, 2).merge("m1", 9, "d1", "h1").promotion("main", "d1"), "Deploying Deploying m1 by Lineage"},
		"a Release of the base branch itself":          {ready().release("h1", "main").promotion("main", "h1", by(alice), bypassing(GateProven)), "Deploying Deploying h1 by None"},
		// Without a pull request.
		"pinned":                       {pinned().release("d1", "develop", ranIn("develop", "-1h")).promotion("main", "d1"), "Deploying Deploying d1 by Commit"},
		"pinned, held":                 {pinned().hold("main").release("d1", "develop", ranIn("develop", "-1h")).promotion("main", "d1"), "Pending GatesWaiting"},
		"by hand, unproven":            {pinned().release("d1", "develop").promotion("main", "d1", by(alice)), "Pending GatesWaiting"},
		"by hand, unproven, bypassed":  {pinned().release("d1", "develop").promotion("main", "d1", by(alice), bypassing(GateProven)), "Deploying Deploying d1 by None"},
		"an entry":                     {standard().release("d1", "develop").head("develop", "d1").promotion("develop", "d1"), "Deploying Deploying d1"},
		"an entry without GitHub":      {standard().release("d1", "develop").promotion("develop", "d1").outage("1m"), "Deploying Deploying d1"},
		"a rollback":                   {ready(checking("build")).release("m1", "main", ranIn("main", "-2h")).promotion("main", "m1", by(alice), rollback), "Deploying Deploying m1"},
		"a rollback, held":             {ready().hold("main").release("m1", "main", ranIn("main", "-2h")).promotion("main", "m1", by(alice), rollback), "Pending GatesWaiting"},
		"a rollback to what never ran": {ready().promotion("main", "d1", by(alice), rollback), "Cancelled NotProvenHere"},
		// In a repository that nobody can write to.
		"archived, no pull request yet":     {ready().promotion("main", "d1").do(archive), "Pending RepositoryArchived stalled"},
		"archived, open":                    {opened().do(archive), "Pending RepositoryArchived stalled"},
		"archived, closed by a person":      {ready().promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestClosed, "d1").do(archive), "Cancelled Declined +Withdraw"},
		"archived once it was merged":       {mergedPull().do(archive), "Deploying Deploying m1 by Content"},
		"archived, the base has it already": {ready().head("main", "d1").promotion("main", "d1").do(archive), "Deploying Deploying d1 by Commit"},
		"archived, pinned":                  {pinned().release("d1", "develop", ranIn("develop", "-1h")).promotion("main", "d1").do(archive), "Deploying Deploying d1 by Commit"},
		"archived, a rollback":              {ready().release("m1", "main", ranIn("main", "-2h")).promotion("main", "m1", by(alice), rollback).do(archive), "Deploying Deploying m1"},
		// What Flux could not fetch.
		"a rollback to what a rewritten branch has lost":  {ready().release("m1", "main", ranIn("main", "-2h")).rewritten("main", "e1", "m1").promotion("main", "m1", by(alice), rollback), "Cancelled CommitUnreachable"},
		"a rollback to what Flux has":                     {ready().release("m1", "main", ranIn("main", "-2h")).rewritten("main", "e1", "m1").fetched("main", "m1").promotion("main", "m1", by(alice), rollback), "Deploying Deploying m1"},
		"a rollback without GitHub":                       {ready().release("m1", "main", ranIn("main", "-2h")).promotion("main", "m1", by(alice), rollback).outage("1m"), "Deploying Deploying m1"},
		"a rollback to what a branch leads to":            {ready().release("m1", "main", ranIn("main", "-2h")).promotion("main", "m1", by(alice), rollback).do(func(s *State) { s.GitHub.Reaches[Span{Base: sha("m0"), Head: sha("m1")}] = true }), "Deploying Deploying m1"},
		"by hand, of a branch that is gone":               {pinned().release("d1", "develop", ranIn("develop", "-1h")).do(func(s *State) { s.GitHub.Branches["develop"] = Branch{} }).promotion("main", "d1", by(alice)), "Cancelled CommitUnreachable"},
		"by hand, through a pull request, of a lost head": {ready().rewritten("develop", "e1", "d1").promotion("main", "d1", by(alice)), "Pending MergeWaiting +PullRequest"},
		"pinned, and its branch was rewritten":            {pinned().release("d1", "develop", ranIn("develop", "-1h")).rewritten("develop", "e1", "d1").promotion("main", "d1"), "Pending CommitUnreachable stalled"},
		"merged, and the base was rewritten since":        {mergedPull().rewritten("main", "e1", "m1"), "Pending CommitUnreachable stalled"},
		// What ends or stops it.
		"suspended":                     {opened().do(func(s *State) { s.Application.Spec.Suspend = true }), "Pending Suspended"},
		"not accepted":                  {opened().do(func(s *State) { s.Targets["main"] = &Problem{Reason: v1alpha1.TargetMissingReason} }), "Pending TargetMissing"},
		"lacks a variable":              {opened().do(needing("main", "version")), "Pending VersionMissing"},
		"the entry is gone":             {opened().do(func(s *State) { s.Application.Spec.Environments = s.Application.Spec.Environments[:1] }), "Cancelled EnvironmentGone +Withdraw"},
		"the Environment is gone":       {opened().do(func(s *State) { delete(s.Environments, "main") }), "Cancelled EnvironmentGone +Withdraw"},
		"no such Release":               {ready().promotion("main", "d7", by(alice)), "Cancelled ReleaseNotFound"},
		"bypassing no gate":             {ready(soaking(2*time.Hour)).promotion("main", "d1", by(alice), bypassing("environment/soka")), "Cancelled GateNotFound"},
		"bypassing a gate of elsewhere": {ready().with("develop", guarded(checking())).promotion("main", "d1", by(alice), bypassing("environment/ci")), "Cancelled GateNotFound"},
		"bypassing a gate of the team":  {ready().do(func(s *State) { s.entry("main").Gates = []v1alpha1.Gate{soaking(2 * time.Hour)} }).promotion("main", "d1", by(alice), bypassing("application/soak")), "Pending MergeWaiting +PullRequest"},
		"bypassing what is a gate no more": {ready(soaking(2*time.Hour)).promotion("main", "d1", by(alice), bypassing("environment/soak")).do(advance).with("main", func(e *v1alpha1.Environment) { e.Spec.Gates = nil }),
			"Pending MergeWaiting +PullRequest"},
		"somebody says no": {opened().approval("main-d1-1", bob, v1alpha1.DecisionReject), "Cancelled Rejected +Withdraw"},
		"somebody says no to what has no pull request": {ready().promotion("main", "d1").approval("main-d1-1", bob, v1alpha1.DecisionReject), "Cancelled Rejected"},
		"somebody says no to what is merged":           {mergedPull(soaking(2*time.Hour)).do(advance).approval("main-d1-1", bob, v1alpha1.DecisionReject), "Cancelled Rejected"},
		"somebody says no, and another one has its pull request": {opened().promotion("main", "d1", attempt(2), by(alice)).pullRequest("main-d1-2", 4, v1alpha1.PullRequestOpen, "d1").
			approval("main-d1-1", bob, v1alpha1.DecisionReject), "Cancelled Rejected"},
		"somebody said no and then yes": {opened().approval("main-d1-1", bob, v1alpha1.DecisionReject).approval("main-d1-1", bob, v1alpha1.DecisionApprove), "Merging Merging +Merge"},
		"checks have failed":            {opened(checking()).checks("d1", Check{"build", CheckFailure}), "Pending GatesWaiting +PullRequest"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := briefStep(step(test.given, test.given.Promotions[0].Name)); got != test.want {
				t.Errorf("the next step is %q, want %q", got, test.want)
			}
		})
	}
}

// TestMistypedBypassSaysWhatThereIs : and it takes the place of nothing that waits.
func TestMistypedBypassSaysWhatThereIs(t *testing.T) {
	s := opened(soaking(2*time.Hour), approvedBy(1)).promotion("main", "d1", attempt(2), by(alice), bypassing("environment/soka"))
	for _, want := range []string{"environment/soka", "environment/sign-off, environment/soak, proven"} {
		if got := step(s, "main-d1-2").Message; !strings.Contains(got, want) {
			t.Errorf("%q does not say %q", got, want)
		}
	}
	if got := briefStep(step(s, "main-d1-1")); got != "Pending GatesWaiting +PullRequest" {
		t.Errorf("what waits is %s", got)
	}
}

func TestMergeNamesTheBaseItWasDecidedOn(t *testing.T) {
	if got := step(opened(), "main-d1-1").Base; got != sha("m0") {
		t.Errorf("it is to be merged onto %s, want the head that was read", got)
	}
}

func TestFollowPullRequest(t *testing.T) {
	s := mergedPull()
	p := s.get("main-d1-1")
	FollowPullRequest(s.State, p)
	if got := p.Status.PullRequest; got.State != v1alpha1.PullRequestMerged || got.MergeCommit != sha("m1") || got.MergedBy != alice {
		t.Errorf("a merge is recorded as %+v", got)
	}
	s = ready().release("d0", "develop").promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestMerged, "d0", mergedAs("m0", alice))
	FollowPullRequest(s.State, s.get("main-d1-1"))
	if got := s.get("main-d1-1").Status.PullRequest; got != nil {
		t.Errorf("the merge of another Promotion's commit is recorded as %+v", got)
	}
	s = ready().promotion("main", "d1", ended(v1alpha1.PromotionSuperseded, "-1m")).pullRequest("main-d1-1", 4, v1alpha1.PullRequestMerged, "d1", mergedAs("m1", alice))
	FollowPullRequest(s.State, s.get("main-d1-1"))
	if got := s.get("main-d1-1").Status.PullRequest.State; got != v1alpha1.PullRequestOpen {
		t.Errorf("a Promotion that is over is changed: its pull request is %s", got)
	}
}

func TestYielding(t *testing.T) {
	d := ranIn("develop", "-1h")
	// two is d1 on its way into main while d2 is proven, too.
	two := func(gates ...v1alpha1.Gate) *scene {
		return ready(gates...).release("d2", "develop", ranIn("develop", "-30m")).distance("m0", "d2", 1, 0).promotion("main", "d1")
	}
	tests := map[string]struct {
		given *scene
		want  string
	}{
		"to a newer candidate":                           {two(checking("build")), "Superseded Superseded"},
		"even when its gates pass, as do the newer ones": {two(), "Superseded Superseded"},
		"even while merging":                             {two().do(func(s *State) { s.Promotions[0].Status.Phase = v1alpha1.PromotionMerging }), "Superseded Superseded"},
		"even once it is merged":                         {two().pullRequest("main-d1-1", 4, v1alpha1.PullRequestMerged, "d1", mergedAs("m1", alice)), "Superseded Superseded"},
		"not when it only soaks":                         {two(soaking(2 * time.Hour)), "Pending GatesWaiting +PullRequest"},
		"not when its gates pass and the newer one's do not": {two(soaking(20 * time.Minute)).do(func(s *State) {
			s.statusOf("develop").Current.HealthySince = at("-24h")
			s.release("d2").Status.Environments[0].ProvenAt = at("-10m")
		}), "Pending MergeWaiting +PullRequest"},
		"not while its checks run":                     {two(checking("build")).checks("d1", Check{"build", CheckPending}).checks("d2"), "Pending GatesWaiting +PullRequest"},
		"when a check has yet to begin":                {two(checking("build", "test")).checks("d1", Check{"build", CheckPending}).checks("d2"), "Superseded Superseded"},
		"when it soaks and waits for more":             {two(soaking(2*time.Hour), approvedBy(1)), "Superseded Superseded"},
		"not when it is approved":                      {two(approvedBy(2)).approval("main-d1-1", bob, v1alpha1.DecisionApprove), "Pending GatesWaiting +PullRequest"},
		"although approved, when checks have failed":   {two(approvedBy(2), checking()).checks("d1", Check{"build", CheckFailure}).approval("main-d1-1", bob, v1alpha1.DecisionApprove), "Superseded Superseded"},
		"although approved, when it can not be proven": {two(approvedBy(2)).head("main", "h1").distance("h1", "d1", 1, 1).distance("h1", "d2", 1, 0).approval("main-d1-1", bob, v1alpha1.DecisionApprove), "Superseded Superseded"},
		"although approved, when the base contains it": {two(approvedBy(2)).head("main", "h1").distance("h1", "d1", 0, 1).approval("main-d1-1", bob, v1alpha1.DecisionApprove), "Superseded Superseded"},
		"although approved, when it can not be fetched": {pinned().with("main", guarded(approvedBy(2))).release("d1", "develop", d).release("d2", "develop", d).rewritten("develop", "d2", "d1").promotion("main", "d1").
			approval("main-d1-1", bob, v1alpha1.DecisionApprove), "Superseded Superseded"},
		"not to one that is only candidate when GitHub is back": {two(checking("build")).outage("1m"), "Pending Unreachable"},
		"not where people start":                                {two(checking("build")).with("main", startedByPeople), "Pending GatesWaiting +PullRequest"},
		"not when a person asked for it":                        {ready(checking("build")).release("d2", "develop", d).promotion("main", "d1", by(alice)), "Pending GatesWaiting +PullRequest"},
		"not to an older one":                                   {ready(checking("build")).release("d0", "develop", d, content("x")).do(func(s *State) { s.release("d0").Spec.Sequence = 0 }).promotion("main", "d1"), "Pending GatesWaiting +PullRequest"},
		"to any, once its upstream went back from it":           {ready(checking("build")).release("d0", "develop", d).do(func(s *State) { s.release("d0").Spec.Sequence = 0; rejectedIn("develop", "-1m")(s.release("d1")) }).promotion("main", "d1"), "Superseded Superseded"},
		"to one that a person asks for":                         {ready(checking("build")).promotion("main", "d1").release("d2", "develop").promotion("main", "d2", by(alice)), "Superseded Superseded"},
		"to a person's, although merging":                       {ready().promotion("main", "d1", phased(v1alpha1.PromotionMerging)).release("d2", "develop").promotion("main", "d2", by(alice)), "Superseded Superseded"},
		"a person's to a newer one of a person":                 {ready(checking("build")).promotion("main", "d1", by(alice)).release("d2", "develop").promotion("main", "d2", by(bob), created("-5m")), "Superseded Superseded"},
		"queued behind one that deploys":                        {ready().promotion("main", "d1").release("d0", "develop").promotion("main", "d0", toldFlux("-1m")), "Pending Queued"},
		"a person's, queued behind one that deploys":            {ready().promotion("main", "d1", by(alice)).release("d0", "develop").promotion("main", "d0", toldFlux("-1m")), "Pending Queued"},
		"queued behind an older one of Mainstem's":              {ready(checking("build")).promotion("main", "d1").release("d2", "develop").promotion("main", "d2", created("-20m")), "Pending Queued"},
		"on a branch, to its head":                              {standard().release("d1", "develop").release("d2", "develop").head("develop", "d2").hold("develop").promotion("develop", "d1"), "Superseded Superseded"},
		"on a branch, to a head that was moved back":            {standard().release("d0", "develop").release("d1", "develop").head("develop", "d0").hold("develop").promotion("develop", "d1"), "Superseded Superseded"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := briefStep(step(test.given, test.given.Promotions[0].Name)); got != test.want {
				t.Errorf("the next step is %q, want %q", got, test.want)
			}
		})
	}
}

// TestBusyUpstream lets develop prove a new release every five minutes: main soaks for thirty, and still gets one.
func TestBusyUpstream(t *testing.T) {
	s := ready(soaking(90*time.Minute)).promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestOpen, "d1")
	for i := range 5 {
		s.Now = noon.Add(time.Duration(i) * 5 * time.Minute)
		name := "e" + string(rune('1'+i))
		s.release(name, "develop", ranIn("develop", s.Now.Sub(noon).String())).head("develop", name)
		if got := step(s, "main-d1-1"); got.Phase != v1alpha1.PromotionPending || !got.RecheckAt.Equal(noon.Add(30*time.Minute)) {
			t.Fatalf("at %s: %s, looking again at %s", s.Now.Format(time.TimeOnly), briefStep(got), got.RecheckAt.Format(time.TimeOnly))
		}
	}
	s.Now = noon.Add(30 * time.Minute)
	// At that very moment only the merge call is left; the newer one takes over only what has not begun.
	if got := briefGate(gate(t, s, "environment/soak")); got != "Passed Soaked" {
		t.Errorf("the soak is %s", got)
	}
	if got := briefStep(step(s, "main-d1-1")); got != "Merging Merging +Merge" {
		t.Errorf("a busy develop starves main: at the end of the soak the next step is %q", got)
	}
}

func TestActive(t *testing.T) {
	both := func() *scene { return ready().release("d2", "develop") }
	tests := map[string]struct {
		given *scene
		want  string
	}{
		"none":                                   {both(), ""},
		"none that is over":                      {both().promotion("main", "d1", succeeded("-5m")), ""},
		"the oldest of Mainstem's":               {both().promotion("main", "d1").promotion("main", "d2", created("-20m")), "main-d2-1"},
		"a person's before Mainstem's":           {both().promotion("main", "d1", created("-20m")).promotion("main", "d2", by(alice)), "main-d2-1"},
		"the newest of persons'":                 {both().promotion("main", "d1", by(alice)).promotion("main", "d2", by(bob), created("-5m")), "main-d2-1"},
		"merging before another of Mainstem's":   {both().promotion("main", "d1").promotion("main", "d2", phased(v1alpha1.PromotionMerging)), "main-d2-1"},
		"a person's before merging":              {both().promotion("main", "d1", by(alice)).promotion("main", "d2", phased(v1alpha1.PromotionMerging)), "main-d1-1"},
		"deploying before all":                   {both().promotion("main", "d1", by(alice)).promotion("main", "d2", toldFlux("-1m")), "main-d2-1"},
		"not one of a Release that is not there": {both().promotion("main", "d1").promotion("main", "d7", by(alice)), "main-d1-1"},
		"not a rollback to what never ran":       {both().promotion("main", "d1").promotion("main", "d2", by(alice), rollback), "main-d1-1"},
		"not of another environment":             {both().promotion("develop", "d1"), ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			got := ""
			if p := Active(test.given.State, "main"); p != nil {
				got = p.Name
			}
			if got != test.want {
				t.Errorf("%q is active, want %q", got, test.want)
			}
		})
	}
}
