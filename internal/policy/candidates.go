// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"cmp"
	"fmt"
	"iter"
	"slices"

	"github.com/Masterminds/semver/v3"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// route is how releases reach an environment.
type route int

const (
	// routeBranch deploys the head of a branch.
	routeBranch route = iota
	// routeRelease deploys published GitHub releases.
	routeRelease
	// routePinned deploys the very commit that is proven upstream.
	routePinned
	// routePullRequest merges the proven commit into a branch.
	routePullRequest
)

func routeOf(entry *v1alpha1.ApplicationEnvironment) route {
	switch {
	case entry.PullRequest != nil:
		return routePullRequest
	case entry.Source == nil:
		return routePinned
	case entry.Source.Release != nil:
		return routeRelease
	}
	return routeBranch
}

// Candidate is a Release that could enter an environment, or cannot, and why.
type Candidate struct {
	Release *v1alpha1.Release
	// Reason is empty where it is eligible.
	Reason string
	// Message says why it is not.
	Message string
}

// waits says that somebody waits for this candidate, so that status shows it and its gates although it cannot enter.
func (c Candidate) waits() bool {
	switch c.Reason {
	case ReasonDiverged, ReasonContained, ReasonNotProven, ReasonVersionMissing, ReasonTagMoved, v1alpha1.CommitUnreachableReason:
		return true
	}
	return false
}

// Eligible says that the candidate may be promoted without a person asking for it.
func (c Candidate) Eligible() bool { return c.Reason == "" }

// Reasons why a candidate is not eligible.
const (
	// ReasonVersionMissing : a template uses a variable that the release lacks.
	ReasonVersionMissing = v1alpha1.VersionMissingReason
	// ReasonAlreadyDeployed : the environment was told to run it already.
	ReasonAlreadyDeployed = "AlreadyDeployed"
	// ReasonOlder : the environment runs a newer one.
	ReasonOlder = "Older"
	// ReasonRejected : it, or a newer one, was rejected there.
	ReasonRejected = "Rejected"
	// ReasonNotProven : an upstream has not proven it.
	ReasonNotProven = "NotProven"
	// ReasonDiverged : it has content that no upstream has proven.
	ReasonDiverged = "Diverged"
	// ReasonContained : the base branch contains it already, with more on top.
	ReasonContained = "Contained"
	// ReasonTagMoved : its tag led to another commit when it was first observed.
	ReasonTagMoved = "TagMoved"
	// ReasonManual : only people start promotions there.
	ReasonManual = "Manual"
)

// candidateChecks say why a Release is not eligible for an environment. Each returns an empty reason where it has no objection.
var candidateChecks = []func(*State, *v1alpha1.ApplicationEnvironment, *v1alpha1.Release) (reason, message string){
	notDeployed,
	notOlder,
	notRejected,
	tagStands,
	hasVariables,
	isProven,
	isReachable,
	notContained,
}

// Candidates lists what could enter an environment, newest first, with why each cannot.
func Candidates(s *State, env v1alpha1.EnvironmentName) []Candidate {
	return slices.Collect(assessed(withLedgers(s), env))
}

// assessed gives the candidates one after the other, newest first, and makes out only those that are asked for: an environment may
// have hundreds that it ran before.
func assessed(s *State, env v1alpha1.EnvironmentName) iter.Seq[Candidate] {
	return func(yield func(Candidate) bool) {
		entry := s.entry(env)
		if entry == nil {
			return
		}
		var inside *v1alpha1.Release
		for _, r := range pool(s, entry) {
			candidate := Candidate{Release: r}
			for _, check := range candidateChecks {
				if candidate.Reason, candidate.Message = check(s, entry, r); candidate.Reason != "" {
					break
				}
			}
			if candidate.Eligible() && inside != nil && newerFor(s, entry, inside, r) {
				candidate.Reason, candidate.Message = ReasonOlder, fmt.Sprintf("%s is newer and is in already", inside.Name)
			}
			if candidate.inside() {
				inside = r
			}
			if !yield(candidate) {
				return
			}
		}
	}
}

