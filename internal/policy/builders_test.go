// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"fmt"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// noon is when every scene begins.
var noon = time.Date(2026, time.March, 2, 12, 0, 0, 0, time.UTC)

const (
	operator = "system:serviceaccount:mainstem-system:mainstem"
	alice    = "alice"
	bob      = "bob"
	team     = "team-a"
	system   = "mainstem-system"
)

// at is a moment relative to noon, as metav1 has it.
func at(after string) *metav1.Time {
	d, err := time.ParseDuration(after)
	if err != nil {
		panic(err)
	}
	return &metav1.Time{Time: noon.Add(d)}
}

// sha is the commit of a short name: the name, filled up with zeros.
func sha(name string) string {
	if name == "" {
		return ""
	}
	return name + strings.Repeat("0", 40-len(name))
}

// scene builds a State in few words. Names of commits are short ("d1"); the Release of commit d1 is called d1, that of its tag v1.0.0
// d1-v1.0.0. Unless said otherwise, the content of commit d1 is its own.
type scene struct {
	*State
	sequence int64
}

type (
	environmentOption func(*v1alpha1.Environment)
	entryOption       func(*v1alpha1.ApplicationEnvironment)
	releaseOption     func(*v1alpha1.Release)
	promotionOption   func(*v1alpha1.Promotion)
)

// empty is an Application without environments.
func empty() *scene {
	return &scene{State: &State{
		Now: noon, Operator: operator, SystemNamespace: system,
		Application: &v1alpha1.Application{
			ObjectMeta: metav1.ObjectMeta{Name: "web", Namespace: team, Generation: 1, CreationTimestamp: *at("-24h")},
			Spec:       v1alpha1.ApplicationSpec{Repository: v1alpha1.Repository{URL: "https://github.com/acme/web"}},
		},
		Environments: map[v1alpha1.EnvironmentName]*v1alpha1.Environment{},
		GitHub: GitHub{
			Branches: map[string]Branch{}, Commits: map[string]Commit{}, Merges: map[string]Merge{}, Checks: map[string]Checks{},
			Distances: map[Span]Distance{}, Reaches: map[Span]bool{}, PullRequests: map[string]PullRequest{},
		},
		Fetched:   map[Pin]bool{},
		Flux:      map[v1alpha1.EnvironmentName]Flux{},
		Sources:   map[v1alpha1.EnvironmentName]FluxSource{},
		Targets:   map[v1alpha1.EnvironmentName]*Problem{},
		Templates: map[v1alpha1.EnvironmentName]Templates{},
	}}
}

// standard is develop, an entry that follows its branch, and main after it, fed by pull requests into its branch.
func standard() *scene {
	return empty().
		environment("develop").lists("develop", fromBranch("develop")).
		environment("main", after("develop")).lists("main", fromBranch("main"), byPullRequest(v1alpha1.MergeAutomatic))
}

// pinned is develop, and main after it, which deploys the very commit that is proven in develop.
func pinned() *scene {
	return empty().environment("develop").lists("develop", fromBranch("develop")).environment("main", after("develop")).lists("main")
}

// mergedByPeople is develop, and main after it, whose branch people merge into.
func mergedByPeople() *scene {
	return empty().environment("develop").lists("develop", fromBranch("develop")).environment("main", after("develop")).lists("main", fromBranch("main"))
}

func (s *scene) environment(name v1alpha1.EnvironmentName, options ...environmentOption) *scene {
	e := &v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Name: string(name)}}
	for _, option := range options {
		option(e)
	}
	s.Environments[name] = e
	return s
}

func (s *scene) lists(name v1alpha1.EnvironmentName, options ...entryOption) *scene {
	entry := v1alpha1.ApplicationEnvironment{Name: name}
	for _, option := range options {
		option(&entry)
	}
	s.Application.Spec.Environments = append(s.Application.Spec.Environments, entry)
	return s
}

// with changes an Environment that is there.
func (s *scene) with(name v1alpha1.EnvironmentName, options ...environmentOption) *scene {
	for _, option := range options {
		option(s.Environments[name])
	}
	return s
}

func after(upstreams ...v1alpha1.EnvironmentName) environmentOption {
	return func(e *v1alpha1.Environment) { e.Spec.After = upstreams }
}

func accepting(kinds ...v1alpha1.ProofKind) environmentOption {
	return func(e *v1alpha1.Environment) { e.Spec.Proof = &v1alpha1.Proof{Accept: kinds} }
}

