// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"slices"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// Needs names the evidence that decisions about an Application ask for, so that only that is fetched.
type Needs struct {
	// Branches are the branches whose heads are needed, and Published says that GitHub releases are.
	Branches  []string
	Published bool
	// Commits are commits whose facts are needed, and Merges those of which it must be known which pull request they merged.
	Commits, Merges []string
	// Checks are the commits whose checks are needed.
	Checks []string
	// Distances are the pairs of commits whose distance is needed, and Reaches those of which it must be known whether the one leads to
	// the other.
	Distances, Reaches []Span
	// Homes are the GitHub releases of which it must be known which branch holds their commit.
	Homes []Published
	// PullRequests are the Promotions whose pull request must be looked at.
	PullRequests []*v1alpha1.Promotion
}

// BranchNeeds names the branches and releases that the Application follows. They are needed before anything else.
func BranchNeeds(app *v1alpha1.Application) Needs {
	var needs Needs
	for i := range app.Spec.Environments {
		source := app.Spec.Environments[i].Source
		switch {
		case source == nil:
		case source.Release != nil:
			needs.Published = true
		case !slices.Contains(needs.Branches, source.Branch):
			needs.Branches = append(needs.Branches, source.Branch)
		}
	}
	return needs
}

// EvidenceNeeds names what else is needed, once the branches, the cluster and Flux have been observed. What is found may ask for
// more: it is called again with what was found, until it asks for nothing new.
func EvidenceNeeds(s *State) Needs {
	s = withLedgers(s)
	n := &needed{state: s}
	n.homes()
	for i := range s.Application.Spec.Environments {
		entry := &s.Application.Spec.Environments[i]
		if s.Environments[entry.Name] == nil {
			continue
		}
		active := Active(s, entry.Name)
		n.lineage(entry)
		n.pulls(active)
		n.checks(entry, active)
		n.distances(entry)
		n.reaches(entry)
	}
	return n.Needs
}

type needed struct {
	Needs
	state *State
}

// homes asks which branch holds the commit of a GitHub release that no branch is known for, before its Release is made: see
// discovery.branchOf.
func (n *needed) homes() {
	for _, spec := range Discover(n.state) {
		if spec.Tag == "" || spec.Branch != "" {
			continue
		}
		i := slices.IndexFunc(n.state.GitHub.Published, func(p Published) bool { return p.Tag == spec.Tag && p.Commit.SHA == spec.Commit })
		n.Homes = append(n.Homes, n.state.GitHub.Published[i])
	}
}

// lineage asks which pull request a branch head merged, where neither its commit nor its content proves it, and then the same of
// the two sides of that merge.
func (n *needed) lineage(entry *v1alpha1.ApplicationEnvironment) {
	s := n.state
	if entry.Source == nil || entry.Source.Branch == "" || len(s.upstreams(entry.Name)) == 0 || !accepts(s, entry.Name, v1alpha1.ProofLineage) {
		return
	}
	if branch := s.GitHub.Branches[entry.Source.Branch]; branch.Found {
		n.merged(entry.Name, subject{commit: branch.Head.SHA, content: branch.Head.Tree}, 0)
	}
	for _, p := range s.promotionsInto(entry.Name) {
		if !phase(p).Terminal() && p.Status.PullRequest != nil && p.Status.PullRequest.MergeCommit != "" {
			n.merged(entry.Name, subject{commit: p.Status.PullRequest.MergeCommit}, 0)
		}
	}
}

func (n *needed) merged(env v1alpha1.EnvironmentName, what subject, depth int) {
	s := n.state
	if r := s.releaseAt(what.commit); r != nil {
		what = subjectOf(r)
	}
	if what.commit == "" || depth >= lineageDepth || s.letIn(env, what.commit) || prove(s, env, what).proven() {
		return
	}
	merge, known := s.GitHub.Merges[what.commit]
	if !known {
		if !slices.Contains(n.Merges, what.commit) {
			n.Merges = append(n.Merges, what.commit)
		}
		return
	}
	n.distance(merge.Base, merge.Head)
	n.merged(env, subject{commit: merge.Head}, depth+1)
	n.merged(env, subject{commit: merge.Base, content: merge.BaseContent}, depth+1)
}