// inside says that an environment has the candidate, or that its branch has.
func (c Candidate) inside() bool {
	return c.Reason == ReasonAlreadyDeployed || c.Reason == ReasonContained
}

// newestEligible returns the newest eligible candidate, or nil. Nothing older than what is in already can be one.
func newestEligible(s *State, env v1alpha1.EnvironmentName) *v1alpha1.Release {
	for c := range assessed(s, env) {
		switch {
		case c.Eligible():
			return c.Release
		case c.inside():
			return nil
		}
	}
	return nil
}

// newestCandidate returns the newest candidate, eligible or not; without one, nothing.
func newestCandidate(s *State, env v1alpha1.EnvironmentName) (Candidate, bool) {
	for c := range assessed(s, env) {
		return c, true
	}
	return Candidate{}, false
}

// pool lists the Releases that an entry's source offers, newest first.
func pool(s *State, entry *v1alpha1.ApplicationEnvironment) []*v1alpha1.Release {
	var offered []*v1alpha1.Release
	switch routeOf(entry) {
	case routeBranch:
		branch := s.GitHub.Branches[entry.Source.Branch]
		if r := s.releaseOf(branch.Head.SHA, ""); branch.Found && r != nil {
			offered = append(offered, r)
		}
	case routeRelease:
		for _, r := range s.Releases {
			if matchesSource(&r.Spec, entry.Source.Release) {
				offered = append(offered, r)
			}
		}
	case routePinned, routePullRequest:
		first := s.upstreams(entry.Name)[:min(1, len(s.upstreams(entry.Name)))]
		for _, r := range s.Releases {
			if len(first) == 1 && proofIn(r, first[0]) {
				offered = append(offered, r)
			}
		}
	}
	slices.SortStableFunc(offered, func(a, b *v1alpha1.Release) int { return -order(a, b) })
	return offered
}

func proofIn(r *v1alpha1.Release, env v1alpha1.EnvironmentName) bool {
	return isProvenEntry(ledgerOf(r, env))
}

// matchesSource says whether a tagged release's version is one that a release source follows.
func matchesSource(release *v1alpha1.ReleaseSpec, source *v1alpha1.ReleaseSource) bool {
	if release.Tag == "" || release.Version == "" || (release.Prerelease && !source.Prereleases) {
		return false
	}
	parsed, err := semver.NewVersion(release.Version)
	constraints, bad := versionRange(source)
	return err == nil && bad == nil && constraints.Check(parsed) && (source.Prereleases || parsed.Prerelease() == "")
}

// ordered says whether one of two Releases is newer than the other in a way that means something: both have versions, or
// both were observed on the same branch.
func ordered(a, b *v1alpha1.Release) bool {
	return (a.Spec.Version != "" && b.Spec.Version != "") || (a.Spec.Branch != "" && a.Spec.Branch == b.Spec.Branch)
}

// order compares two Releases: by version where both have one, else by observation.
func order(a, b *v1alpha1.Release) int {
	if a.Spec.Version != "" && b.Spec.Version != "" {
		va, errA := semver.NewVersion(a.Spec.Version)
		vb, errB := semver.NewVersion(b.Spec.Version)
		if errA == nil && errB == nil && !va.Equal(vb) {
			return va.Compare(vb)
		}
	}
	return cmp.Or(cmp.Compare(a.Spec.Sequence, b.Spec.Sequence), cmp.Compare(a.Name, b.Name))
}

func newer(a, b *v1alpha1.Release) bool { return ordered(a, b) && order(a, b) > 0 }

// newerFor says whether one Release is newer than another one for an entry. What comes from upstream is in one order, whatever branch
// it was observed on: without one, two releases would replace each other for ever.
func newerFor(s *State, entry *v1alpha1.ApplicationEnvironment, a, b *v1alpha1.Release) bool {
	if ups := s.upstreams(entry.Name); len(ups) > 0 && (routeOf(entry) == routePinned || routeOf(entry) == routePullRequest) {
		if proofIn(a, ups[0]) && proofIn(b, ups[0]) {
			return order(a, b) > 0
		}
	}
	return newer(a, b)
}

