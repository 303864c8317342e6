// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"slices"
	"strings"
	"testing"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

func briefStatuses(statuses []CommitStatus) string {
	var words []string
	for _, s := range statuses {
		words = append(words, string(s.Environment)+" "+short(s.Commit)[:2]+" "+string(s.State))
	}
	return strings.Join(words, ", ")
}

func TestCommitStatuses(t *testing.T) {
	running := func(gates ...v1alpha1.Gate) *scene {
		return ready(gates...).promotion("develop", "d1", succeeded("-1h"))
	}
	onItsWay := func(gates ...v1alpha1.Gate) *scene {
		return running(gates...).promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestOpen, "d1")
	}
	tests := map[string]struct {
		given *scene
		want  string
	}{
		"nothing runs":                       {standard(), ""},
		"healthy":                            {running().with("main", startedByPeople), "develop d1 success"},
		"not healthy":                        {running().with("main", startedByPeople).fails("develop", "d1", "-1m"), "develop d1 failure"},
		"gates wait":                         {onItsWay().hold("main"), "develop d1 success, main d1 pending"},
		"a gate says no":                     {onItsWay(checking()).checks("d1", Check{"build", CheckFailure}), "develop d1 success, main d1 failure"},
		"gates have passed":                  {onItsWay(), "develop d1 success, main d1 success"},
		"gates have passed, no pull request": {pinned().release("d1", "develop", ranIn("develop", "-1h")).promotion("main", "d1"), "main d1 pending"},
		"its merge is deployed": {
			running().promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestMerged, "d1", mergedAs("m1", alice)).release("m1", "main", content("d1")).head("main", "m1"),
			"develop d1 success, main d1 success, main m1 pending"},
		"it failed, and something else runs": {
			running().release("d2", "develop").promotion("develop", "d2", failed("-1m")).with("main", startedByPeople), "develop d1 success, develop d2 failure"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			advance(test.given.State)
			status, _ := Report(test.given.State)
			if got := briefStatuses(CommitStatuses(test.given.State, status)); got != test.want {
				t.Errorf("GitHub is told %q, want %q", got, test.want)
			}
		})
	}
}

// TestCommitStatusesAreShared lets two Applications of one repository speak of one commit: it is well only if both say so.
func TestCommitStatusesAreShared(t *testing.T) {
	s := ready().promotion("develop", "d1", succeeded("-1h")).with("main", startedByPeople).do(peer("api", "-1h"))
	other := ready().promotion("develop", "d1", succeeded("-1h")).with("main", startedByPeople).fails("develop", "d1", "-1m")
	s.Peers[0].Status, _ = Report(other.State)
	status, _ := Report(s.State)
	told := CommitStatuses(s.State, status)
	if briefStatuses(told) != "develop d1 failure" || !strings.HasPrefix(told[0].Description, "team-a/api: ") {
		t.Errorf("GitHub is told %+v", told)
	}
	s.Peers[0].Status, _ = Report(ready().with("main", startedByPeople).State)
	if told := CommitStatuses(s.State, status); briefStatuses(told) != "develop d1 success" {
		t.Errorf("both are well, and GitHub is told %+v", told)
	}
}

// TestEverybodyWantsTheSameCommitStatus lets two Applications that share a commit each say what both are to tell of it: were it
// not the same, each would write over the other's at every look.
func TestEverybodyWantsTheSameCommitStatus(t *testing.T) {
	of := func(name string) *scene {
		s := ready().promotion("main", "d1").pullRequest("main-d1-1", 4, v1alpha1.PullRequestOpen, "d1").hold("main").do(peer("zebra", "-1h"))
		s.Application.Name = name
		s.Peers[0].Namespace, s.Peers[0].Name = s.Application.Namespace, map[string]string{"api": "web", "web": "api"}[name]
		return s
	}
	api, web := of("api"), of("web")
	statusOfAPI, _ := Report(api.State)
	statusOfWeb, _ := Report(web.State)
	for i := range statusOfWeb.Environments {
		statusOfWeb.Environments[i].WaitingFor = "something else"
	}
	api.Peers[0].Status, web.Peers[0].Status = statusOfWeb, statusOfAPI
	byAPI, byWeb := CommitStatuses(api.State, statusOfAPI), CommitStatuses(web.State, statusOfWeb)
	if len(byAPI) == 0 || !slices.Equal(byAPI, byWeb) {
		t.Errorf("one says %+v, and the other %+v", byAPI, byWeb)
	}
	for _, told := range byAPI {
		if told.State == CommitPending && !strings.HasPrefix(told.Description, api.Application.Namespace+"/api: ") {
			t.Errorf("it does not tell of the first that waits: %+v", told)
		}
	}
}

// TestAFailureIsToldByAll lets one of two Applications fail at a commit that the other one runs healthy: both tell GitHub
// of the failure, or they would write over each other's at every look.
func TestAFailureIsToldByAll(t *testing.T) {
	of := func(name, other string) *scene {
		s := ready().release("d2", "develop").promotion("develop", "d1", succeeded("-1h")).with("main", startedByPeople).do(peer(other, "-1h"))
		s.Application.Name, s.Peers[0].Namespace = name, s.Application.Namespace
		return s
	}
	fails := of("api", "web").promotion("develop", "d2", failed("-1m"))
	runs := of("web", "api").runs("develop", "d2")
	statusOfFails, _ := Report(fails.State)
	statusOfRuns, _ := Report(runs.State)
	fails.Peers[0].Status, runs.Peers[0].Status = statusOfRuns, statusOfFails
	about := func(s *State, status v1alpha1.ApplicationStatus) CommitStatus {
		told := CommitStatuses(s, status)
		i := slices.IndexFunc(told, func(c CommitStatus) bool { return c.Commit == sha("d2") })
		if i < 0 {
			t.Fatalf("nothing is told of d2: %+v", told)
		}
		return told[i]
	}
	byFails, byRuns := about(fails.State, statusOfFails), about(runs.State, statusOfRuns)
	if byFails != byRuns || byFails.State != CommitFailure {
		t.Errorf("one says %+v, and the other %+v", byFails, byRuns)
	}
}