func (n *needed) distance(base, head string) {
	span := Span{Base: base, Head: head}
	if base != "" && head != "" && base != head && !slices.Contains(n.Distances, span) {
		n.Distances = append(n.Distances, span)
	}
}

// pulls asks for the pull request of the Promotion that may move, and for the commit that its merge made.
func (n *needed) pulls(active *v1alpha1.Promotion) {
	if active == nil || active.Status.PullRequest == nil {
		return
	}
	if phase(active) != v1alpha1.PromotionDeploying {
		n.PullRequests = append(n.PullRequests, active)
	}
	if made := active.Status.PullRequest.MergeCommit; made != "" && n.state.releaseOf(made, "") == nil {
		n.Commits = append(n.Commits, made)
	}
}

// checks asks for the checks of what waits at a checks gate.
func (n *needed) checks(entry *v1alpha1.ApplicationEnvironment, active *v1alpha1.Promotion) {
	s := n.state
	hasChecks := func(g v1alpha1.Gate) bool { return g.Checks != nil }
	if !slices.ContainsFunc(s.Environments[entry.Name].Spec.Gates, hasChecks) && !slices.ContainsFunc(entry.Gates, hasChecks) {
		return
	}
	want := func(r *v1alpha1.Release) {
		if r != nil && !slices.Contains(n.Checks, r.Spec.Commit) {
			n.Checks = append(n.Checks, r.Spec.Commit)
		}
	}
	if active != nil && phase(active) != v1alpha1.PromotionDeploying {
		want(s.release(active.Spec.Release))
	}
	if next := newestEligible(s, entry.Name); next != nil {
		want(next)
		return
	}
	// A candidate that is kept out for want of proof shows its gates too.
	if newest, exists := newestCandidate(s, entry.Name); exists && newest.waits() {
		want(newest.Release)
		return
	}
	want(divergedBase(s, entry.Name))
}

// distances asks how far the base is from what could be merged into it, and how far an environment is behind.
func (n *needed) distances(entry *v1alpha1.ApplicationEnvironment) {
	s := n.state
	if routeOf(entry) == routePullRequest {
		base := s.GitHub.Branches[entry.Source.Branch].Head.SHA
		if active := Active(s, entry.Name); active != nil && phase(active) != v1alpha1.PromotionDeploying {
			if r := s.release(active.Spec.Release); r != nil {
				n.distance(base, r.Spec.Commit)
			}
		}
		for c := range assessed(s, entry.Name) {
			if c.Eligible() || c.Reason == ReasonContained {
				n.distance(base, c.Release.Spec.Commit)
			}
			if c.Eligible() || c.inside() {
				break
			}
		}
	}
	base, head := behindSpan(s, entry)
	n.distance(base, head)
}

// reaches asks whether what is to be deployed can be fetched.
func (n *needed) reaches(entry *v1alpha1.ApplicationEnvironment) {
	s := n.state
	waiting := false
	for _, p := range s.promotionsInto(entry.Name) {
		if !phase(p).Terminal() {
			waiting = true
			n.reach(toDeploy(s, p))
		}
	}
	if route := routeOf(entry); !waiting && (route == routePinned || route == routeRelease) {
		n.reach(newestEligible(s, entry.Name))
	}
}

func (n *needed) reach(r *v1alpha1.Release) {
	if r == nil || r.Spec.Branch == "" || n.state.Fetched[pinOf(r)] {
		return
	}
	branch, observed := n.state.GitHub.Branches[r.Spec.Branch]
	switch span := (Span{Base: branch.Head.SHA, Head: r.Spec.Commit}); {
	case !observed && !slices.Contains(n.Branches, r.Spec.Branch):
		n.Branches = append(n.Branches, r.Spec.Branch)
	case observed && branch.Found && span.Base != span.Head && !slices.Contains(n.Reaches, span):
		n.Reaches = append(n.Reaches, span)
	}
}

// behindSpan is what an environment runs, and what it could run: its branch's head, or what its first upstream runs.
func behindSpan(s *State, entry *v1alpha1.ApplicationEnvironment) (base, head string) {
	base = s.Flux[entry.Name].Applied
	if routeOf(entry) == routeBranch {
		return base, s.GitHub.Branches[entry.Source.Branch].Head.SHA
	}
	if ups := s.upstreams(entry.Name); len(ups) > 0 {
		return base, s.Flux[ups[0]].Applied
	}
	return base, ""
}
