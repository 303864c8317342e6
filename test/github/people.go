package github

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// person is the actor for what a test does in somebody's name.
func (r *Repository) person(login string) actor {
	if login == "" {
		login = r.owner.login
	}
	return actor{account: r.server.account(login, TypeUser), source: SourceTest}
}

// Commit writes files on top of a branch in author's name and returns the commit. A
// branch that does not exist starts at the default branch, or from nothing in an empty
// repository. Empty content deletes the file; no files make an empty commit. Branch
// protection does not apply here; it does to MergePullRequest and to pushes.
func (r *Repository) Commit(branch, message, author string, files map[string]string) (string, error) {
	defer r.lock()()
	by := r.person(author)
	parent := r.refs[heads+branch]
	if parent == "" {
		parent = r.refs[heads+r.defaultBranch]
	}
	sha, err := r.writeCommit(parent, message, by.account, files)
	if err != nil {
		return "", fmt.Errorf("committing to %s: %w", branch, err)
	}
	if err := r.setRef(heads+branch, sha, by); err != nil {
		return "", fmt.Errorf("committing to %s: %w", branch, err)
	}
	return sha, nil
}

// writeCommit writes a commit by git fast-import, which takes all files at once.
func (r *Repository) writeCommit(parent, message string, author *account, files map[string]string) (string, error) {
	who := signature{name: author.login, email: author.email(), when: r.server.now()}
	var stream strings.Builder
	const work = workRefs + "work"
	fmt.Fprintf(&stream, "commit %s\nmark :1\nauthor %s\ncommitter %s\ndata %d\n%s\n", work, who, who, len(message), message)
	if parent != "" {
		fmt.Fprintf(&stream, "from %s\n", parent)
	}
	for _, path := range slices.Sorted(maps.Keys(files)) {
		content := files[path]
		if content == "" {
			fmt.Fprintf(&stream, "D %s\n", path)
			continue
		}
		fmt.Fprintf(&stream, "M 100644 inline %s\ndata %d\n%s\n", path, len(content), content)
	}
	g := gitCommand{dir: r.dir, input: stream.String() + "\nget-mark :1\n"}
	out, err := g.run(r.server.ctx, "fast-import", "--quiet", "--force")
	if err != nil {
		return "", err
	}
	sha := strings.TrimSpace(out)
	if !isSHA(sha) {
		return "", fmt.Errorf("git fast-import named no commit: %q", out)
	}
	// Without this, the next commit would start from the tree of this one.
	_, err = r.git("update-ref", "-d", work)
	return sha, err
}

// CreateBranch makes a branch at a commit.
func (r *Repository) CreateBranch(name, sha string) error {
	defer r.lock()()
	if r.refs[heads+name] != "" {
		return fmt.Errorf("creating branch %s: it exists", name)
	}
	if _, err := r.peel(sha); err != nil {
		return fmt.Errorf("creating branch %s: %w", name, err)
	}
	return r.setRef(heads+name, sha, r.person(""))
}

// DeleteBranch removes a branch, which closes the pull requests from and to it.
func (r *Repository) DeleteBranch(name string) error {
	defer r.lock()()
	return r.setRef(heads+name, zeroSHA, r.person(""))
}

// ForcePush moves a branch to any commit.
func (r *Repository) ForcePush(branch, sha string) error {
	defer r.lock()()
	if _, err := r.peel(sha); err != nil {
		return fmt.Errorf("pushing %s: %w", branch, err)
	}
	return r.setRef(heads+branch, sha, r.person(""))
}

// Head returns the commit of a branch, or "" when there is no such branch.
func (r *Repository) Head(branch string) string {
	defer r.lock()()
	return r.refs[heads+branch]
}

// CommitInfo is a commit as tests ask for it.
type CommitInfo struct {
	SHA, Tree, Message string
	Parents            []string
	Author             string
	Date               time.Time
}

// CommitInfo resolves a SHA, branch or tag.
func (r *Repository) CommitInfo(ref string) (CommitInfo, error) {
	defer r.lock()()
	c, err := r.resolve(ref)
	if err != nil {
		return CommitInfo{}, err
	}
	return CommitInfo{SHA: c.sha, Tree: c.tree, Message: c.message, Parents: slices.Clone(c.parents), Author: c.author.name, Date: c.committer.when}, nil
}

// Contains says whether a commit is reachable from a SHA, branch or tag.
func (r *Repository) Contains(ref, sha string) (bool, error) {
	defer r.lock()()
	tip, err := r.resolve(ref)
	if err != nil {
		return false, err
	}
	return r.isAncestor(sha, tip.sha)
}

