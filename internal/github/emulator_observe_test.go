package github

import (
	"crypto/x509"
	"encoding/pem"
	"reflect"
	"strings"
	"testing"
	"time"

	emulator "github.com/mainstem-dev/mainstem/test/github"
)

func TestObserveARepository(t *testing.T) {
	w := newWorld(t)
	head := emulator.Must(w.repository.CommitInfo("develop"))
	seen, err := NewObserver(w.clients).Observe(testContext(t), w.repo, w.credential,
		Request{Branches: []string{"develop", "main", "feature/missing"}, MaxAge: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	if info := seen.Repository; info.FullName != "acme/podinfo" || info.DefaultBranch != "develop" || info.Moved || info.Archived || info.URL != w.URL()+"/acme/podinfo" {
		t.Errorf("repository %+v", info)
	}
	got := seen.Branches["develop"]
	want := Commit{SHA: head.SHA, Tree: head.Tree, Parents: head.Parents, Author: "alice", AuthoredAt: head.Date, Message: "Add a feature", URL: got.Commit.URL}
	if !got.Found || !got.Commit.AuthoredAt.Equal(want.AuthoredAt) {
		t.Errorf("develop %+v, want %+v", got, want)
	}
	want.AuthoredAt = got.Commit.AuthoredAt
	if !reflect.DeepEqual(got.Commit, want) || !strings.Contains(want.URL, head.SHA) {
		t.Errorf("develop %+v, want %+v", got.Commit, want)
	}
	if !seen.Branches["main"].Found || seen.Branches["main"].Commit.SHA != head.Parents[0] {
		t.Errorf("main %+v", seen.Branches["main"])
	}
	if missing, ok := seen.Branches["feature/missing"]; !ok || missing.Found {
		t.Errorf("a branch that is not there: %+v, %t", missing, ok)
	}
}

func TestAnIdleRepositoryIsFree(t *testing.T) {
	w := newWorld(t)
	observer := NewObserver(w.clients)
	observe := func() {
		t.Helper()
		if _, err := observer.Observe(testContext(t), w.repo, w.credential, Request{Branches: []string{"develop", "main"}}); err != nil {
			t.Fatal(err)
		}
	}
	observe()
	w.ResetCounts()
	observe()
	total, charged := 0, 0
	for _, count := range w.Calls() {
		total, charged = total+count.Total, charged+count.Charged
	}
	if total != 3 || charged != 0 {
		t.Errorf("%d calls, %d of them charged; want 3 and 0: %+v", total, charged, w.Calls())
	}
	pushed := w.commit("develop", "Go on")
	seen, err := observer.Observe(testContext(t), w.repo, w.credential, Request{Branches: []string{"develop"}})
	if err != nil || seen.Branches["develop"].Commit.SHA != pushed {
		t.Errorf("after a push: %+v, %v", seen.Branches, err)
	}
}

func TestReleasesAndTheirTags(t *testing.T) {
	w := newWorld(t)
	first, second := w.repository.Head("main"), w.repository.Head("develop")
	emulator.Must(w.repository.AnnotatedTag("v1.0.0", first, "one"))
	for _, spec := range []emulator.ReleaseSpec{
		{Tag: "v1.0.0", Name: "One"}, {Tag: "v1.1.0-rc.1", Target: "develop", Prerelease: true},
		{Tag: "v1.1.0", Target: "develop", Draft: true}, {Tag: "v0.9.0", Target: "main"},
	} {
		emulator.Must(w.repository.PublishRelease(spec))
	}
	seen, err := NewObserver(w.clients).Observe(testContext(t), w.repo, w.credential, Request{Releases: true})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]Release{}
	for _, release := range seen.Releases {
		got[release.Tag] = release
	}
	if len(got) != 3 {
		t.Errorf("got %+v: a draft is no release", seen.Releases)
	}
	for tag, sha := range map[string]string{"v1.0.0": first, "v1.1.0-rc.1": second, "v0.9.0": first} {
		release := got[tag]
		if !release.TagFound || release.Commit.SHA != sha || release.Commit.Tree == "" || release.ID == 0 || release.PublishedAt.IsZero() {
			t.Errorf("%s: %+v, want it at %s", tag, release, sha)
		}
		if release.Prerelease != (tag == "v1.1.0-rc.1") {
			t.Errorf("%s: prerelease %t", tag, release.Prerelease)
		}
	}
}

func TestARenamedRepositoryIsStillFound(t *testing.T) {
	w := newWorld(t)
	if err := w.repository.Rename("renamed"); err != nil {
		t.Fatal(err)
	}
	seen, err := NewObserver(w.clients).Observe(testContext(t), w.repo, w.credential, Request{Branches: []string{"develop"}})
	if err != nil || !seen.Repository.Moved || seen.Repository.FullName != "acme/renamed" || !seen.Branches["develop"].Found {
		t.Errorf("got %+v, %v", seen, err)
	}
	if _, err := w.client.EnsureStatus(testContext(t), w.repository.Head("develop"), Status{Context: "mainstem/main", State: StatusSuccess}); err != nil {
		t.Errorf("writing by the old name: %v", err)
	}
}

func TestAMissingRepositoryAndAnEmptyOne(t *testing.T) {
	w := newWorld(t)
	missing := w.repo
	missing.Name = "missing"
	if _, err := clientFor(t, w.clients, missing, w.credential).Info(testContext(t)); !IsNotFound(err) || !strings.Contains(err.Error(), "acme/missing") {
		t.Errorf("missing: %v", err)
	}
	emulator.Must(w.CreateRepository("acme/empty", emulator.RepositoryOptions{}))
	empty := w.repo
	empty.Name = "empty"
	seen, err := NewObserver(w.clients).Observe(testContext(t), empty, w.credential, Request{Branches: []string{"main"}, Releases: true})
	if err != nil || seen.Branches["main"].Found || len(seen.Releases) != 0 {
		t.Errorf("empty: %+v, %v", seen, err)
	}
}

func TestCompare(t *testing.T) {
	w := newWorld(t)
	main, develop := w.repository.Head("main"), w.repository.Head("develop")
	hotfix := w.commit("main", "Fix")
	for range 2 {
		got, err := w.client.Compare(testContext(t), hotfix, develop)
		if err != nil || got.Ahead != 1 || got.Behind != 1 {
			t.Fatalf("got %+v, %v", got, err)
		}
		commits, err := w.client.CommitsAhead(testContext(t), hotfix, develop)
		if err != nil || len(commits) != 1 || commits[0].SHA != develop || commits[0].Message != "Add a feature" {
			t.Errorf("got %+v, %v", commits, err)
		}
	}
	if got := w.Calls()["GET /repos/{owner}/{repo}/compare/{basehead}"].Total; got != 1 {
		t.Errorf("asked %d times: commits do not change", got)
	}
	w.ResetCounts()
	if got, err := w.client.Compare(testContext(t), main, main); err != nil || got != (Comparison{}) || len(w.Calls()) != 0 {
		t.Errorf("with itself: %+v, %v, %+v", got, err, w.Calls())
	}
	w.clients.ranges.lru.Purge()
	for range 2 {
		if commits, err := w.client.CommitsAhead(testContext(t), hotfix, develop); err != nil || len(commits) != 1 || commits[0].SHA != develop {
			t.Errorf("commits that were dropped: got %+v, %v", commits, err)
		}
	}
	if got := w.Calls()["GET /repos/{owner}/{repo}/compare/{basehead}"].Total; got != 1 {
		t.Errorf("asked %d times for commits that were dropped", got)
	}
	if _, err := w.client.Compare(testContext(t), main, shaA); !IsNotFound(err) {
		t.Errorf("with an unknown one: %v", err)
	}
	if _, err := w.client.Compare(testContext(t), "main", "develop"); err == nil {
		t.Error("branches were compared, whose answer must not be kept")
	}
}

func TestFirstParents(t *testing.T) {
	w := newWorld(t)
	merge := emulator.Must(w.repository.Merge("main", "develop", "alice"))
	after := []string{w.commit("main", "A"), w.commit("main", "B"), w.commit("main", "C"), w.commit("main", "D")}
	w.ResetCounts()
	walked, err := w.client.FirstParents(testContext(t), after[3], 6)
	if err != nil {
		t.Fatal(err)
	}
	got := []string{}
	for _, commit := range walked {
		got = append(got, commit.SHA)
	}
	root := emulator.Must(w.repository.CommitInfo(merge)).Parents[0]
	if want := []string{after[3], after[2], after[1], after[0], merge, root}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if calls := w.Calls(); calls["GET /repos/{owner}/{repo}/git/commits/{commit_sha}"].Total+calls["GET /repos/{owner}/{repo}/commits"].Total > 2 {
		t.Errorf("calls %+v", calls)
	}
	if walked, err = w.client.FirstParents(testContext(t), root, 5); err != nil || len(walked) != 1 {
		t.Errorf("beyond the root: %+v, %v", walked, err)
	}
}

func TestAnAppObserves(t *testing.T) {
	w := newWorld(t)
	key := emulator.Must(emulator.GenerateAppKey())
	app := emulator.App{ID: 12, InstallationID: 34, Owner: "acme", PrivateKeyPEM: key}
	if err := w.AddApp(app); err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string]map[string][]byte{
		"by id":    {keyAppID: []byte("12"), keyAppInstallationID: []byte("34"), keyAppPrivateKey: []byte(key)},
		"by owner": {keyAppID: []byte("12"), keyAppInstallationOwner: []byte("acme"), keyAppPrivateKey: []byte(key)},
	} {
		t.Run(name, func(t *testing.T) {
			client := clientFor(t, NewClients(Options{}), w.repo, mustCredential(t, data))
			if _, err := client.Info(testContext(t)); err != nil {
				t.Fatal(err)
			}
			if !client.shared.limits.current().Known {
				t.Error("the budget of the installation is not known")
			}
			w.RevokeInstallationTokens(app.ID)
			if head, err := client.Branch(testContext(t), "develop"); err != nil || !head.Found {
				t.Errorf("after the token was revoked: %+v, %v", head, err)
			}
		})
	}
	stranger := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(testKey())})
	data := map[string][]byte{keyAppID: []byte("12"), keyAppInstallationID: []byte("34"), keyAppPrivateKey: stranger}
	if _, err := clientFor(t, NewClients(Options{}), w.repo, mustCredential(t, data)).Info(testContext(t)); !isType[*UnauthorizedError](err) {
		t.Errorf("with another App's key: %v", err)
	}
}

