// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package application

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/github"
	"github.com/mainstem-dev/mainstem/internal/observe"
	"github.com/mainstem-dev/mainstem/internal/policy"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// effectRetry is when an effect that failed is tried again, unless GitHub says when.
const effectRetry = 30 * time.Second

// act does on GitHub what a step asks for, and returns the step as it turned out. Whatever goes wrong there is a reason to wait,
// told in the Promotion's status.
func (c *carrier) act(ctx context.Context, promotion *v1alpha1.Promotion, step policy.Step) policy.Step {
	switch step.Effect {
	case policy.EffectNone:
		return step
	case policy.EffectWithdraw:
		if err := c.withdraw(ctx, promotion); err != nil {
			logf.FromContext(ctx).Error(err, "A pull request could not be withdrawn: it stays on GitHub", "promotion", promotion.Name)
		}
		return step
	case policy.EffectPullRequest, policy.EffectMerge:
	}
	if c.observation.GitHub == nil {
		return waiting(step, policy.ReasonNotObserved, "GitHub could not be asked")
	}
	if err := c.ensurePullRequest(ctx, promotion, step); err != nil {
		return c.refused(step, err)
	}
	if step.Effect == policy.EffectMerge {
		return c.merge(ctx, promotion, step)
	}
	return step
}

// waiting is a step that has to be tried again.
func waiting(step policy.Step, reason, message string) policy.Step {
	step.Phase, step.Reason, step.Message, step.Deploy = v1alpha1.PromotionPending, reason, message, nil
	return step
}

// refused turns an error of GitHub into a step that waits, or stalls where only a person can help.
func (c *carrier) refused(step policy.Step, err error) policy.Step {
	step = waiting(step, reasonOf(err), err.Error())
	step.RecheckAt = c.retryAt(err)
	step.Stalled = policy.Stalls(step.Reason)
	if step.Reason == v1alpha1.RepositoryArchivedReason {
		c.observation.GitHub.Invalidate() // It was not when it was looked at.
	}
	return step
}

// retryAt is when what failed is tried again: when GitHub says so; at the next look where only a person can help, since each try counts
// against the credential's limit; else a little later.
func (c *carrier) retryAt(err error) time.Time {
	if at, known := github.RetryAt(err); known {
		return at
	}
	if reason := reasonOf(err); reason == v1alpha1.PermissionDeniedReason || policy.Stalls(reason) {
		return c.observation.NextLook()
	}
	return c.state.Now.Add(effectRetry)
}

// foreignError : the pull request is another installation's, or another Application's of this one.
type foreignError struct {
	number int
	marker render.Marker
	// instance is this installation's name.
	instance string
}

func (e *foreignError) Error() string {
	mend := "close that pull request"
	if e.marker.Instance != e.instance {
		mend = "give this installation another --instance, or " + mend
	}
	return fmt.Sprintf("pull request #%d belongs to instance %s, Application %s/%s: %s",
		e.number, e.marker.Instance, e.marker.Namespace, e.marker.Application, mend)
}

// foreign refuses a pull request whose mark is not this Application's.
func foreign(pull github.PullRequest, ours render.Marker) error {
	if marker, marked := render.ParseMarker(pull.Body); marked && !sameOwner(marker, ours) {
		return &foreignError{number: pull.Number, marker: marker, instance: ours.Instance}
	}
	return nil
}

// reasonOf names what stands in the way: what is about our branch and pull request, or else what is about GitHub.
func reasonOf(err error) string {
	var moved *github.BranchMovedError
	var others *foreignError
	switch {
	case errors.As(err, &moved):
		return v1alpha1.BranchMovedReason
	case errors.As(err, &others):
		return v1alpha1.PullRequestForeignReason
	}
	return observe.ReasonOf(err)
}

