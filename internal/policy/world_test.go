// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// world is everything outside of the engine, small: a repository on GitHub, an API server and Flux. Its clock moves only when it is
// told to.
type world struct {
	now time.Time
	git *repository
	hub *hub
	api *server
	// flux has what Flux was told and what it reports, by environment.
	flux map[v1alpha1.EnvironmentName]*kustomization
	// ready are the commits whose source is fetched, asked the ones that were asked for.
	ready, asked map[string]bool
	// writes counts everything that changed the API server, GitHub or Flux.
	writes int
	// budget is how many writes the engine may make before it dies; negative for as many as it likes.
	budget int
	// record is what happened, for the invariants and for the reader of a failure.
	record chronicle
}

// errDied is what a write returns at the moment at which the operator is killed.
var errDied = errors.New("the operator was killed")

// repository is what Git has: the content of a commit is a set of changes, so that merging is the union.
type repository struct {
	commits  map[string]Commit
	changes  map[string][]string
	branches map[string]string
	next     int
	// bad are the changes with which a deploy fails, by environment, until another change cures them.
	bad  map[string][]v1alpha1.EnvironmentName
	cure map[string]string
}

func newRepository() *repository {
	g := &repository{commits: map[string]Commit{}, changes: map[string][]string{}, branches: map[string]string{}, bad: map[string][]v1alpha1.EnvironmentName{}, cure: map[string]string{}}
	root := g.commit("a", []string{"0"})
	g.branches["develop"], g.branches["main"] = root, root
	return g
}

// commit makes a commit. Its name tells what it is: d on develop, h a hotfix, m a merge.
func (g *repository) commit(kind string, changes []string, parents ...string) string {
	g.next++
	name := sha(fmt.Sprintf("%s%03d", kind, g.next))
	slices.Sort(changes)
	changes = slices.Compact(changes)
	g.changes[name] = changes
	g.commits[name] = Commit{SHA: name, Tree: "tree-" + strings.Join(changes, "."), Parents: parents}
	return name
}

// push adds a commit with one more change to a branch.
func (g *repository) push(branch, kind string) (commit, change string) {
	head := g.branches[branch]
	change = fmt.Sprint(g.next)
	g.branches[branch] = g.commit(kind, append(slices.Clone(g.changes[head]), change), head)
	return g.branches[branch], change
}

func (g *repository) merge(branch, head string) string {
	base := g.branches[branch]
	g.branches[branch] = g.commit("m", slices.Concat(g.changes[base], g.changes[head]), base, head)
	return g.branches[branch]
}

// ancestors are a commit and all that it contains.
func (g *repository) ancestors(commit string) map[string]bool {
	seen := map[string]bool{}
	for queue := []string{commit}; len(queue) > 0; queue = queue[1:] {
		if !seen[queue[0]] {
			seen[queue[0]] = true
			queue = append(queue, g.commits[queue[0]].Parents...)
		}
	}
	return seen
}

func (g *repository) distance(span Span) Distance {
	base, head := g.ancestors(span.Base), g.ancestors(span.Head)
	var d Distance
	for commit := range head {
		if !base[commit] {
			d.Ahead++
		}
	}
	for commit := range base {
		if !head[commit] {
			d.Behind++
		}
	}
	return d
}

// healthy says whether a commit runs in an environment.
func (g *repository) healthy(commit string, env v1alpha1.EnvironmentName) bool {
	changes := g.changes[commit]
	for _, change := range changes {
		if slices.Contains(g.bad[change], env) && !slices.ContainsFunc(changes, func(c string) bool { return g.cure[c] == change }) {
			return false
		}
	}
	return true
}

// hub is GitHub beside Git: pull requests, merges, checks and releases.
type hub struct {
	down   bool
	pulls  map[int64]*PullRequest
	merges map[string]Merge
	// base is the branch of each pull request.
	base   map[int64]string
	checks map[string]CheckState
	// published are the GitHub releases.
	published []Published
}

func (h *hub) open(base string) []*PullRequest {
	var open []*PullRequest
	for _, number := range slices.Sorted(maps.Keys(h.pulls)) {
		if h.base[number] == base && h.pulls[number].State == v1alpha1.PullRequestOpen {
			open = append(open, h.pulls[number])
		}
	}
	return open
}

// server is the API server.
type server struct {
	application  *v1alpha1.Application
	environments map[v1alpha1.EnvironmentName]*v1alpha1.Environment
	releases     []*v1alpha1.Release
	promotions   []*v1alpha1.Promotion
	approvals    []*v1alpha1.Approval
	holds        []*v1alpha1.Hold
	created      int
}

// kustomization is a Kustomization as Flux runs it.
type kustomization struct {
	exists          bool
	commit, release string
	// promotion is that of which Flux was told last.
	promotion string
	report    Flux
}