// Merge merges a branch or commit into base by hand, as git merge --no-ff and a push
// do, and returns the merge commit. A conflict is an error.
func (r *Repository) Merge(base, head, login string) (string, error) {
	defer r.lock()()
	by := r.person(login)
	ours, err := r.resolve(base)
	if err != nil {
		return "", fmt.Errorf("merging into %s: %w", base, err)
	}
	theirs, err := r.resolve(head)
	if err != nil {
		return "", fmt.Errorf("merging %s: %w", head, err)
	}
	tree, conflict, err := r.mergeTree(ours.sha, theirs.sha)
	if err != nil || conflict {
		return "", fmt.Errorf("merging %s into %s: conflict=%t: %w", head, base, conflict, err)
	}
	who := signature{name: by.account.login, email: by.account.email(), when: r.server.now()}
	sha, err := r.commitTree(newCommit{
		tree: tree, parents: []string{ours.sha, theirs.sha}, author: who, committer: who, message: fmt.Sprintf("Merge %s into %s", head, base),
	})
	if err != nil {
		return "", fmt.Errorf("merging %s into %s: %w", head, base, err)
	}
	return sha, r.setRef(heads+base, sha, by)
}

// Tag makes a lightweight tag.
func (r *Repository) Tag(name, sha string) error {
	defer r.lock()()
	return r.setRef(tags+name, sha, r.person(""))
}

// AnnotatedTag makes a tag object with a message and returns its own SHA.
func (r *Repository) AnnotatedTag(name, sha, message string) (string, error) {
	defer r.lock()()
	who := signature{name: r.owner.login, email: r.owner.email(), when: r.server.now()}
	text := fmt.Sprintf("object %s\ntype commit\ntag %s\ntagger %s\n\n%s\n", sha, name, who, message)
	tag, err := gitCommand{dir: r.dir, input: text}.run(r.server.ctx, "mktag")
	if err != nil {
		return "", fmt.Errorf("tagging %s: %w", name, err)
	}
	return tag, r.setRef(tags+name, tag, r.person(""))
}

// ReleaseSpec describes a release to publish or draft.
type ReleaseSpec struct {
	Tag string
	// Target is the branch or SHA where a tag that does not exist is made. Empty: the
	// default branch.
	Target            string
	Name, Body        string
	Draft, Prerelease bool
}

// PublishRelease makes a release, and its tag unless that exists, and returns its id.
func (r *Repository) PublishRelease(spec ReleaseSpec) (int64, error) {
	defer r.lock()()
	rel, err := r.createRelease(releaseRequest{
		Tag: &spec.Tag, Target: &spec.Target, Name: &spec.Name, Body: &spec.Body, Draft: &spec.Draft, Prerelease: &spec.Prerelease,
	}, r.person(""))
	if err != nil {
		return 0, fmt.Errorf("releasing %s: %w", spec.Tag, err)
	}
	return rel.id, nil
}

// PublishDraft publishes a release that was drafted before, by its id.
func (r *Repository) PublishDraft(id int64) error {
	defer r.lock()()
	for _, rel := range r.releases {
		if rel.id == id && rel.draft {
			return r.editRelease(rel, releaseRequest{Draft: new(false)}, r.person(""))
		}
	}
	return fmt.Errorf("publishing the draft %d: %w", id, notFound())
}

// CheckRun is a result of continuous integration.
type CheckRun struct {
	Name string
	// Status is queued, in_progress or completed. Empty: completed when there is a
	// Conclusion, else queued.
	Status     string
	Conclusion string
}

// SetCheckRun reports a check run as GitHub Actions: the newest of its name on the
// commit is updated while it runs; once that is completed, a new one is made, as by a
// re-run.
func (r *Repository) SetCheckRun(sha string, check CheckRun) error {
	defer r.lock()()
	by := actor{account: r.server.account("github-actions[bot]", TypeBot), source: SourceTest, app: r.server.actionsApp()}
	asked := checkRequest{Name: check.Name, HeadSHA: sha, Status: check.Status, Conclusion: check.Conclusion}
	for _, run := range r.latestChecks(sha, nil) {
		if run.name == check.Name && run.suite.app == by.app && run.status != statusCompleted {
			return r.updateCheck(run, asked, by)
		}
	}
	_, err := r.createCheck(asked, by)
	return err
}

// SetStatus sets a commit status: state is error, failure, pending or success.
func (r *Repository) SetStatus(sha, context, state, description string) error {
	defer r.lock()()
	_, err := r.setStatus(sha, newStatus{State: state, Context: context, Description: description}, r.person(""))
	return err
}

