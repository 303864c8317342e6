// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package observe

import (
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/github"
	"github.com/mainstem-dev/mainstem/internal/policy"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

const token = "ghp_0123456789"

// lookedAt is an Application of a repository of the emulator, which was observed once, and the clock of that.
type lookedAt struct {
	repository  *emulator.Repository
	server      *emulator.Server
	observer    *Observer
	observation *Observation
	now         time.Time
}

func look(t *testing.T) *lookedAt {
	t.Helper()
	server, err := emulator.Start(emulator.Options{Validate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	server.AddToken(emulator.Token{Value: token, Login: "mainstem-bot"})
	l := &lookedAt{server: server, now: now}
	l.repository = emulator.Must(server.CreateRepository("acme/podinfo", emulator.RepositoryOptions{DefaultBranch: "develop"}))
	l.push(t, "Start")

	clock := func() time.Time { return l.now }
	clients := github.NewClients(github.Options{Now: clock})
	live := fake.NewClientBuilder().WithObjects(tokenSecret("1", token)).Build()
	l.observer = New(Observer{Live: live, Cache: live, Clients: clients, Looks: github.NewObserver(clients), Now: clock})
	app := withSecret()
	app.Spec.Repository.URL = server.URL() + "/acme/podinfo"
	app.Spec.Environments = []v1alpha1.ApplicationEnvironment{{Name: "develop", Source: &v1alpha1.Source{Branch: "develop"}}}
	l.observation = of(app)
	l.observation.State.GitHub.Branches = map[string]policy.Branch{}
	if err := l.observer.repository(t.Context(), l.observation); err != nil || l.observation.State.GitHub.Problem != nil {
		t.Fatal(err, l.observation.State.GitHub.Problem)
	}
	return l
}

func (l *lookedAt) push(t *testing.T, message string) {
	t.Helper()
	if _, err := l.repository.Commit("develop", message, "alice", map[string]string{"message": message}); err != nil {
		t.Fatal(err)
	}
}

// same looks again, an interval later.
func (l *lookedAt) same(t *testing.T) bool {
	t.Helper()
	l.now = l.now.Add(defaultInterval)
	again, same := l.observer.SameAs(t.Context(), l.observation.Look())
	if want := nextLook(l.now, defaultInterval); same && !again.Equal(want) {
		t.Errorf("the next look is at %s, want %s", again, want)
	}
	return same
}

func TestALookFindsARepositoryAsItWas(t *testing.T) {
	l := look(t)
	l.server.ResetCounts()
	for range 2 {
		if !l.same(t) {
			t.Fatal("nothing has changed")
		}
	}
	for route, count := range l.server.Calls() {
		if count.Total != 2 || count.Charged != 0 {
			t.Errorf("%s was asked %d times, %d of them charged, want 2 answers of 304", route, count.Total, count.Charged)
		}
	}
}

func TestALookFindsWhatHasChanged(t *testing.T) {
	for because, change := range map[string]func(*testing.T, *lookedAt){
		"a commit was pushed":        func(t *testing.T, l *lookedAt) { l.push(t, "More") },
		"the branch is gone":         func(t *testing.T, l *lookedAt) { must(t, l.repository.DeleteBranch("develop")) },
		"the credential was revoked": func(_ *testing.T, l *lookedAt) { l.server.RevokeToken(token) },
		"GitHub does not answer":     func(t *testing.T, l *lookedAt) { must(t, l.server.Close()) },
	} {
		t.Run(because, func(t *testing.T) {
			l := look(t)
			change(t, l)
			if l.same(t) {
				t.Error("it is taken for the same")
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestNoRestOnWhatMayChangeWithoutTheBranches(t *testing.T) {
	l := look(t)
	for because, change := range map[string]func(*Observation){
		"a pull request was asked for": func(o *Observation) { o.passing = true },
		"something could not be read":  func(o *Observation) { o.State.GitHub.Problem = &policy.Problem{} },
		"nothing was seen":             func(o *Observation) { o.look = nil },
	} {
		observation := *l.observation
		change(&observation)
		if observation.Look() != nil {
			t.Errorf("%s, and it can be looked at again", because)
		}
	}
}

// TestWhatMayChangeIsPassing : of all that GitHub is asked, only what is about full SHAs stays so.
func TestWhatMayChangeIsPassing(t *testing.T) {
	l := look(t)
	head := l.observation.State.GitHub.Branches["develop"].Head.SHA
	for question, test := range map[string]struct {
		ask     func(*fetcher)
		passing bool
	}{
		"a commit":                    {func(f *fetcher) { f.commit(t.Context(), head) }, false},
		"a distance":                  {func(f *fetcher) { f.distance(t.Context(), policy.Span{Base: head, Head: head}) }, false},
		"the distance of what is not": {func(f *fetcher) { f.distance(t.Context(), policy.Span{Base: head, Head: strings.Repeat("0", 40)}) }, true},
		"the checks of a commit":      {func(f *fetcher) { f.checks(t.Context(), head) }, true},
		"whether it was merged":       {func(f *fetcher) { f.merge(t.Context(), head) }, true},
		"another branch":              {func(f *fetcher) { f.branch(t.Context(), "main") }, true},
		"which branch holds it":       {func(f *fetcher) { f.home(t.Context(), head, "main") }, true},
		"a pull request":              {func(f *fetcher) { f.pull(t.Context(), "promotion", 1) }, true},
	} {
		observation := *l.observation
		test.ask(&fetcher{observation: &observation})
		if observation.passing != test.passing {
			t.Errorf("%s: passing is %t, want %t", question, observation.passing, test.passing)
		}
	}
}
