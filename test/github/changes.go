package github

import (
	"strings"
)

// follow lets the world follow a ref that has moved, by whichever door.
func (r *Repository) follow(change refChange, by actor) error {
	r.pushed, r.updated = r.server.now(), r.server.now()
	r.recordRef(change, by)
	forced := false
	if !change.created() && !change.deleted() && strings.HasPrefix(change.ref, heads) {
		forward, err := r.isAncestor(change.old, change.new)
		if err != nil {
			return err
		}
		forced = !forward
	}
	if err := r.emitPush(change, forced, by); err != nil {
		return err
	}
	branch, isBranch := change.branch()
	if !isBranch {
		return nil
	}
	if err := r.followHead(branch, change, by); err != nil {
		return err
	}
	return r.followBase(branch, change, by)
}

func (r *Repository) recordRef(change refChange, by actor) {
	kind := BranchMoved
	isTag := strings.HasPrefix(change.ref, tags)
	switch {
	case isTag && change.created():
		kind = TagCreated
	case isTag && change.deleted():
		kind = TagDeleted
	case isTag:
		kind = TagMoved
	case change.created():
		kind = BranchCreated
	case change.deleted():
		kind = BranchDeleted
	}
	r.server.record(Effect{Kind: kind, Repository: r.fullName(), Ref: change.ref, SHA: change.new}, by)
}

// followHead moves or closes the open pull requests from a branch.
func (r *Repository) followHead(branch string, change refChange, by actor) error {
	for _, p := range r.pulls {
		if p.state != stateOpen || p.headRef != branch {
			continue
		}
		if change.deleted() {
			r.closePull(p, by)
			continue
		}
		before := p.headSHA
		p.headSHA, p.baseSHA, p.updated = change.new, r.refs[heads+p.baseRef], r.server.now()
		if err := r.writeRef(p.headRefName(), change.new); err != nil {
			return err
		}
		r.server.record(Effect{Kind: PullSynchronized, Repository: r.fullName(), Number: p.number, SHA: change.new}, by)
		r.emitPull(p, by, object{"action": "synchronize", "before": before, "after": change.new})
		// A head that brings nothing new any more ends the pull request unmerged.
		contained, err := r.isAncestor(change.new, p.baseSHA)
		if err != nil {
			return err
		}
		if contained {
			r.closePull(p, by)
		}
	}
	return nil
}

// followBase marks the pull requests whose head a push brought into their base as
// merged, and closes those whose base went away.
func (r *Repository) followBase(branch string, change refChange, by actor) error {
	for _, p := range r.pulls {
		if p.state != stateOpen || p.baseRef != branch {
			continue
		}
		if change.deleted() {
			r.closePull(p, by)
			continue
		}
		contained, err := r.isAncestor(p.headSHA, change.new)
		if err != nil {
			return err
		}
		if !contained {
			continue
		}
		sha, err := r.broughtBy(p.headSHA, change)
		if err != nil {
			return err
		}
		r.markMerged(p, sha, by)
	}
	return nil
}

// broughtBy finds the first commit on the base's own line that has head among its
// ancestors: the merge, or head itself after a fast-forward.
func (r *Repository) broughtBy(head string, change refChange) (string, error) {
	args := []string{"rev-list", "--first-parent", "--reverse", change.new}
	if !change.created() {
		args = append(args, "^"+change.old)
	}
	out, err := r.git(append(args, "--")...)
	if err != nil {
		return "", err
	}
	for sha := range strings.FieldsSeq(out) {
		contained, err := r.isAncestor(head, sha)
		if err != nil {
			return "", err
		}
		if contained {
			return sha, nil
		}
	}
	return change.new, nil
}