func startedByPeople(e *v1alpha1.Environment) { e.Spec.Promotion = v1alpha1.PromotionManual }

func deployWithin(d time.Duration) environmentOption {
	return func(e *v1alpha1.Environment) {
		e.Spec.Timeouts = &v1alpha1.Timeouts{Deploy: &metav1.Duration{Duration: d}}
	}
}

func guarded(gates ...v1alpha1.Gate) environmentOption {
	return func(e *v1alpha1.Environment) { e.Spec.Gates = append(e.Spec.Gates, gates...) }
}

func soaking(d time.Duration) v1alpha1.Gate {
	return v1alpha1.Gate{Name: "soak", Soak: &v1alpha1.SoakGate{Duration: metav1.Duration{Duration: d}}}
}

func checking(required ...string) v1alpha1.Gate {
	return v1alpha1.Gate{Name: "ci", Checks: &v1alpha1.ChecksGate{Required: required}}
}

func approvedBy(people int32) v1alpha1.Gate {
	return v1alpha1.Gate{Name: "sign-off", Approval: &v1alpha1.ApprovalGate{Required: people}}
}

func fromBranch(branch string) entryOption {
	return func(e *v1alpha1.ApplicationEnvironment) { e.Source = &v1alpha1.Source{Branch: branch} }
}

func fromReleases(semver string) entryOption {
	return func(e *v1alpha1.ApplicationEnvironment) {
		e.Source = &v1alpha1.Source{Release: &v1alpha1.ReleaseSource{Semver: semver}}
	}
}

func withPrereleases(e *v1alpha1.ApplicationEnvironment) { e.Source.Release.Prereleases = true }

func byPullRequest(merge v1alpha1.MergeMode) entryOption {
	return func(e *v1alpha1.ApplicationEnvironment) { e.PullRequest = &v1alpha1.PullRequestPolicy{Merge: merge} }
}

func adding(gates ...v1alpha1.Gate) entryOption {
	return func(e *v1alpha1.ApplicationEnvironment) { e.Gates = gates }
}

// release adds the Release of a commit of a branch, newer than all before.
func (s *scene) release(commit, branch string, options ...releaseOption) *scene {
	s.sequence++
	r := &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{Name: commit, Namespace: team, CreationTimestamp: *at(fmt.Sprintf("%dm", s.sequence-60))},
		Spec:       v1alpha1.ReleaseSpec{Application: "web", Commit: sha(commit), Content: "tree-" + commit, Branch: branch, Sequence: s.sequence},
	}
	for _, option := range options {
		option(r)
	}
	s.Releases = append(s.Releases, r)
	return s
}

func content(of string) releaseOption {
	return func(r *v1alpha1.Release) { r.Spec.Content = "tree-" + of }
}

func tagged(version string) releaseOption {
	return func(r *v1alpha1.Release) {
		r.Name += "-v" + version
		r.Spec.Tag, r.Spec.Version = "v"+version, version
	}
}

func entry(env v1alpha1.EnvironmentName, change func(*v1alpha1.LedgerEntry)) releaseOption {
	return func(r *v1alpha1.Release) { change(entryFor(r, env)) }
}

// ranIn enters that a release ran healthy somewhere.
func ranIn(env v1alpha1.EnvironmentName, when string) releaseOption {
	return entry(env, func(e *v1alpha1.LedgerEntry) { e.EnteredAt, e.ProvenAt = at(when), at(when) })
}

func rejectedIn(env v1alpha1.EnvironmentName, when string) releaseOption {
	return entry(env, func(e *v1alpha1.LedgerEntry) { e.RejectedAt, e.Reason = at(when), v1alpha1.FluxFailedReason })
}

func enteredIn(env v1alpha1.EnvironmentName, when string) releaseOption {
	return entry(env, func(e *v1alpha1.LedgerEntry) { e.EnteredAt = at(when) })
}

// head says where a branch is.
func (s *scene) head(branch, commit string) *scene {
	tree := "tree-" + commit
	if r := s.releaseAt(sha(commit)); r != nil {
		tree = r.Spec.Content
	}
	s.GitHub.Branches[branch] = Branch{Found: true, Head: Commit{SHA: sha(commit), Tree: tree}}
	return s
}

// merge says that a commit is the merge of head onto base.
func (s *scene) merge(commit string, number int64, head, base string) *scene {
	m := Merge{PullRequest: number, Head: sha(head), Base: sha(base)}
	if r := s.releaseAt(m.Base); r != nil {
		m.BaseContent = r.Spec.Content
	}
	s.GitHub.Merges[sha(commit)] = m
	return s
}

