package journey

import (
	"bytes"
	"context"
	"crypto/rand"
	"embed"
	"encoding/base64"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	emulator "github.com/mainstem-dev/mainstem/test/github"
)

// The GitHub App, as it is registered and installed.
const (
	appID           = 4711
	installationID  = 815
	appSlug         = "mainstem-demo"
	author          = "alice"
	visitorName     = "visitor"
	visitorPassword = "look" // reads the emulated GitHub, on loopback, and nothing else
)

//go:embed all:testdata/podinfo
var podinfo embed.FS

// Team is a team at work: it commits, pushes, and has continuous integration.
type Team struct {
	// Repository is its repository on GitHub.
	Repository *emulator.Repository

	work string                              // its clone
	env  []string                            // of git
	app  struct{ key, webhookSecret string } // secrets of the GitHub App
}

// startGitHub starts the emulated GitHub with the team's private repository, whose first commit is on both branches, and the
// App that Mainstem and Flux authenticate as.
func (w *World) startGitHub(ctx context.Context) error {
	var err error
	if w.GitHub, err = emulator.Start(emulator.Options{Dir: filepath.Join(w.dir, "github"), Validate: w.options.ValidateGitHub}); err != nil {
		return fmt.Errorf("starting the emulated GitHub: %w", err)
	}
	w.Team = &Team{work: filepath.Join(w.dir, "podinfo")}
	if w.Team.Repository, err = w.GitHub.CreateRepository(RepositoryName, emulator.RepositoryOptions{Private: true}); err != nil {
		return fmt.Errorf("preparing the emulated GitHub: %w", err)
	}
	if err := w.registerApp(); err != nil {
		return fmt.Errorf("preparing the emulated GitHub: %w", err)
	}
	token := rand.Text()
	w.secrets = append(w.secrets, token)
	w.GitHub.AddToken(emulator.Token{Value: token, Login: author})
	w.GitHub.AddToken(emulator.Token{Value: visitorPassword, Login: visitorName, Permissions: map[string]string{
		"contents": emulator.Read, "pull_requests": emulator.Read, "checks": emulator.Read, "statuses": emulator.Read,
	}})
	if err := w.Team.begin(ctx, token); err != nil {
		return fmt.Errorf("preparing the team's repository: %w", err)
	}
	w.options.Sink.tell(Progress, "%-24s at %s, with the private repository %s", "GitHub (emulated)", w.GitHub.URL(), RepositoryName)
	return nil
}

// registerApp installs the App with the permissions that Mainstem needs, and no others.
func (w *World) registerApp() error {
	key, err := emulator.GenerateAppKey()
	if err != nil {
		return err
	}
	w.Team.app.key, w.Team.app.webhookSecret = key, rand.Text()
	w.secrets = append(w.secrets, w.Team.app.webhookSecret, strings.Split(key, "\n")[1])
	return w.GitHub.AddApp(emulator.App{
		ID: appID, InstallationID: installationID, Slug: appSlug, Owner: strings.Split(RepositoryName, "/")[0], PrivateKeyPEM: key,
		Repositories: []string{RepositoryName},
		Permissions: map[string]string{
			"contents": emulator.Write, "pull_requests": emulator.Write, "statuses": emulator.Write, "checks": emulator.Read,
		},
	})
}

// begin makes the team's clone and pushes its first commit to main and develop, where its checks have passed.
func (t *Team) begin(ctx context.Context, token string) error {
	basic := base64.StdEncoding.EncodeToString([]byte(author + ":" + token))
	t.env = append(os.Environ(),
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_TERMINAL_PROMPT=0", "no_proxy=127.0.0.1",
		"GIT_AUTHOR_NAME=Alice", "GIT_AUTHOR_EMAIL=alice@example.com", "GIT_COMMITTER_NAME=Alice", "GIT_COMMITTER_EMAIL=alice@example.com",
		"GIT_CONFIG_COUNT=1", "GIT_CONFIG_KEY_0=http.extraHeader", "GIT_CONFIG_VALUE_0=Authorization: Basic "+basic)
	content, err := fs.Sub(podinfo, "testdata/podinfo")
	if err != nil {
		return fmt.Errorf("reading the application: %w", err)
	}
	if err := os.CopyFS(t.work, content); err != nil {
		return fmt.Errorf("writing the application: %w", err)
	}
	for _, args := range [][]string{
		{"init", "--quiet", "--initial-branch=develop"},
		{"remote", "add", "origin", t.Repository.CloneURL()},
		{"add", "--all"},
		{"commit", "--quiet", "--message=Say hello"},
		{"push", "--quiet", "origin", "HEAD:main", "HEAD:develop"},
	} {
		if _, err := t.git(ctx, args...); err != nil {
			return err
		}
	}
	return t.CI(t.Repository.Head("develop"), "success")
}

// greet commits another greeting and pushes it to develop. It returns the commit.
func (t *Team) greet(ctx context.Context, greeting string) (string, error) {
	path := filepath.Join(t.work, "deploy", "base", "deployment.yaml")
	content, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("changing the application: %w", err)
	}
	changed := bytes.ReplaceAll(content, []byte("value: hello"), []byte("value: "+greeting))
	if err := os.WriteFile(path, changed, 0o600); err != nil {
		return "", fmt.Errorf("changing the application: %w", err)
	}
	if _, err := t.git(ctx, "commit", "--quiet", "--all", "--message=Say "+greeting); err != nil {
		return "", err
	}
	if _, err := t.git(ctx, "push", "--quiet", "origin", "HEAD:develop"); err != nil {
		return "", err
	}
	return t.git(ctx, "rev-parse", "HEAD")
}

// checkNames are the checks that continuous integration runs, and that the gate of the sample asks for.
var checkNames = []string{"build", "test"}

// CI reports the checks of a commit: in_progress, or the conclusion with which they completed.
func (t *Team) CI(commit, result string) error {
	for _, name := range checkNames {
		check := emulator.CheckRun{Name: name, Status: "completed", Conclusion: result}
		if result == "in_progress" {
			check = emulator.CheckRun{Name: name, Status: result}
		}
		if err := t.Repository.SetCheckRun(commit, check); err != nil {
			return fmt.Errorf("reporting the check %s: %w", name, err)
		}
	}
	return nil
}

func (t *Team) git(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...)
	cmd.Dir, cmd.Env = t.work, t.env
	output, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, bytes.TrimSpace(output))
	}
	return strings.TrimSpace(string(output)), nil
}

// VisitorURLs are where a person looks at the team's repository on the emulated GitHub: to clone it, and in the REST API.
// The password in them reads what is emulated here, and nothing else.
func (w *World) VisitorURLs() (git, api string) {
	with := func(url string) string {
		return strings.Replace(url, "http://", "http://"+visitorName+":"+visitorPassword+"@", 1)
	}
	return with(w.Team.Repository.CloneURL()), with(w.GitHub.APIURL() + "/repos/" + RepositoryName)
}