// newWorld begins with both branches at the same commit, and nothing deployed.
func newWorld(s *scene) *world {
	w := &world{
		now: noon, git: newRepository(), budget: -1,
		hub:  &hub{pulls: map[int64]*PullRequest{}, merges: map[string]Merge{}, base: map[int64]string{}, checks: map[string]CheckState{}},
		api:  &server{application: s.Application, environments: s.Environments},
		flux: map[v1alpha1.EnvironmentName]*kustomization{}, ready: map[string]bool{}, asked: map[string]bool{},
	}
	for env := range s.Environments {
		w.flux[env] = &kustomization{}
	}
	return w
}

// wrote counts a write of the operator, and kills it where its budget is spent.
func (w *world) wrote() error {
	if w.budget == 0 {
		return errDied
	}
	w.budget--
	w.writes++
	return nil
}

// mergePull merges a pull request, by whomever.
func (w *world) mergePull(pull *PullRequest, person string) {
	branch := w.hub.base[pull.Number]
	before := w.git.branches[branch]
	merged := w.git.merge(branch, pull.Head)
	pull.State, pull.MergeCommit, pull.MergedBy = v1alpha1.PullRequestMerged, merged, person
	w.hub.merges[merged] = Merge{PullRequest: pull.Number, Head: pull.Head, Base: before, BaseContent: w.git.commits[before].Tree}
	w.record.merged = append(w.record.merged, *pull)
}

// work lets Flux come further in one environment: it fetches, looks, applies or fails.
func (w *world) work(env v1alpha1.EnvironmentName) {
	for commit := range w.asked {
		w.ready[commit] = true
	}
	k := w.flux[env]
	if !k.exists || !w.ready[k.commit] {
		return
	}
	r := &k.report
	healthy := w.git.healthy(k.commit, env)
	settled := r.Attempted == k.commit && r.GenerationObserved && (r.Ready == "True") == healthy && r.Ready != "Unknown"
	if r.Handled == k.promotion && (settled || (r.Attempted == k.commit && r.Ready == "False" && !healthy)) {
		return
	}
	if r.Ready != "Unknown" {
		r.Ready, r.Reason, r.Message, r.ReadyChangedAt = "Unknown", "Progressing", "reconciling", w.now
		return
	}
	r.Attempted, r.Handled = k.commit, k.promotion
	if healthy {
		r.Ready, r.Reason, r.Message, r.Applied, r.GenerationObserved = "True", "ReconciliationSucceeded", "applied", k.commit, true
	} else {
		r.Ready, r.Reason, r.Message = "False", "HealthCheckFailed", "Deployment web is not ready"
	}
	r.ReadyChangedAt = w.now
}

// ask is a person's Promotion.
func (w *world) ask(person string, env v1alpha1.EnvironmentName, release string, options ...promotionOption) *v1alpha1.Promotion {
	p := &v1alpha1.Promotion{Spec: v1alpha1.PromotionSpec{
		Application: "web", Environment: env, Release: release, RequestedBy: person,
		Attempt: nextAttempt(&State{Promotions: w.api.promotions}, env, release),
	}}
	for _, option := range options {
		option(p)
	}
	w.create(p)
	return p
}

func (w *world) create(p *v1alpha1.Promotion) {
	w.api.created++
	p.ObjectMeta = metav1.ObjectMeta{
		Name: fmt.Sprintf("web-%s-%s-%d", p.Spec.Environment, p.Spec.Release, p.Spec.Attempt), Namespace: team,
		UID: types.UID(fmt.Sprint("uid-", w.api.created)), CreationTimestamp: metav1.NewTime(w.now),
	}
	p.Status.Phase = v1alpha1.PromotionPending
	w.api.promotions = append(w.api.promotions, p)
}

// named returns the Promotion of a name.
func (a *server) named(name string) *v1alpha1.Promotion {
	for _, p := range a.promotions {
		if p.Name == name {
			return p
		}
	}
	return nil
}

func (a *server) releaseNamed(name string) *v1alpha1.Release {
	for _, r := range a.releases {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// chronicle is what happened, for what must never happen.
type chronicle struct {
	merged []PullRequest
	// began are the deploys that began, with what was so at that moment.
	began []beginning
	// healthy is since when a commit is known to have run healthy somewhere.
	healthy map[v1alpha1.EnvironmentName]map[string]time.Time
	// mistakes are what must not have been done on GitHub.
	mistakes []string
	log      []string
}

type beginning struct {
	promotion string
	env       v1alpha1.EnvironmentName
	commit    string
	objection string
}

func (w *world) say(format string, args ...any) {
	w.record.log = append(w.record.log, fmt.Sprintf("%s ", w.now.Format("15:04:05"))+fmt.Sprintf(format, args...))
}
