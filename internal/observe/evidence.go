// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package observe

import (
	"context"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/github"
	"github.com/mainstem-dev/mainstem/internal/policy"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// evidenceRounds bounds how often what was found may ask for more: a merge asks for the commit that it made, which asks for its
// lineage, which asks for the distance of a candidate.
const evidenceRounds = 4

// Evidence fetches what decisions about the Application ask for, and only that. What cannot be had is a Problem where the gate
// looks for it.
func (o *Observer) Evidence(ctx context.Context, observation *Observation) error {
	if observation.GitHub == nil {
		return nil
	}
	for range evidenceRounds {
		found := o.evidence(ctx, observation)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !found {
			return nil
		}
	}
	return nil
}

// evidence fetches what is needed now and not there yet, and says whether there was anything.
func (o *Observer) evidence(ctx context.Context, observation *Observation) bool {
	state := &observation.State
	needs := policy.EvidenceNeeds(state)
	fetcher := &fetcher{observation: observation, instance: o.Instance}
	for _, sha := range needs.Commits {
		fetch(ctx, fetcher, state.GitHub.Commits, sha, fetcher.commit)
	}
	for _, sha := range needs.Merges {
		fetch(ctx, fetcher, state.GitHub.Merges, sha, fetcher.merge)
	}
	for _, sha := range needs.Checks {
		fetch(ctx, fetcher, state.GitHub.Checks, sha, fetcher.checks)
	}
	for i := range needs.Homes {
		fetch(ctx, fetcher, state.GitHub.Homes, needs.Homes[i].Commit.SHA, func(ctx context.Context, sha string) (string, bool) {
			return fetcher.home(ctx, sha, needs.Homes[i].Target)
		})
	}
	for _, span := range needs.Distances {
		fetch(ctx, fetcher, state.GitHub.Distances, span, fetcher.distance)
	}
	for _, name := range needs.Branches {
		fetch(ctx, fetcher, state.GitHub.Branches, name, fetcher.branch)
	}
	for _, span := range needs.Reaches {
		fetch(ctx, fetcher, state.GitHub.Reaches, span, fetcher.reaches)
	}
	for _, promotion := range needs.PullRequests {
		fetch(ctx, fetcher, state.GitHub.PullRequests, promotion.Name, func(ctx context.Context, name string) (policy.PullRequest, bool) {
			return fetcher.pull(ctx, name, int(promotion.Status.PullRequest.Number))
		})
	}
	return fetcher.found
}

type fetcher struct {
	observation *Observation
	instance    string
	// found says that a question got an answer, which may lead to others.
	found bool
}

// fetch answers one question, unless it has an answer already.
func fetch[K comparable, V any](ctx context.Context, f *fetcher, into map[K]V, key K, ask func(context.Context, K) (V, bool)) {
	if _, known := into[key]; known || ctx.Err() != nil {
		return
	}
	if answer, ok := ask(ctx, key); ok {
		into[key] = answer
		f.found = true
	}
}

// fail makes GitHub as a whole a Problem: a decision on half of the evidence is none.
func (f *fetcher) fail(err error) {
	if f.observation.State.GitHub.Problem == nil {
		f.observation.State.GitHub.Problem = problemOf(err)
	}
}

func (f *fetcher) commit(ctx context.Context, sha string) (policy.Commit, bool) {
	commit, err := f.observation.GitHub.Commit(ctx, sha)
	if err != nil {
		f.fail(err)
		return policy.Commit{}, false
	}
	return commitOf(commit), true
}

func (f *fetcher) merge(ctx context.Context, sha string) (policy.Merge, bool) {
	f.observation.passing = true
	merge, err := f.observation.GitHub.MergeOf(ctx, sha, f.branchOf(sha), f.observation.interval)
	if err != nil {
		f.fail(err)
		return policy.Merge{}, false
	}
	if !merge.Found || merge.Base == "" {
		return policy.Merge{}, false
	}
	base, known := f.commit(ctx, merge.Base)
	if !known {
		return policy.Merge{}, false
	}
	return policy.Merge{
		PullRequest: int64(merge.PullRequest.Number), Head: merge.PullRequest.Head.SHA, Base: merge.Base, BaseContent: base.Tree,
	}, true
}

// branchOf is a branch on which a commit was seen.
func (f *fetcher) branchOf(sha string) string {
	state := &f.observation.State
	for name, branch := range state.GitHub.Branches {
		if branch.Head.SHA == sha {
			return name
		}
	}
	for _, p := range state.Promotions {
		if entry := state.Entry(p.Spec.Environment); p.Status.PullRequest != nil && p.Status.PullRequest.MergeCommit == sha && entry != nil && entry.Source != nil {
			return entry.Source.Branch
		}
	}
	return ""
}

func (f *fetcher) checks(ctx context.Context, sha string) (policy.Checks, bool) {
	f.observation.passing = true
	found, err := f.observation.GitHub.Checks(ctx, github.ChecksRequest{
		SHA: sha, IgnorePrefix: render.CommitStatusContext(""), MaxAge: f.observation.interval,
	})
	if err != nil {
		return policy.Checks{Problem: problemOf(err)}, true
	}
	// Pending checks change without us: they are as old as the oldest part, so that the next look includes them.
	if found.FetchedAt.Before(f.observation.FetchedAt) {
		f.observation.FetchedAt = found.FetchedAt
	}
	var result policy.Checks
	for i := range found.Items {
		result.Runs = append(result.Runs, policy.Check{Name: found.Items[i].Name, State: checkState(found.Items[i].State)})
	}
	return result, true
}

// checkState follows GitHub's required checks: skipped and neutral are success.
func checkState(state github.CheckState) policy.CheckState {
	switch state {
	case github.CheckSuccess, github.CheckNeutral, github.CheckSkipped:
		return policy.CheckSuccess
	case github.CheckPending:
		return policy.CheckPending
	case github.CheckFailure, github.CheckCancelled:
		return policy.CheckFailure
	}
	return policy.CheckFailure
}

func (f *fetcher) distance(ctx context.Context, span policy.Span) (policy.Distance, bool) {
	comparison, err := f.observation.GitHub.Compare(ctx, span.Base, span.Head)
	if err != nil {
		// How far behind is nice to know; that a base is contained is asked again, and nothing merges without it.
		if !github.IsNotFound(err) {
			f.fail(err)
		}
		f.observation.passing = true
		return policy.Distance{}, false
	}
	return policy.Distance{Ahead: comparison.Ahead, Behind: comparison.Behind}, true
}

// branch reads the head of a branch that the Application does not follow, but once did.
func (f *fetcher) branch(ctx context.Context, name string) (policy.Branch, bool) {
	f.observation.passing = true
	head, err := f.observation.GitHub.SeenBranch(ctx, name, f.observation.interval)
	if err != nil {
		f.fail(err)
		return policy.Branch{}, false
	}
	return policy.Branch{Found: head.Found, Head: commitOf(head.Commit)}, true
}

func (f *fetcher) reaches(ctx context.Context, span policy.Span) (leads, known bool) {
	comparison, err := f.observation.GitHub.Compare(ctx, span.Base, span.Head)
	switch {
	case github.IsNotFound(err): // GitHub has forgotten the commit, or the two have no history in common.
		f.observation.passing = true
		return false, true
	case err != nil:
		f.fail(err)
		return false, false
	}
	return comparison.Ahead == 0, true
}

// home is the branch that holds a commit, of those where it most likely is.
func (f *fetcher) home(ctx context.Context, sha, target string) (string, bool) {
	f.observation.passing = true
	branch, err := f.observation.GitHub.HeldBy(ctx, sha, target, f.observation.defaultBranch)
	if err != nil {
		f.fail(err)
		return "", false
	}
	return branch, true
}

func (f *fetcher) pull(ctx context.Context, promotion string, number int) (policy.PullRequest, bool) {
	f.observation.passing = true
	pull, err := f.observation.GitHub.PullRequest(ctx, number, f.observation.interval)
	if err != nil {
		return policy.PullRequest{Problem: problemOf(err)}, true
	}
	f.observation.Pulls[promotion] = pull
	result := policy.PullRequest{Number: int64(pull.Number), URL: pull.URL, Head: pull.Head.SHA, MergeCommit: pull.MergeCommit, MergedBy: pull.MergedBy}
	if marker, marked := render.ParseMarker(pull.Body); marked {
		result.Foreign = marker.Instance != f.instance
	}
	switch pull.State {
	case github.PullRequestOpen:
		result.State = v1alpha1.PullRequestOpen
	case github.PullRequestMerged:
		result.State = v1alpha1.PullRequestMerged
	case github.PullRequestClosed:
		result.State = v1alpha1.PullRequestClosed
	}
	return result, true
}
