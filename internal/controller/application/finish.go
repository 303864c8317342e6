// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package application

import (
	"context"
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	logf "sigs.k8s.io/controller-runtime/pkg/log"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/apply"
	"github.com/mainstem-dev/mainstem/internal/github"
	"github.com/mainstem-dev/mainstem/internal/policy"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// statusRest is how long the words of a commit status that waits stand at least.
const statusRest = 30 * time.Second

// finish reports: one patch of the Application's status where it differs, then what people see on GitHub. A second patch follows
// only where GitHub begins or ends to refuse that.
func (c *carrier) finish(ctx context.Context, requested string) (ctrl.Result, error) {
	status, recheck := policy.Report(c.state)
	status.LastHandledReconcileAt = requested
	if c.state.Application.Spec.Suspend {
		return ctrl.Result{}, c.writeStatus(ctx, status)
	}
	keepDenial(c.state.Application.Status, &status)
	if err := c.writeStatus(ctx, status); err != nil {
		return ctrl.Result{}, err
	}
	status = *status.DeepCopy()
	denial := c.tellGitHub(ctx, status)
	tellDenial(&status, denial)
	if err := c.writeStatus(ctx, status); err != nil {
		return ctrl.Result{}, err
	}
	c.lookAgainAt(recheck)
	if denial == "" {
		c.settle(status)
	}
	c.lookAgainAt(c.observation.NextLook())
	return ctrl.Result{RequeueAfter: c.in(c.again), Priority: new(0)}, nil
}

func (c *carrier) writeStatus(ctx context.Context, status v1alpha1.ApplicationStatus) error {
	app := c.state.Application
	if equality.Semantic.DeepEqual(app.Status, status) {
		return nil
	}
	before := app.DeepCopy()
	patch := client.MergeFromWithOptions(before, client.MergeFromWithOptimisticLock{})
	app.Status = status
	if err := c.Client.Status().Patch(ctx, app, patch, client.FieldOwner(apply.FieldOwner)); err != nil {
		return fmt.Errorf("writing the status of Application %s: %w", c.key(), err)
	}
	c.written.remember(app)
	c.tellTurns(before.Status.Conditions, app.Status.Conditions)
	return nil
}

// tellTurns records an event where a condition of the Application turned bad, bad for another reason, or good again. What is on its
// way is told by its Promotion.
func (c *carrier) tellTurns(before, after []metav1.Condition) {
	for _, kind := range []string{v1alpha1.RepositoryReachableCondition, v1alpha1.ReadyCondition} {
		was, is := apimeta.FindStatusCondition(before, kind), apimeta.FindStatusCondition(after, kind)
		if is == nil || (was != nil && was.Status == is.Status && was.Reason == is.Reason) {
			continue
		}
		switch {
		case is.Status == metav1.ConditionFalse:
			c.Events.Eventf(c.state.Application, nil, corev1.EventTypeWarning, is.Reason, "Report", "%s", is.Message)
		case is.Status == metav1.ConditionTrue && was != nil && was.Status == metav1.ConditionFalse:
			c.Events.Eventf(c.state.Application, nil, corev1.EventTypeNormal, is.Reason, "Report", "%s: %s", kind, is.Message)
		}
	}
}

// tellGitHub writes the commit statuses that differ from what GitHub has. They are for people: what goes wrong with them is
// tried again, and stops nothing. It returns what only a person can mend, or nothing.
func (c *carrier) tellGitHub(ctx context.Context, status v1alpha1.ApplicationStatus) string {
	if c.observation.GitHub == nil || c.observation.Credential == render.CredentialAnonymous || c.state.GitHub.Problem != nil || c.state.GitHub.Archived {
		return ""
	}
	for _, wanted := range policy.CommitStatuses(c.state, status) {
		if rests := c.statusRests(wanted); c.Now().Before(rests) {
			c.lookAgainAt(rests)
			continue
		}
		err := c.ensureStatus(ctx, wanted)
		if err == nil {
			continue
		}
		if reasonOf(err) == v1alpha1.PermissionDeniedReason {
			return err.Error() // The others would be refused alike, and this one again until a person helps: the next look is soon enough.
		}
		c.lookAgainAt(c.retryAt(err))
		logf.FromContext(ctx).Error(err, "The commit status could not be written", "commit", wanted.Commit, "environment", wanted.Environment)
	}
	return ""
}

// statusRests is until when what waits is left as GitHub has it: only its words have changed. A deploy goes through several
// sentences in a second, and GitHub takes about 80 contents a minute
// (https://docs.github.com/en/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits).
func (c *carrier) statusRests(wanted policy.CommitStatus) time.Time {
	status := c.statusOf(wanted)
	last, at, sent := c.observation.GitHub.StatusSent(wanted.Commit, status.Context)
	if !sent || last == status || last.State != github.StatusPending || status.State != github.StatusPending {
		return time.Time{}
	}
	return at.Add(statusRest)
}

// ensureStatus writes one commit status, unless GitHub has it already.
func (c *carrier) ensureStatus(ctx context.Context, wanted policy.CommitStatus) error {
	_, err := c.observation.GitHub.EnsureStatus(ctx, wanted.Commit, c.statusOf(wanted))
	return err
}

// statusOf is a commit status as GitHub gets it.
func (c *carrier) statusOf(wanted policy.CommitStatus) github.Status {
	return github.Status{
		Context:     render.CommitStatusContext(wanted.Environment),
		State:       github.StatusState(wanted.State),
		Description: render.CommitStatusDescription(wanted.Description),
		TargetURL:   c.environmentURL(wanted.Environment),
	}
}

// environmentURL is where people find the application in an environment, where the Environment says.
func (c *carrier) environmentURL(env v1alpha1.EnvironmentName) string {
	if c.state.Environments[env] == nil || c.state.Entry(env) == nil {
		return ""
	}
	return render.EnvironmentURL(c.Observer.Scope(c.observation, env, policy.Pinned(c.state, env)))
}
