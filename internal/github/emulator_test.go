package github

import (
	"testing"

	emulator "github.com/mainstem-dev/mainstem/test/github"
)

const (
	testToken  = "ghp_0123456789"
	headBranch = "mainstem/test/main"
)

// world is the emulator with one repository, and a client of it.
type world struct {
	*emulator.Server
	repository *emulator.Repository
	repo       Repository
	credential Credential
	clients    *Clients
	client     *Client
}

// newWorld has the branch develop, the default one, with one commit, and main, a commit behind.
func newWorld(t *testing.T) *world {
	t.Helper()
	server, err := emulator.Start(emulator.Options{Validate: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, mismatch := range server.Mismatches() {
			t.Errorf("GitHub's description does not know this: %s", mismatch)
		}
		_ = server.Close()
	})
	server.AddToken(emulator.Token{Value: testToken, Login: "mainstem-bot"})
	w := &world{Server: server, credential: mustCredential(t, tokenData(testToken))}
	w.repository = emulator.Must(server.CreateRepository("acme/podinfo", emulator.RepositoryOptions{DefaultBranch: "develop"}))
	start := w.commit("develop", "Start")
	if err := w.repository.CreateBranch("main", start); err != nil {
		t.Fatal(err)
	}
	w.commit("develop", "Add a feature")
	w.repo = emulator.Must(ParseURL(server.URL()+"/acme/podinfo", "", ""))
	w.clients = NewClients(Options{})
	w.client = clientFor(t, w.clients, w.repo, w.credential)
	server.ResetCounts()
	return w
}

// commit adds a commit that says its message in a file of its own.
func (w *world) commit(branch, message string) string {
	return emulator.Must(w.repository.Commit(branch, message, "alice", map[string]string{message + ".txt": message}))
}

// promote puts the head branch at develop's head and opens its pull request into main.
func (w *world) promote(t *testing.T) (PullRequest, string) {
	t.Helper()
	sha := w.repository.Head("develop")
	if err := w.client.EnsureBranch(testContext(t), headBranch, sha); err != nil {
		t.Fatal(err)
	}
	opened, err := w.client.OpenPullRequest(testContext(t), NewPullRequest{Title: "Promote", Body: "marker", Head: headBranch, Base: "main"})
	if err != nil {
		t.Fatal(err)
	}
	return opened.PullRequest, sha
}
