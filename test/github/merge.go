package github

import (
	"net/http"
	"slices"
	"strings"
)

// Merge methods.
const (
	MergeCommit = "merge"
	Squash      = "squash"
	Rebase      = "rebase"
)

// webFlow is who commits what is made on GitHub's own side.
const (
	webFlowName  = "GitHub"
	webFlowEmail = "noreply@github.com"
)

type mergeRequest struct {
	Title   string `json:"commit_title"`
	Message string `json:"commit_message"`
	// SHA is the head that the caller has seen.
	SHA    string `json:"sha"`
	Method string `json:"merge_method"`
}

func (r *Repository) allows(method string) bool {
	return slices.Contains(r.options.MergeMethods, method)
}

// judge computes whether a pull request can be merged, as a job that runs after the
// first question: that one is answered null.
func (r *Repository) judge(p *pull) error {
	pair := [2]string{p.headSHA, r.refs[heads+p.baseRef]}
	if p.state != stateOpen || p.judged == pair {
		return nil
	}
	if p.asked != pair {
		p.asked = pair
		return nil
	}
	return r.judgeNow(p, pair)
}

func (r *Repository) judgeNow(p *pull, pair [2]string) error {
	tree, conflict, err := r.mergeTree(pair[1], pair[0])
	if err != nil {
		return err
	}
	p.asked, p.judged, p.mergeable, p.testMerge = pair, pair, !conflict, ""
	if conflict {
		return nil
	}
	now := r.server.now()
	flow := signature{name: webFlowName, email: webFlowEmail, when: now}
	p.testMerge, err = r.commitTree(newCommit{
		tree: tree, parents: []string{pair[1], pair[0]}, author: flow, committer: flow,
		message: "Merge " + pair[0] + " into " + pair[1],
	})
	return err
}

// known says whether mergeable has been computed for what head and base are now.
func (r *Repository) known(p *pull) bool {
	return p.judged == [2]string{p.headSHA, r.refs[heads+p.baseRef]}
}

// mergeableState is the one word that sums up why a pull request can or cannot be
// merged.
func (r *Repository) mergeableState(p *pull) string {
	switch {
	case !r.known(p):
		return "unknown"
	case !p.mergeable:
		return "dirty"
	case p.draft:
		return "draft"
	case r.outdated(p):
		return "behind"
	case len(r.blockers(p)) > 0:
		return "blocked"
	case !r.allPassed(p.headSHA):
		return "unstable"
	}
	return "clean"
}