func notDeployed(s *State, entry *v1alpha1.ApplicationEnvironment, r *v1alpha1.Release) (reason, message string) {
	deployed := Deployed(s, entry.Name)
	switch {
	case deployed == nil && s.Flux[entry.Name].Applied == r.Spec.Commit && (r.Spec.Tag == "" || s.Flux[entry.Name].Release == r.Name):
		return ReasonAlreadyDeployed, "it is what runs here already"
	case deployed != nil && !abandoned(deployed) && (deployed.Spec.Release == r.Name || deployed.Status.DeployedRelease == r.Name):
		return ReasonAlreadyDeployed, fmt.Sprintf("Promotion %s deployed it", deployed.Name)
	}
	return "", ""
}

// abandoned says that a deploy was told to Flux and then not followed to its end, so that nobody knows how it went. Should what it
// deployed be wanted again, another Promotion finds out.
func abandoned(p *v1alpha1.Promotion) bool {
	return phase(p) == v1alpha1.PromotionSuperseded || phase(p) == v1alpha1.PromotionCancelled
}

// notOlder keeps out what is older than something that was let in before, and what ran here before and was replaced: going back is
// for people. The head of a branch is what people want, even where they moved the branch back.
func notOlder(s *State, entry *v1alpha1.ApplicationEnvironment, r *v1alpha1.Release) (reason, message string) {
	if routeOf(entry) == routeBranch {
		return "", ""
	}
	if ledger := ledgerOf(r, entry.Name); ledger != nil && ledger.ProvenAt != nil && ledger.RejectedAt == nil {
		return ReasonOlder, "it ran here before, and something else was promoted since"
	}
	last := Deployed(s, entry.Name)
	for _, other := range s.Releases {
		ledger := ledgerOf(other, entry.Name)
		entered := ledger != nil && ledger.EnteredAt != nil && ledger.RejectedAt == nil
		if (entered || (last != nil && last.Spec.Release == other.Name)) && newerFor(s, entry, other, r) {
			return ReasonOlder, fmt.Sprintf("%s is newer and was deployed already", other.Name)
		}
	}
	return "", ""
}

func notRejected(s *State, entry *v1alpha1.ApplicationEnvironment, r *v1alpha1.Release) (reason, message string) {
	for _, other := range s.Releases {
		ledger := ledgerOf(other, entry.Name)
		if ledger == nil || ledger.RejectedAt == nil {
			continue
		}
		if other.Name == r.Name || (other.Spec.Commit == r.Spec.Commit && other.Spec.Tag == r.Spec.Tag) || newerFor(s, entry, other, r) {
			return ReasonRejected, fmt.Sprintf("%s was rejected here (%s): only a newer release goes in by itself, or this one when a person promotes it", other.Name, ledger.Reason)
		}
	}
	return "", ""
}

// tagStands keeps a GitHub release out whose tag was moved: people who named a version meant one commit.
func tagStands(s *State, entry *v1alpha1.ApplicationEnvironment, r *v1alpha1.Release) (reason, message string) {
	if routeOf(entry) != routeRelease {
		return "", ""
	}
	if other := movedTag(s, r); other != nil {
		return ReasonTagMoved, fmt.Sprintf("tag %s was moved between %s and %s: publish another version, or promote one of the two by hand",
			r.Spec.Tag, short(other.Spec.Commit), short(r.Spec.Commit))
	}
	return "", ""
}

// movedTag returns a Release of the same tag and another commit, or nil.
func movedTag(s *State, r *v1alpha1.Release) *v1alpha1.Release {
	i := slices.IndexFunc(s.Releases, func(other *v1alpha1.Release) bool {
		return r.Spec.Tag != "" && other.Spec.Tag == r.Spec.Tag && other.Spec.Commit != r.Spec.Commit
	})
	if i < 0 {
		return nil
	}
	return s.Releases[i]
}