// distance says that head has so many commits that base lacks, and base so many that head lacks.
func (s *scene) distance(base, head string, ahead, behind int) *scene {
	s.GitHub.Distances[Span{Base: sha(base), Head: sha(head)}] = Distance{Ahead: ahead, Behind: behind}
	return s
}

// rewritten says that somebody has moved a branch to a commit from which no way leads back to another one.
func (s *scene) rewritten(branch, to, lost string) *scene {
	s.head(branch, to)
	s.GitHub.Reaches[Span{Base: sha(to), Head: sha(lost)}] = false
	return s
}

// fetched says that Flux has a commit of a branch.
func (s *scene) fetched(branch, commit string) *scene {
	s.Fetched[Pin{Branch: branch, Commit: sha(commit)}] = true
	return s
}

func (s *scene) checks(commit string, runs ...Check) *scene {
	s.GitHub.Checks[sha(commit)] = Checks{Runs: runs}
	return s
}

// runs says that Flux reports a release as applied and healthy, for as long as the scene knows.
func (s *scene) runs(env v1alpha1.EnvironmentName, release string) *scene {
	r := s.State.release(release)
	s.Flux[env] = Flux{Exists: true, GenerationObserved: true, Ready: "True", Reason: "ReconciliationSucceeded", ReadyChangedAt: noon.Add(-time.Hour),
		Applied: r.Spec.Commit, Attempted: r.Spec.Commit, SourceCommit: r.Spec.Commit, ChecksHealth: true, Release: release}
	s.Sources[env] = FluxSource{Exists: true, Commit: r.Spec.Commit}
	return s.remembers(env, r.Spec.Commit, "-24h")
}

// remembers is what status said about an environment before: that it was healthy since then.
func (s *scene) remembers(env v1alpha1.EnvironmentName, commit, since string) *scene {
	status := s.statusOf(env)
	if status == nil {
		s.Application.Status.Environments = append(s.Application.Status.Environments, v1alpha1.EnvironmentState{Name: env})
		status = s.statusOf(env)
	}
	status.Current = &v1alpha1.CurrentRelease{Commit: commit, Since: at(since), Healthy: metav1.ConditionTrue, HealthySince: at(since)}
	return s
}

// flux changes what Flux reports.
func (s *scene) flux(env v1alpha1.EnvironmentName, change func(*Flux)) *scene {
	flux := s.Flux[env]
	change(&flux)
	s.Flux[env] = flux
	return s
}

// fails says that Flux tried a release and failed.
func (s *scene) fails(env v1alpha1.EnvironmentName, release, when string) *scene {
	commit := s.State.release(release).Spec.Commit
	return s.flux(env, func(f *Flux) {
		f.Exists, f.ChecksHealth, f.Release, f.Attempted, f.SourceCommit = true, true, release, commit, commit
		f.Ready, f.Reason, f.Message, f.GenerationObserved = "False", "HealthCheckFailed", "Deployment web is not ready", false
		f.ReadyChangedAt = at(when).Time
	})
}

// promotion adds a Promotion that Mainstem asked for, unless by says otherwise.
func (s *scene) promotion(env v1alpha1.EnvironmentName, release string, options ...promotionOption) *scene {
	p := &v1alpha1.Promotion{
		ObjectMeta: metav1.ObjectMeta{Namespace: team, CreationTimestamp: *at("-10m")},
		Spec:       v1alpha1.PromotionSpec{Application: "web", Environment: env, Release: release, Attempt: 1, RequestedBy: operator},
		Status:     v1alpha1.PromotionStatus{Phase: v1alpha1.PromotionPending},
	}
	for _, option := range options {
		option(p)
	}
	p.Name = fmt.Sprintf("%s-%s-%d", env, release, p.Spec.Attempt)
	p.UID = types.UID("uid-" + p.Name)
	s.Promotions = append(s.Promotions, p)
	return s
}

// get returns the Promotion of a name.
func (s *scene) get(name string) *v1alpha1.Promotion {
	for _, p := range s.Promotions {
		if p.Name == name {
			return p
		}
	}
	panic("there is no Promotion " + name)
}

func by(person string) promotionOption {
	return func(p *v1alpha1.Promotion) { p.Spec.RequestedBy = person }
}

func created(when string) promotionOption {
	return func(p *v1alpha1.Promotion) { p.CreationTimestamp = *at(when) }
}

func attempt(n int32) promotionOption { return func(p *v1alpha1.Promotion) { p.Spec.Attempt = n } }

