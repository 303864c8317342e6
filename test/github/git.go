package github

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"time"
)

const (
	zeroSHA    = "0000000000000000000000000000000000000000"
	gitTimeout = time.Minute
)

// gitError is a Git command that failed.
type gitError struct {
	command string
	code    int
	stderr  string
	stdout  string
}

func (e *gitError) Error() string {
	return fmt.Sprintf("git %s: exit %d: %s", e.command, e.code, strings.TrimSpace(e.stderr))
}

// gitCommand is one run of Git in a repository.
type gitCommand struct {
	dir   string
	env   []string
	input string
}

// gitEnvironment keeps the machine's and the user's configuration out.
var gitEnvironment = []string{
	"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "HOME=/nonexistent", "LC_ALL=C", "TZ=UTC",
	"PATH=" + os.Getenv("PATH"), "GIT_TERMINAL_PROMPT=0",
}

// run returns standard output without its last newline.
func (g gitCommand) run(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, gitTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, "git", args...)
	command.Dir = g.dir
	command.Env = append(append([]string{}, gitEnvironment...), g.env...)
	command.Stdin = strings.NewReader(g.input)
	var stdout, stderr bytes.Buffer
	command.Stdout, command.Stderr = &stdout, &stderr
	err := command.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return "", &gitError{command: args[0], code: exit.ExitCode(), stderr: stderr.String(), stdout: stdout.String()}
	}
	if err != nil {
		return "", fmt.Errorf("running git %s: %w", args[0], err)
	}
	return strings.TrimSuffix(stdout.String(), "\n"), nil
}

func (r *Repository) git(args ...string) (string, error) {
	return gitCommand{dir: r.dir}.run(r.server.ctx, args...)
}

// signature is who made a commit or tag, and when.
type signature struct {
	name, email string
	when        time.Time
}

func (s signature) environment(role string) []string {
	return []string{
		"GIT_" + role + "_NAME=" + s.name, "GIT_" + role + "_EMAIL=" + s.email,
		"GIT_" + role + "_DATE=" + strconv.FormatInt(s.when.Unix(), 10) + " +0000",
	}
}

func (s signature) String() string {
	return fmt.Sprintf("%s <%s> %d +0000", s.name, s.email, s.when.Unix())
}

// commit is one commit as Git has it. It never changes, hence is cached for good.
type commit struct {
	sha, tree         string
	parents           []string
	author, committer signature
	message           string
}

const commitFormat = "--format=%H%x00%T%x00%P%x00%an%x00%ae%x00%at%x00%cn%x00%ce%x00%ct%x00%B%x01"

// logCommits lists commits by the arguments of git log.
func (r *Repository) logCommits(args ...string) ([]*commit, error) {
	out, err := r.git(append([]string{"log", commitFormat}, args...)...)
	if err != nil {
		return nil, err
	}
	var commits []*commit
	for entry := range strings.SplitSeq(out, "\x01") {
		fields := strings.Split(strings.TrimPrefix(entry, "\n"), "\x00")
		if len(fields) != 10 {
			continue
		}
		c := &commit{
			sha: fields[0], tree: fields[1], parents: strings.Fields(fields[2]), message: strings.TrimSuffix(fields[9], "\n"),
			author: parseSignature(fields[3:6]), committer: parseSignature(fields[6:9]),
		}
		r.commits[c.sha] = c
		commits = append(commits, c)
	}
	return commits, nil
}

func parseSignature(fields []string) signature {
	seconds, _ := strconv.ParseInt(fields[2], 10, 64) // Git prints a number
	return signature{name: fields[0], email: fields[1], when: time.Unix(seconds, 0).UTC()}
}

// commit loads one commit by its full SHA.
func (r *Repository) commit(sha string) (*commit, error) {
	if known := r.commits[sha]; known != nil {
		return known, nil
	}
	commits, err := r.logCommits("-1", sha, "--")
	if err != nil {
		return nil, err
	}
	if len(commits) == 0 {
		return nil, noCommit(sha)
	}
	return commits[0], nil
}

// newCommit describes a commit to be written.
type newCommit struct {
	tree              string
	parents           []string
	author, committer signature
	message           string
}

func (r *Repository) commitTree(c newCommit) (string, error) {
	args := []string{"commit-tree", c.tree}
	for _, parent := range c.parents {
		args = append(args, "-p", parent)
	}
	g := gitCommand{dir: r.dir, input: c.message, env: append(c.author.environment("AUTHOR"), c.committer.environment("COMMITTER")...)}
	return g.run(r.server.ctx, append(args, "-F", "-")...)
}

// mergeTree merges two commits. conflict says that a person has to.
func (r *Repository) mergeTree(ours, theirs string) (tree string, conflict bool, err error) {
	out, err := r.git("merge-tree", "--write-tree", "--no-messages", ours, theirs)
	var failed *gitError
	if errors.As(err, &failed) && failed.code == 1 {
		return "", true, nil
	}
	if err != nil {
		return "", false, err
	}
	tree, _, _ = strings.Cut(out, "\n")
	return tree, false, nil
}

// isAncestor says whether old is reachable from tip; both are SHAs, so that the answer
// holds for good.
func (r *Repository) isAncestor(old, tip string) (bool, error) {
	if old == tip {
		return true, nil
	}
	key := [2]string{old, tip}
	if known, cached := r.ancestors[key]; cached {
		return known, nil
	}
	_, err := r.git("merge-base", "--is-ancestor", old, tip)
	var failed *gitError
	if err != nil && (!errors.As(err, &failed) || failed.code != 1) {
		return false, err
	}
	r.ancestors[key] = err == nil
	return err == nil, nil
}

// mergeBase returns the best common ancestor, or "" when there is none.
func (r *Repository) mergeBase(a, b string) (string, error) {
	out, err := r.git("merge-base", a, b)
	var failed *gitError
	if errors.As(err, &failed) && failed.code == 1 {
		return "", nil
	}
	return out, err
}

// readRefs returns all refs but the emulator's own.
func (r *Repository) readRefs() (map[string]string, error) {
	out, err := r.git("for-each-ref", "--format=%(objectname) %(refname)")
	if err != nil {
		return nil, err
	}
	refs := map[string]string{}
	for line := range strings.SplitSeq(out, "\n") {
		if sha, name, found := strings.Cut(line, " "); found && !strings.HasPrefix(name, workRefs) {
			refs[name] = sha
		}
	}
	return refs, nil
}

// objectType returns blob, tree, commit or tag, or "" when there is no such object.
func (r *Repository) objectType(sha string) (string, error) {
	if r.commits[sha] != nil {
		return "commit", nil
	}
	if !isSHA(sha) {
		return "", nil
	}
	kind, err := r.git("cat-file", "-t", sha)
	var failed *gitError
	if errors.As(err, &failed) {
		return "", nil
	}
	return kind, err
}

func isSHA(text string) bool {
	return len(text) == 40 && strings.Trim(text, "0123456789abcdef") == ""
}