// LostItsPin says that Flux can fetch a Release only by a tag that leads to another commit now. What it has fetched already must do:
// looking again would deploy what nobody has let in.
func LostItsPin(s *State, r *v1alpha1.Release) bool {
	return r.Spec.Branch == "" && movedTag(s, r) != nil
}

func isProven(s *State, entry *v1alpha1.ApplicationEnvironment, r *v1alpha1.Release) (reason, message string) {
	found := prove(s, entry.Name, subjectOf(r))
	if found.proven() {
		return "", ""
	}
	if routeOf(entry) == routeBranch || routeOf(entry) == routeRelease {
		return ReasonDiverged, fmt.Sprintf("%s is not proven in %s, neither by its commit nor by its content nor as the merge of something proven: let it be proven there, or promote it with bypass: [proven]", short(r.Spec.Commit), found.missing)
	}
	return ReasonNotProven, fmt.Sprintf("%s is not proven in %s yet", short(r.Spec.Commit), found.missing)
}

// notContained keeps back what the base branch has already, unless what the base has is proven and waits to be deployed.
func notContained(s *State, entry *v1alpha1.ApplicationEnvironment, r *v1alpha1.Release) (reason, message string) {
	if routeOf(entry) != routePullRequest {
		return "", ""
	}
	base := s.GitHub.Branches[entry.Source.Branch]
	same, more := baseHolds(s, base, r)
	switch {
	case !same && !more:
		return "", ""
	case s.alreadyTold(entry.Name, base.Head.SHA):
		return ReasonAlreadyDeployed, fmt.Sprintf("branch %s has it, and is deployed", entry.Source.Branch)
	case more && !merges(s, entry.Name, base, r):
		return ReasonContained, contained(s, entry, r)
	}
	return "", ""
}

// contained says that a base branch has a candidate already, with more on top, and how what is on top gets in.
func contained(s *State, entry *v1alpha1.ApplicationEnvironment, candidate *v1alpha1.Release) string {
	branch, head := entry.Source.Branch, s.GitHub.Branches[entry.Source.Branch].Head.SHA
	named := short(head)
	if r := s.releaseOf(head, ""); r != nil {
		named = r.Name
	}
	return fmt.Sprintf("branch %s, which contains %s already, with %s on top without proof in %s: merge %s back and let it be proven there, or promote %s with bypass: [proven]",
		branch, short(candidate.Spec.Commit), commits(s.GitHub.Distances[Span{Base: head, Head: candidate.Spec.Commit}].Behind),
		joined(s.upstreams(entry.Name)), branch, named)
}

// baseHolds says that a base branch has the same content as a candidate, or that it contains the candidate with more on top.
func baseHolds(s *State, base Branch, candidate *v1alpha1.Release) (same, more bool) {
	if !base.Found {
		return false, false
	}
	if base.Head.SHA == candidate.Spec.Commit || base.Head.Tree == candidate.Spec.Content {
		return true, false
	}
	distance, known := s.GitHub.Distances[Span{Base: base.Head.SHA, Head: candidate.Spec.Commit}]
	return false, known && distance.Ahead == 0
}

// merges says that the head of a base branch is the merge of exactly this candidate, by whomever, and proven as such.
func merges(s *State, env v1alpha1.EnvironmentName, base Branch, candidate *v1alpha1.Release) bool {
	merge, is := s.GitHub.Merges[base.Head.SHA]
	return is && merge.Head == candidate.Spec.Commit && prove(s, env, subject{commit: base.Head.SHA, content: base.Head.Tree}).proven()
}

// alreadyTold says that an environment was last told to run a commit, and that this was followed to its end.
func (s *State) alreadyTold(env v1alpha1.EnvironmentName, commit string) bool {
	deployed := Deployed(s, env)
	if deployed == nil {
		return s.Flux[env].Applied == commit
	}
	pinned := s.release(deployed.Status.DeployedRelease)
	return pinned != nil && pinned.Spec.Commit == commit && !abandoned(deployed)
}