// ensurePullRequest sees that the promotion branch is at the candidate's commit, and that there is one open pull request from it
// which says what is so. What is there already is found, not made again.
func (c *carrier) ensurePullRequest(ctx context.Context, promotion *v1alpha1.Promotion, step policy.Step) error {
	text, err := c.pullRequestText(ctx, promotion, step)
	if err != nil {
		return err
	}
	if seen, known := c.observation.Pulls[promotion.Name]; known && seen.State == github.PullRequestOpen && seen.Head.SHA == text.Release.Spec.Commit {
		return c.updateText(ctx, seen, text)
	}
	branch := render.PullRequestBranch(c.Observer.Instance, text.Base)
	if err := c.observation.GitHub.EnsureBranch(ctx, branch, text.Release.Spec.Commit, c.ourCommits()...); err != nil {
		return err
	}
	entry := c.state.Entry(promotion.Spec.Environment)
	users, teams := reviewers(entry.PullRequest.Reviewers)
	opened, err := c.observation.GitHub.OpenPullRequest(ctx, github.NewPullRequest{
		Title: render.PullRequestTitle(text), Body: render.PullRequestBody(text), Head: branch, Base: text.Base,
		Labels: entry.PullRequest.Labels, Reviewers: users, TeamReviewers: teams,
		Refuse: func(found github.PullRequest) error { return foreign(found, text.Marker) },
	})
	if err != nil {
		return err
	}
	if opened.Incomplete != nil {
		c.tell(promotion, corev1.EventTypeWarning, "PullRequestIncomplete", opened.Incomplete.Error())
	}
	promotion.Status.PullRequest = &v1alpha1.PullRequestStatus{Number: int64(opened.PullRequest.Number), URL: opened.PullRequest.URL, State: v1alpha1.PullRequestOpen}
	c.observation.GitHub.Invalidate()
	return c.updateText(ctx, opened.PullRequest, text)
}

// withdraw deletes the branch of a Promotion that ended without a merge; GitHub closes its pull request with that. A branch that is not
// where Mainstem put it, or that another pull request is from, stays, and so does everything while GitHub cannot be asked.
func (c *carrier) withdraw(ctx context.Context, promotion *v1alpha1.Promotion) error {
	app, repository := c.state.Application, c.observation.GitHub
	if repository == nil || c.state.GitHub.Problem != nil || c.state.GitHub.Archived {
		return nil
	}
	pull, err := repository.GetPullRequest(ctx, int(promotion.Status.PullRequest.Number))
	if err != nil {
		return err
	}
	marker, marked := render.ParseMarker(pull.Body)
	ours := marked && sameOwner(marker, render.Marker{Instance: c.Observer.Instance, Namespace: app.Namespace, Application: app.Name})
	branch := render.PullRequestBranch(c.Observer.Instance, pull.Base.Branch)
	if !ours || pull.State == github.PullRequestMerged || pull.Head.Branch != branch || pull.Head.Repository != pull.Base.Repository {
		return nil
	}
	others, err := repository.FindPullRequests(ctx, branch, pull.Base.Branch)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(others, func(other github.PullRequest) bool {
		return other.Number != pull.Number && other.State == github.PullRequestOpen
	}) {
		return nil
	}
	if err := repository.DeleteBranch(ctx, branch, c.ourCommits()...); err != nil {
		return err
	}
	promotion.Status.PullRequest.State = v1alpha1.PullRequestClosed
	return nil
}

// updateText keeps a pull request's title and body true. GitHub is asked only where what was observed differs.
func (c *carrier) updateText(ctx context.Context, pull github.PullRequest, text render.PullRequest) error {
	title, body := render.PullRequestTitle(text), render.PullRequestBody(text)
	if pull.Title == title && sameBody(pull.Body, body) {
		return nil
	}
	changed, err := c.observation.GitHub.UpdatePullRequest(ctx, pull.Number, title, body)
	if changed {
		c.observation.GitHub.Invalidate()
	}
	return err
}

// sameBody compares bodies as GitHub stores them, which may be with other line ends.
func sameBody(a, b string) bool {
	return strings.ReplaceAll(a, "\r\n", "\n") == strings.ReplaceAll(b, "\r\n", "\n")
}

func sameOwner(a, b render.Marker) bool {
	return a.Instance == b.Instance && a.Namespace == b.Namespace && a.Application == b.Application
}

// ourCommits are the commits at which Mainstem may have put the promotion branch before: anything else was pushed by somebody.
func (c *carrier) ourCommits() []string {
	commits := make([]string, 0, len(c.state.Releases))
	for _, release := range c.state.Releases {
		commits = append(commits, release.Spec.Commit)
	}
	return commits
}

// reviewers tells users from teams, which are written org/team.
func reviewers(names []string) (users, teams []string) {
	for _, name := range names {
		if _, team, isTeam := strings.Cut(name, "/"); isTeam {
			teams = append(teams, team)
		} else {
			users = append(users, name)
		}
	}
	return users, teams
}