// TestTheRepositoryItselfIsAskedForSeldom : and again where a branch is missing, since it may be the repository that is gone.
func TestTheRepositoryItselfIsAskedForSeldom(t *testing.T) {
	w, clock := newWorld(t), newStepClock()
	observer := NewObserver(NewClients(Options{Now: clock.now}))
	look := func(branch string) (Observation, error) {
		return observer.Observe(testContext(t), w.repo, w.credential, Request{Branches: []string{branch}, MaxAge: time.Hour})
	}
	asked := func() int { return w.Calls()["GET /repos/{owner}/{repo}"].Total }
	for _, want := range []int{1, 1} {
		if _, err := look("develop"); err != nil {
			t.Fatal(err)
		}
		if asked() != want {
			t.Errorf("the repository was asked for %d times, want %d", asked(), want)
		}
	}
	clock.advance(2 * time.Hour)
	if _, err := look("develop"); err != nil {
		t.Fatal(err)
	}
	if branches := w.Calls()["GET /repos/{owner}/{repo}/git/ref/{ref}"].Total; branches != 2 || asked() != 1 {
		t.Errorf("two looks asked for the branch %d times and for the repository %d times, want 2 and 1", branches, asked())
	}
	if seen, err := look("nowhere"); err != nil || seen.Branches["nowhere"].Found {
		t.Fatalf("got %+v, %v; want a branch that is not found", seen, err)
	}
	if asked() != 2 {
		t.Errorf("the repository was asked for %d times once a branch was missing, want 2", asked())
	}
}

func TestTheBranchThatHoldsACommit(t *testing.T) {
	w := newWorld(t)
	start, head := w.repository.Head("main"), w.repository.Head("develop")
	aside := w.commit("aside", "An island")
	for _, test := range []struct {
		sha      string
		branches []string
		want     string
	}{
		{head, []string{"main", "develop"}, "develop"},
		{start, []string{"develop", "main"}, "develop"},
		{head, []string{"main"}, ""},
		{head, []string{"", head, "gone", "main", "main"}, ""},
		{aside, []string{"develop", "aside"}, "aside"},
	} {
		if got, err := w.client.HeldBy(testContext(t), test.sha, test.branches...); err != nil || got != test.want {
			t.Errorf("%s of %q: got %q, %v; want %q", test.sha, test.branches, got, err, test.want)
		}
	}
}