// merge merges a pull request and returns the SHA that its base has then.
func (r *Repository) merge(p *pull, asked mergeRequest, by actor) (string, error) {
	if asked.Method == "" {
		asked.Method = MergeCommit
	}
	if err := r.checkMerge(p, asked); err != nil {
		return "", err
	}
	pair := [2]string{p.headSHA, r.refs[heads+p.baseRef]}
	if err := r.judgeNow(p, pair); err != nil {
		return "", err
	}
	if !p.mergeable {
		return "", refuse(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	}
	sha, err := r.mergedCommit(p, asked, by)
	if err != nil {
		return "", err
	}
	base := heads + p.baseRef
	change := refChange{ref: base, old: r.refs[base], new: sha}
	if err := r.writeRef(base, sha); err != nil {
		return "", err
	}
	r.markMerged(p, sha, by)
	if err := r.follow(change, by); err != nil {
		return "", err
	}
	if r.options.DeleteBranchOnMerge {
		return sha, r.setRef(heads+p.headRef, zeroSHA, by)
	}
	return sha, nil
}

// checkMerge refuses in GitHub's order: state, the caller's view of the head, method,
// protection.
func (r *Repository) checkMerge(p *pull, asked mergeRequest) error {
	notAllowed := func(text string) error {
		return &Error{Status: http.StatusMethodNotAllowed, Message: text, Docs: "https://docs.github.com/articles/about-protected-branches"}
	}
	if p.state != stateOpen {
		return refuse(http.StatusMethodNotAllowed, "Pull Request is not mergeable")
	}
	if p.draft {
		return refuse(http.StatusMethodNotAllowed, "Pull Request is still a draft")
	}
	if asked.SHA != "" && asked.SHA != p.headSHA {
		return refuse(http.StatusConflict, "Head branch was modified. Review and try the merge again.")
	}
	switch asked.Method {
	case MergeCommit, Squash, Rebase:
	default:
		return invalid(FieldError{Resource: "PullRequest", Field: "merge_method", Code: "invalid"})
	}
	if !r.allows(asked.Method) {
		words := map[string]string{MergeCommit: "Merge commits are", Squash: "Squash merges are", Rebase: "Rebase merges are"}
		return notAllowed(words[asked.Method] + " not allowed on this repository.")
	}
	if r.outdated(p) {
		return notAllowed("Head branch is out of date. Review and try the merge again.")
	}
	if unmet := r.unmet(p, r.protections[p.baseRef]); len(unmet) > 0 {
		return notAllowed(strings.Join(unmet, " "))
	}
	if unmet := r.unmet(p, r.rules[p.baseRef]); len(unmet) > 0 {
		return notAllowed("Repository rule violations found\n\n" + strings.Join(unmet, "\n\n") + "\n\n")
	}
	return nil
}

func (r *Repository) mergedCommit(p *pull, asked mergeRequest, by actor) (string, error) {
	test, err := r.commit(p.testMerge)
	if err != nil {
		return "", err
	}
	now := r.server.now()
	author := signature{name: by.account.login, email: by.account.email(), when: now}
	made := newCommit{
		tree: test.tree, parents: []string{r.refs[heads+p.baseRef]}, author: author,
		committer: signature{name: webFlowName, email: webFlowEmail, when: now},
	}
	title, message := asked.Title, asked.Message
	switch asked.Method {
	case Rebase:
		return r.rebase(p, made)
	case Squash:
		made.author = signature{name: p.author.login, email: p.author.email(), when: now}
		title = orElse(title, p.title+" (#"+itoa(p.number)+")")
	default:
		made.parents = append(made.parents, p.headSHA)
		title = orElse(title, "Merge pull request #"+itoa(p.number)+" from "+r.owner.login+"/"+p.headRef)
		message = orElse(message, p.title)
	}
	made.message = title
	if message != "" {
		made.message += "\n\n" + message
	}
	return r.commitTree(made)
}

func orElse(text, fallback string) string {
	if text == "" {
		return fallback
	}
	return text
}

// rebase replays the commits of a pull request, merges left out, on its base.
func (r *Repository) rebase(p *pull, made newCommit) (string, error) {
	onto := made.parents[0]
	commits, err := r.logCommits("--reverse", "--topo-order", "--no-merges", onto+".."+p.headSHA, "--")
	if err != nil {
		return "", err
	}
	for _, original := range commits {
		tree, err := r.replayedTree(original, onto)
		if err != nil {
			return "", err
		}
		onto, err = r.commitTree(newCommit{
			tree: tree, parents: []string{onto}, author: original.author, committer: made.committer, message: original.message,
		})
		if err != nil {
			return "", err
		}
	}
	return onto, nil
}

// replayedTree applies what a commit changes to the tree of another. Git's merge-tree
// takes its merge base from history, hence the stand-in: a commit with the tree of
// onto whose parent is the parent of the original.
func (r *Repository) replayedTree(original *commit, onto string) (string, error) {
	if len(original.parents) == 0 {
		return original.tree, nil
	}
	target, err := r.commit(onto)
	if err != nil {
		return "", err
	}
	standIn, err := r.commitTree(newCommit{
		tree: target.tree, parents: original.parents[:1], author: original.author, committer: original.committer, message: "stand-in",
	})
	if err != nil {
		return "", err
	}
	tree, conflict, err := r.mergeTree(standIn, original.sha)
	if err == nil && conflict {
		err = refuse(http.StatusMethodNotAllowed, "This branch can't be rebased")
	}
	return tree, err
}