// Status is a commit status as tests see it.
type Status struct {
	Context, State, Description, TargetURL, Creator string
	Created                                         time.Time
}

// Statuses lists all statuses of a commit, oldest first.
func (r *Repository) Statuses(sha string) []Status {
	defer r.lock()()
	var list []Status
	for _, s := range r.statuses[sha] {
		list = append(list, Status{
			Context: s.context, State: s.state, Description: s.description, TargetURL: s.target, Creator: s.creator.login, Created: s.created,
		})
	}
	return list
}

// PullRequest is a pull request as tests see it.
type PullRequest struct {
	Number                             int
	State                              string
	Title, Body, Author                string
	HeadRef, HeadSHA, BaseRef, BaseSHA string
	Draft, Merged                      bool
	MergedBy, MergeSHA                 string
	Labels, Reviewers                  []string
	Approvals                          int
	Comments                           []string
}

func (p *pull) view() PullRequest {
	v := PullRequest{
		Number: p.number, State: p.state, Title: p.title, Body: p.body, Author: p.author.login, HeadRef: p.headRef, HeadSHA: p.headSHA,
		BaseRef: p.baseRef, BaseSHA: p.baseSHA, Draft: p.draft, Merged: p.merged, MergeSHA: p.mergeSHA, Approvals: p.approvals(),
	}
	if p.mergedBy != nil {
		v.MergedBy = p.mergedBy.login
	}
	for _, l := range p.labels {
		v.Labels = append(v.Labels, l.name)
	}
	for _, a := range p.reviewers {
		v.Reviewers = append(v.Reviewers, a.login)
	}
	for _, c := range p.comments {
		v.Comments = append(v.Comments, c.body)
	}
	return v
}

// PullRequests lists all pull requests, oldest first.
func (r *Repository) PullRequests() []PullRequest {
	defer r.lock()()
	var list []PullRequest
	for _, p := range r.pulls {
		list = append(list, p.view())
	}
	return list
}

// PullRequest returns one pull request, and whether it exists.
func (r *Repository) PullRequest(number int) (PullRequest, bool) {
	defer r.lock()()
	if p := r.pull(number); p != nil {
		return p.view(), true
	}
	return PullRequest{}, false
}

// NewPullRequest describes a pull request that a person opens.
type NewPullRequest struct {
	Title, Body, Head, Base, Login string
	Draft                          bool
}

// OpenPullRequest opens a pull request and returns its number.
func (r *Repository) OpenPullRequest(n NewPullRequest) (int, error) {
	defer r.lock()()
	p, err := r.openPull(newPull{Title: n.Title, Body: n.Body, Head: n.Head, Base: n.Base, Draft: n.Draft}, r.person(n.Login))
	if err != nil {
		return 0, err
	}
	return p.number, nil
}

// withPull runs a person's act on a pull request.
func (r *Repository) withPull(number int, act func(*pull) error) error {
	defer r.lock()()
	p := r.pull(number)
	if p == nil {
		return notFound()
	}
	return act(p)
}

// MergePullRequest merges by the merge button: method is MergeCommit, Squash or Rebase.
// Branch protection applies. It returns the SHA that the base has then.
func (r *Repository) MergePullRequest(number int, method, login string) (sha string, err error) {
	err = r.withPull(number, func(p *pull) error {
		sha, err = r.merge(p, mergeRequest{Method: method}, r.person(login))
		return err
	})
	return sha, err
}

// ClosePullRequest closes a pull request without merging it.
func (r *Repository) ClosePullRequest(number int, login string) error {
	return r.withPull(number, func(p *pull) error {
		r.closePull(p, r.person(login))
		return nil
	})
}

// ReopenPullRequest opens a closed pull request again.
func (r *Repository) ReopenPullRequest(number int, login string) error {
	return r.withPull(number, func(p *pull) error { return r.reopenPull(p, r.person(login)) })
}

// EditPullRequest changes the body, as a person who edits the description.
func (r *Repository) EditPullRequest(number int, body, login string) error {
	return r.withPull(number, func(p *pull) error {
		r.editPull(p, edit{body: &body}, r.person(login))
		return nil
	})
}

// ApprovePullRequest submits an approving review.
func (r *Repository) ApprovePullRequest(number int, login string) error {
	return r.withPull(number, func(p *pull) error {
		_, err := r.submitReview(p, "APPROVE", "", r.person(login))
		return err
	})
}

// RequestChanges submits a review that asks for changes.
func (r *Repository) RequestChanges(number int, login string) error {
	return r.withPull(number, func(p *pull) error {
		_, err := r.submitReview(p, "REQUEST_CHANGES", "", r.person(login))
		return err
	})
}
