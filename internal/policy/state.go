// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package policy decides. It is pure: it takes a State that was observed once, and says what to do, why, and when to look
// again. It has no client, no clock and no log, so that the controllers, a dashboard and a plan on the command line can never
// disagree.
package policy

import (
	"cmp"
	"slices"
	"time"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// State is everything that is known about one Application at one moment. Decisions depend on nothing else.
type State struct {
	// Now is the moment of the observation.
	Now time.Time
	// Operator is the user name that Mainstem itself has at the API server; what it requested is automatic.
	Operator string
	// SystemNamespace is Mainstem's own namespace: a Hold there without an application is a freeze for everybody.
	SystemNamespace string

	// Application is the Application as declared, with the status of the last look.
	Application *v1alpha1.Application
	// NamespaceLabels are the labels of its namespace.
	NamespaceLabels map[string]string
	// Environments are all Environments of the cluster by name.
	Environments map[v1alpha1.EnvironmentName]*v1alpha1.Environment
	// Peers are the other Applications of the same repository.
	Peers []*v1alpha1.Application

	// Releases are the Application's Releases.
	Releases []*v1alpha1.Release
	// Promotions are the Application's Promotions, finished ones included.
	Promotions []*v1alpha1.Promotion
	// Approvals are the Approvals of the Application's namespace.
	Approvals []*v1alpha1.Approval
	// Holds are the Holds of the Application's namespace and of Mainstem's own.
	Holds []*v1alpha1.Hold

	// GitHub is what GitHub says about the repository.
	GitHub GitHub
	// Flux is what Flux reports, by environment.
	Flux map[v1alpha1.EnvironmentName]Flux
	// Sources is what Flux reports about the source of each environment's pinned release.
	Sources map[v1alpha1.EnvironmentName]FluxSource
	// Fetched are the pins of the Application's repository that Flux has fetched: they can be deployed without asking GitHub.
	Fetched map[Pin]bool
	// Targets names what is missing to deploy, by environment; nil or absent where nothing is.
	Targets map[v1alpha1.EnvironmentName]*Problem
	// Templates is what the templates of each environment use.
	Templates map[v1alpha1.EnvironmentName]Templates
}

// Problem is why something is not known or cannot be used, in a word and a sentence.
type Problem struct {
	// Reason is one word from the API's constants.
	Reason string
	// Message says what is wrong, where, and how to mend it.
	Message string
	// RetryAt is when asking again makes sense, where that is known.
	RetryAt time.Time
}

// Templates is what the templates of one environment need.
type Templates struct {
	// Problem is set where a template cannot be used, for example because of an unknown variable.
	Problem *Problem
	// Needs lists those of tag, version and branch that a release must have.
	Needs []string
}

// GitHub is what GitHub says about one repository.
type GitHub struct {
	// Problem is set where the repository could not be observed. Evidence is then Unknown.
	Problem *Problem
	// Archived says that nothing can be written there.
	Archived bool
	// MovedTo is the repository's owner/name now, where that is not what the Application says; Transferred says that the owner is
	// another one.
	MovedTo     string
	Transferred bool
	// Branches are the observed branches by name; a branch that was asked for and does not exist has Found false.
	Branches map[string]Branch
	// Published are the published GitHub releases whose tag leads to a commit, in no order.
	Published []Published
	// Commits are facts of single commits by SHA: the merge commits of promotions.
	Commits map[string]Commit
	// Homes says which branch holds a commit that a GitHub release is about, by SHA; empty where none does that is known.
	Homes map[string]string
	// Merges says which commits merged which pull request, by the merge commit's SHA.
	Merges map[string]Merge
	// Checks is the evidence for checks gates by commit.
	Checks map[string]Checks
	// Distances says how far commits are apart.
	Distances map[Span]Distance
	// Reaches says whether a branch, by the commit that is its head (Base), leads to a commit (Head).
	Reaches map[Span]bool
	// PullRequests are the promotion pull requests by the name of their Promotion.
	PullRequests map[string]PullRequest
}

// Commit is a commit as GitHub knows it.
type Commit struct {
	SHA, Tree   string
	Parents     []string
	Author, URL string
	AuthoredAt  time.Time
	Message     string
}

// Branch is an observed branch.
type Branch struct {
	Found bool
	Head  Commit
}

// Published is a published GitHub release.
type Published struct {
	Tag, URL   string
	Prerelease bool
	// Target is where GitHub says that the tag was made: mostly a branch.
	Target string
	Commit Commit
}

// Merge says that a commit merged a pull request.
type Merge struct {
	// PullRequest is its number.
	PullRequest int64
	// Head is the SHA that was merged.
	Head string
	// Base is the commit of the base branch that it was merged onto.
	Base string
	// BaseContent is the root tree of Base, where known.
	BaseContent string
}

// CheckState is how a check stands.
type CheckState string

const (
	// CheckSuccess covers success, neutral and skipped, as GitHub's required checks do.
	CheckSuccess CheckState = "Success"
	// CheckPending is queued, in progress or expected.
	CheckPending CheckState = "Pending"
	// CheckFailure covers every other conclusion.
	CheckFailure CheckState = "Failure"
)

// Check is the newest check run or commit status of one name.
type Check struct {
	Name  string
	State CheckState
}

// Checks is the evidence for a checks gate on one commit.
type Checks struct {
	// Problem is set where the checks could not be read.
	Problem *Problem
	// Runs has the newest check run and the newest commit status of each name: a name may be there twice.
	Runs []Check
}

// Span is an ordered pair of commits.
type Span struct{ Base, Head string }

// Pin is a commit of a branch, as Flux fetches it.
type Pin struct{ Branch, Commit string }

// Distance says how far two commits are apart.
type Distance struct {
	// Ahead counts the commits of head that base does not have, Behind those of base that head does not have.
	Ahead, Behind int
}

// PullRequest is the promotion pull request of one Promotion, as GitHub has it now.
type PullRequest struct {
	// Problem is set where it could not be read.
	Problem *Problem
	Number  int64
	URL     string
	State   v1alpha1.PullRequestState
	// Head is the commit that it would merge, or has merged.
	Head string
	// MergeCommit is set once it is merged.
	MergeCommit, MergedBy string
	// Foreign says that it carries another installation's mark.
	Foreign bool
}

// Flux is what Flux reports about the Kustomization of one environment.
type Flux struct {
	// Exists says that there is a Kustomization of ours.
	Exists bool
	// Suspended is spec.suspend.
	Suspended bool
	// GenerationObserved says that status speaks of the current spec.
	GenerationObserved bool
	// Ready is the Ready condition's status: "True", "False", "Unknown", or empty where there is none.
	Ready string
	// Reason and Message are the Ready condition's.
	Reason, Message string
	// ReadyChangedAt is the Ready condition's last transition.
	ReadyChangedAt time.Time
	// Applied and Attempted are the SHAs of lastAppliedRevision and lastAttemptedRevision.
	Applied, Attempted string
	// SourceCommit is the SHA of the artifact of the source that it refers to.
	SourceCommit string
	// ChecksHealth says that it waits for health, so that Ready means healthy.
	ChecksHealth bool
	// Release is the Release that it was written for.
	Release string
	// Handled is the request to look that Flux handled last: that of the Promotion which told it, unless somebody asked since.
	Handled string
}

// FluxSource is what Flux reports about the GitRepository of a pinned release.
type FluxSource struct {
	// Exists says that there is one, and Commit is the SHA of its artifact, if there is one.
	Exists bool
	Commit string
	// Message is what Flux says about it.
	Message string
}

// entry returns what the Application declares for an environment, or nil.
func (s *State) entry(env v1alpha1.EnvironmentName) *v1alpha1.ApplicationEnvironment {
	for i := range s.Application.Spec.Environments {
		if s.Application.Spec.Environments[i].Name == env {
			return &s.Application.Spec.Environments[i]
		}
	}
	return nil
}

// Entry returns what the Application declares for an environment, or nil where it does not list it.
func (s *State) Entry(env v1alpha1.EnvironmentName) *v1alpha1.ApplicationEnvironment {
	return s.entry(env)
}

// release returns the Release of a name, or nil.
func (s *State) release(name string) *v1alpha1.Release {
	if name == "" {
		return nil
	}
	for _, r := range s.Releases {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// Release returns the Release of a name, or nil.
func (s *State) Release(name string) *v1alpha1.Release { return s.release(name) }

// releaseOf returns the Release of a commit and tag, or nil.
func (s *State) releaseOf(commit, tag string) *v1alpha1.Release {
	for _, r := range s.Releases {
		if r.Spec.Commit == commit && r.Spec.Tag == tag {
			return r
		}
	}
	return nil
}

// releaseAt returns a Release of a commit, one without a tag if there is one.
func (s *State) releaseAt(commit string) *v1alpha1.Release {
	if r := s.releaseOf(commit, ""); r != nil {
		return r
	}
	for _, r := range s.Releases {
		if r.Spec.Commit == commit {
			return r
		}
	}
	return nil
}

// promotionsInto returns the Promotions into an environment, oldest first.
func (s *State) promotionsInto(env v1alpha1.EnvironmentName) []*v1alpha1.Promotion {
	var into []*v1alpha1.Promotion
	for _, p := range s.Promotions {
		if p.Spec.Environment == env {
			into = append(into, p)
		}
	}
	slices.SortFunc(into, func(a, b *v1alpha1.Promotion) int {
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Spec.Attempt, b.Spec.Attempt), cmp.Compare(a.Name, b.Name))
	})
	return into
}

// byHand says that a person asked for the promotion.
func (s *State) byHand(p *v1alpha1.Promotion) bool { return p.Spec.RequestedBy != s.Operator }

// phase is a Promotion's phase; one that nobody has looked at is Pending.
func phase(p *v1alpha1.Promotion) v1alpha1.PromotionPhase {
	if p.Status.Phase == "" {
		return v1alpha1.PromotionPending
	}
	return p.Status.Phase
}

// Active returns the one Promotion into an environment that may move, or nil: one that is deploying goes first, then the newest
// that a person asked for, then one that is merging, then the oldest. Every other one that is not over waits for it, yields to it,
// or can only end. People go before a merge, which GitHub may refuse for days; one that did happen is found on the branch.
func Active(s *State, env v1alpha1.EnvironmentName) *v1alpha1.Promotion {
	var active *v1alpha1.Promotion
	for _, p := range s.promotionsInto(env) {
		if _, gone := cancelled(s, p); gone || phase(p).Terminal() {
			continue // It takes nobody's place: a mistyped name must not cost what waits there its approvals.
		}
		if active == nil || rankOf(s, p) > rankOf(s, active) || (rankOf(s, p) == rankOf(s, active) && s.byHand(p)) {
			active = p
		}
	}
	return active
}

func rankOf(s *State, p *v1alpha1.Promotion) int {
	switch {
	case phase(p) == v1alpha1.PromotionDeploying:
		return 3
	case s.byHand(p):
		return 2
	case phase(p) == v1alpha1.PromotionMerging:
		return 1
	}
	return 0
}

// Deployed returns the Promotion whose release an environment was last told to run, or nil. Its DeployedRelease is what Flux is
// pinned to, whether it succeeded or not.
func Deployed(s *State, env v1alpha1.EnvironmentName) *v1alpha1.Promotion {
	var newest *v1alpha1.Promotion
	for _, p := range s.promotionsInto(env) {
		if p.Status.DeployStartedAt == nil || p.Status.DeployedRelease == "" {
			continue
		}
		if newest == nil || !p.Status.DeployStartedAt.Before(newest.Status.DeployStartedAt) {
			newest = p
		}
	}
	return newest
}

// Pinned returns the Release that Flux is to run in an environment, or nil where Mainstem has never deployed there.
func Pinned(s *State, env v1alpha1.EnvironmentName) *v1alpha1.Release {
	if p := Deployed(s, env); p != nil {
		return s.release(p.Status.DeployedRelease)
	}
	return nil
}

// upstreams are the environments that must have proven a release before it enters env.
func (s *State) upstreams(env v1alpha1.EnvironmentName) []v1alpha1.EnvironmentName {
	if e := s.Environments[env]; e != nil {
		return e.Spec.After
	}
	return nil
}

// statusOf is what the last look said about an environment, or nil.
func (s *State) statusOf(env v1alpha1.EnvironmentName) *v1alpha1.EnvironmentState {
	for i := range s.Application.Status.Environments {
		if s.Application.Status.Environments[i].Name == env {
			return &s.Application.Status.Environments[i]
		}
	}
	return nil
}

// earliest returns the earlier of two moments; the zero moment means never.
func earliest(a, b time.Time) time.Time {
	switch {
	case a.IsZero():
		return b
	case b.IsZero() || a.Before(b):
		return a
	}
	return b
}
