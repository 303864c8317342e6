// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"fmt"
	"slices"
	"time"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// ProofNone is recorded where a release entered without proof, because a person bypassed it.
const ProofNone = "None"

// lineageDepth bounds how many merges in a row Lineage follows back. Merges that were let in end the walk long before.
const lineageDepth = 16

// proof is how a release is known to have run upstream.
type proof struct {
	// kind is Commit, Content or Lineage; the weakest where there are several upstreams.
	kind v1alpha1.ProofKind
	// at is when the last upstream proved it.
	at time.Time
	// missing is the first upstream that has not proven it, where one has not.
	missing v1alpha1.EnvironmentName
}

func (p proof) proven() bool { return p.missing == "" }

// subject is what is to be proven: a commit with its content, and its Release where it has one. The content may be unknown.
type subject struct{ commit, content, release string }

func subjectOf(r *v1alpha1.Release) subject {
	return subject{commit: r.Spec.Commit, content: r.Spec.Content, release: r.Name}
}

// prove says whether a release is proven in every upstream of env by a proof that env accepts.
func prove(s *State, env v1alpha1.EnvironmentName, what subject) proof {
	result := proof{kind: v1alpha1.ProofCommit}
	for _, up := range s.upstreams(env) {
		kind, at, ok := provenIn(s, env, up, what, 0)
		if !ok {
			return proof{missing: up}
		}
		result.kind = weaker(result.kind, kind)
		if at.After(result.at) {
			result.at = at
		}
	}
	return result
}

// provenIn says how and when a subject was proven in one upstream of env.
func provenIn(s *State, env, up v1alpha1.EnvironmentName, what subject, depth int) (v1alpha1.ProofKind, time.Time, bool) {
	if at, ok := s.ranHealthy(up, func(r *v1alpha1.Release) bool { return what.release != "" && r.Name == what.release }); ok {
		return v1alpha1.ProofCommit, at, true
	}
	if at, ok := s.ranHealthy(up, func(r *v1alpha1.Release) bool { return r.Spec.Commit == what.commit }); ok && accepts(s, env, v1alpha1.ProofCommit) {
		return v1alpha1.ProofCommit, at, true
	}
	if at, ok := s.ranHealthy(up, func(r *v1alpha1.Release) bool { return what.content != "" && r.Spec.Content == what.content }); ok && accepts(s, env, v1alpha1.ProofContent) {
		return v1alpha1.ProofContent, at, true
	}
	merge, isMerge := s.GitHub.Merges[what.commit]
	if !isMerge || depth >= lineageDepth || !accepts(s, env, v1alpha1.ProofLineage) {
		return "", time.Time{}, false
	}
	head := subject{commit: merge.Head}
	if r := s.releaseAt(merge.Head); r != nil {
		head = subjectOf(r)
	}
	_, at, ok := provenIn(s, env, up, head, depth+1)
	if !ok || (!s.contains(merge.Head, merge.Base) && !baseTrusted(s, env, up, subject{commit: merge.Base, content: merge.BaseContent}, depth+1)) {
		return "", time.Time{}, false
	}
	return v1alpha1.ProofLineage, at, true
}

// contains says that a commit has all of another one, which therefore brings nothing into a merge of the two.
func (s *State) contains(commit, other string) bool {
	distance, known := s.GitHub.Distances[Span{Base: other, Head: commit}]
	return known && distance.Behind == 0
}

// baseTrusted says that a base side brings nothing unproven in: env runs it, once let it in, or it is proven itself.
func baseTrusted(s *State, env, up v1alpha1.EnvironmentName, base subject, depth int) bool {
	if s.letIn(env, base.commit) {
		return true
	}
	if r := s.releaseAt(base.commit); r != nil {
		base = subjectOf(r)
	}
	_, _, ok := provenIn(s, env, up, base, depth)
	return ok
}

// letIn says that an environment runs a commit, or that it once entered there.
func (s *State) letIn(env v1alpha1.EnvironmentName, commit string) bool {
	if commit == "" {
		return false
	}
	if flux := s.Flux[env]; flux.Exists && flux.Applied == commit {
		return true
	}
	return slices.ContainsFunc(s.Releases, func(r *v1alpha1.Release) bool {
		entry := ledgerOf(r, env)
		return r.Spec.Commit == commit && entry != nil && entry.EnteredAt != nil
	})
}

// ranHealthy says when the first of the matching Releases was proven in an environment by running there.
func (s *State) ranHealthy(env v1alpha1.EnvironmentName, matches func(*v1alpha1.Release) bool) (time.Time, bool) {
	var first time.Time
	for _, r := range s.Releases {
		entry := ledgerOf(r, env)
		if !isProvenEntry(entry) || !matches(r) {
			continue
		}
		first = earliest(first, entry.ProvenAt.Time)
	}
	return first, !first.IsZero()
}

// accepts says whether env counts a kind of proof. That the very Release ran upstream is no kind of proof: it always counts.
func accepts(s *State, env v1alpha1.EnvironmentName, kind v1alpha1.ProofKind) bool {
	e := s.Environments[env]
	if e == nil || e.Spec.Proof == nil || len(e.Spec.Proof.Accept) == 0 {
		return true
	}
	return slices.Contains(e.Spec.Proof.Accept, kind)
}

func weaker(a, b v1alpha1.ProofKind) v1alpha1.ProofKind {
	order := []v1alpha1.ProofKind{v1alpha1.ProofCommit, v1alpha1.ProofContent, v1alpha1.ProofLineage}
	if slices.Index(order, b) > slices.Index(order, a) {
		return b
	}
	return a
}

// baseProblem says why merging onto a base would bring unproven content in, or nil where it would not. A base that the candidate
// contains brings nothing in.
func baseProblem(s *State, env v1alpha1.EnvironmentName, branch string, candidate *v1alpha1.Release) *Problem {
	base := s.GitHub.Branches[branch]
	if !base.Found {
		problem := githubProblem(s)
		return &Problem{Reason: problem.Reason, RetryAt: problem.RetryAt, Message: fmt.Sprintf("the head of branch %s could not be read: %s", branch, problem.Message)}
	}
	if base.Head.SHA == candidate.Spec.Commit || base.Head.Tree == candidate.Spec.Content || s.contains(candidate.Spec.Commit, base.Head.SHA) {
		return nil
	}
	for _, up := range s.upstreams(env) {
		if !baseTrusted(s, env, up, subject{commit: base.Head.SHA, content: base.Head.Tree}, 0) {
			return &Problem{Reason: ReasonDiverged, Message: fmt.Sprintf(
				"branch %s is at %s, which was never proven in %s: merge %s back and let it be proven there, or promote with bypass: [proven]",
				branch, short(base.Head.SHA), up, branch)}
		}
	}
	return nil
}

// ledgerOf returns what the ledger of a Release says about an environment, or nil.
func ledgerOf(r *v1alpha1.Release, env v1alpha1.EnvironmentName) *v1alpha1.LedgerEntry {
	for i := range r.Status.Environments {
		if r.Status.Environments[i].Name == env {
			return &r.Status.Environments[i]
		}
	}
	return nil
}

// short is a commit as people write it.
func short(commit string) string { return commit[:min(len(commit), 7)] }