func rollback(p *v1alpha1.Promotion) { p.Spec.Rollback = true }

func bypassing(keys ...string) promotionOption {
	return func(p *v1alpha1.Promotion) { p.Spec.Bypass, p.Spec.Reason = keys, "it is urgent" }
}

// toldFlux says that a Promotion told Flux to run its release, or another one that its merge made.
func toldFlux(when string, deployed ...string) promotionOption {
	return func(p *v1alpha1.Promotion) {
		p.Status.Phase, p.Status.DeployStartedAt, p.Status.DeployedRelease = v1alpha1.PromotionDeploying, at(when), p.Spec.Release
		if len(deployed) > 0 {
			p.Status.DeployedRelease = deployed[0]
		}
	}
}

// ended says how a Promotion ended, and when.
func ended(as v1alpha1.PromotionPhase, when string) promotionOption {
	return func(p *v1alpha1.Promotion) {
		p.Status.Phase, p.Status.FinishedAt = as, at(when)
		p.Status.Reason = string(as)
		if as == v1alpha1.PromotionFailed {
			p.Status.Reason, p.Status.Message = v1alpha1.FluxFailedReason, "Flux failed"
		}
	}
}

func because(reason string) promotionOption {
	return func(p *v1alpha1.Promotion) { p.Status.Reason = reason }
}

func phased(as v1alpha1.PromotionPhase) promotionOption {
	return func(p *v1alpha1.Promotion) { p.Status.Phase = as }
}

// succeeded is a Promotion that deployed its release, or another one that its merge made, and went well.
func succeeded(when string, deployed ...string) promotionOption {
	return func(p *v1alpha1.Promotion) {
		toldFlux(when, deployed...)(p)
		ended(v1alpha1.PromotionSucceeded, when)(p)
	}
}

func failed(when string, deployed ...string) promotionOption {
	return func(p *v1alpha1.Promotion) {
		toldFlux(when, deployed...)(p)
		ended(v1alpha1.PromotionFailed, when)(p)
	}
}

// pullRequest says that a Promotion has opened its pull request, and that GitHub has it like this.
func (s *scene) pullRequest(promotion string, number int64, state v1alpha1.PullRequestState, head string, change ...func(*PullRequest)) *scene {
	s.get(promotion).Status.PullRequest = &v1alpha1.PullRequestStatus{Number: number, State: v1alpha1.PullRequestOpen}
	pull := PullRequest{Number: number, URL: fmt.Sprintf("https://github.com/acme/web/pull/%d", number), State: state, Head: sha(head)}
	for _, c := range change {
		c(&pull)
	}
	s.GitHub.PullRequests[promotion] = pull
	return s
}

func mergedAs(commit, person string) func(*PullRequest) {
	return func(p *PullRequest) { p.MergeCommit, p.MergedBy = sha(commit), person }
}

func (s *scene) approval(promotion, approver string, decision v1alpha1.ApprovalDecision, change ...func(*v1alpha1.Approval)) *scene {
	p := s.get(promotion)
	a := &v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("approval-%d", len(s.Approvals)), Namespace: team, CreationTimestamp: *at(fmt.Sprintf("%ds", len(s.Approvals)-60))},
		Spec:       v1alpha1.ApprovalSpec{Promotion: p.Name, PromotionUID: string(p.UID), Environment: p.Spec.Environment, Approver: approver, Decision: decision},
	}
	for _, c := range change {
		c(a)
	}
	s.Approvals = append(s.Approvals, a)
	return s
}

func (s *scene) hold(env v1alpha1.EnvironmentName, change ...func(*v1alpha1.Hold)) *scene {
	h := &v1alpha1.Hold{
		ObjectMeta: metav1.ObjectMeta{Name: fmt.Sprintf("hold-%d", len(s.Holds)), Namespace: team},
		Spec:       v1alpha1.HoldSpec{Environment: env, Reason: "incident 7", CreatedBy: alice},
	}
	for _, c := range change {
		c(h)
	}
	s.Holds = append(s.Holds, h)
	return s
}

// do changes anything else.
func (s *scene) do(change func(*State)) *scene {
	change(s.State)
	return s
}

// outage says that GitHub cannot be observed: nothing is known of it.
func (s *scene) outage(retryAfter string) *scene {
	s.GitHub = GitHub{Problem: &Problem{Reason: v1alpha1.UnreachableReason, Message: "GitHub does not answer", RetryAt: at(retryAfter).Time}}
	return s
}