// pullRequestText is what the pull request is to say. Without its commits it would be written now and anew at the next look.
func (c *carrier) pullRequestText(ctx context.Context, promotion *v1alpha1.Promotion, step policy.Step) (render.PullRequest, error) {
	app, env := c.state.Application, promotion.Spec.Environment
	entry, release := c.state.Entry(env), c.state.Release(promotion.Spec.Release)
	text := render.PullRequest{
		Marker:         render.Marker{Instance: c.Observer.Instance, Namespace: app.Namespace, Application: app.Name, Environment: string(env)},
		Base:           entry.Source.Branch,
		Release:        release,
		Upstreams:      c.state.Environments[env].Spec.After,
		Merge:          entry.PullRequest.Merge,
		EnvironmentURL: render.EnvironmentURL(c.Observer.Scope(c.observation, env, release)),
	}
	text.CompareURL = render.CompareURL(app.Spec.Repository.URL, text.Base, release.Spec.Commit)
	for _, gate := range step.Gates {
		text.Gates = append(text.Gates, gate.Status())
	}
	for _, approval := range c.state.Approvals {
		if approval.Spec.Promotion == promotion.Name && approval.Spec.PromotionUID == string(promotion.UID) {
			text.Approvals = append(text.Approvals, approval.Spec)
		}
	}
	base := c.state.GitHub.Branches[entry.Source.Branch].Head.SHA
	compared, err := c.observation.GitHub.Compare(ctx, base, release.Spec.Commit)
	if github.IsNotFound(err) {
		return text, nil // The branches have no history in common.
	}
	if err != nil {
		return text, err
	}
	commits, err := c.observation.GitHub.CommitsAhead(ctx, base, release.Spec.Commit)
	if err != nil {
		return text, err
	}
	text.TotalCommits = compared.Ahead
	for i := range commits {
		commit := &commits[i]
		text.Commits = append(text.Commits, render.PullRequestCommit{SHA: commit.SHA, Message: commit.Message, Author: commit.Author, URL: commit.URL})
	}
	return text, nil
}

// merge merges the pull request at exactly the candidate's commit, onto exactly the base on which that was decided. The commit
// status says first that the gates have passed: where the branch requires it, GitHub would not merge otherwise.
func (c *carrier) merge(ctx context.Context, promotion *v1alpha1.Promotion, step policy.Step) policy.Step {
	entry, release := c.state.Entry(promotion.Spec.Environment), c.state.Release(promotion.Spec.Release)
	base, err := c.observation.GitHub.Branch(ctx, entry.Source.Branch)
	if err != nil {
		return c.refused(step, err)
	}
	if base.Commit.SHA != step.Base {
		c.observation.GitHub.Invalidate()
		step = waiting(step, v1alpha1.MergeWaitingReason, fmt.Sprintf("branch %s moved: deciding again", entry.Source.Branch))
		step.RecheckAt = c.state.Now
		return step
	}
	if err := c.ensureStatus(ctx, policy.GatesPassed(promotion.Spec.Environment, release.Spec.Commit)); err != nil {
		return c.refused(step, err)
	}
	result, err := c.observation.GitHub.MergePullRequest(ctx, github.MergeRequest{
		Number: int(promotion.Status.PullRequest.Number), HeadSHA: release.Spec.Commit,
	})
	if err != nil {
		return c.refused(step, err)
	}
	return merged(promotion, release, step, result)
}

// merged records what came of a merge.
func merged(promotion *v1alpha1.Promotion, release *v1alpha1.Release, step policy.Step, result github.MergeResult) policy.Step {
	number := promotion.Status.PullRequest.Number
	switch result.Outcome {
	case github.Merged, github.AlreadyMerged:
		if result.HeadSHA != release.Spec.Commit {
			return waiting(step, v1alpha1.MergeWaitingReason, fmt.Sprintf("pull request #%d was merged at another commit", number))
		}
		promotion.Status.PullRequest.State = v1alpha1.PullRequestMerged
		promotion.Status.PullRequest.MergeCommit = result.SHA
		step.Message = fmt.Sprintf("pull request #%d is merged", number)
		return step
	case github.HeadMoved, github.PullRequestIsClosed:
		return waiting(step, v1alpha1.MergeWaitingReason, fmt.Sprintf("pull request #%d changed: looking again", number))
	case github.NotMergeable, github.MergeForbidden:
		return waiting(step, v1alpha1.MergeWaitingReason, fmt.Sprintf("GitHub does not merge pull request #%d yet: %s", number, result.Message))
	}
	return waiting(step, v1alpha1.MergeWaitingReason, fmt.Sprintf("GitHub answered %s to the merge of pull request #%d", result.Outcome, number))
}
