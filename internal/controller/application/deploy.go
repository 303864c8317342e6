// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package application

import (
	"context"
	"fmt"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/apply"
	"github.com/mainstem-dev/mainstem/internal/observe"
	"github.com/mainstem-dev/mainstem/internal/policy"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// conflictRetry is when what was refused is tried again: nobody tells when what stands in the way goes.
const conflictRetry = time.Minute

// deploy makes Flux run what is pinned: first the source, and once that is at the commit, one write that flips the Kustomization.
// An environment that is not accepted is left as it is.
func (c *carrier) deploy(ctx context.Context) error {
	c.Observer.Refresh(c.observation)
	for i := range c.state.Application.Spec.Environments {
		env := c.state.Application.Spec.Environments[i].Name
		pinned := policy.Pinned(c.state, env)
		if pinned == nil || !c.tends(env) {
			continue
		}
		if err := c.deployTo(ctx, env, pinned); err != nil {
			return err
		}
	}
	return nil
}

// tends says that an environment is kept as declared. One that is not accepted is left as it is, except where what it applies is
// somebody else's too: a change of spec.deploy is what mends that.
func (c *carrier) tends(env v1alpha1.EnvironmentName) bool {
	problem := policy.Accept(c.state, env)
	return problem == nil || (problem.Reason == v1alpha1.TargetConflictReason && c.observation.Kustomizations[env] != nil)
}

func (c *carrier) deployTo(ctx context.Context, env v1alpha1.EnvironmentName, release *v1alpha1.Release) error {
	scope := c.Observer.Scope(c.observation, env, release)
	scope.Promotion = c.deployedBy(env)
	source := render.Source(scope)
	live := c.observation.Sources[source.Name]
	fetched := live != nil && observe.ReportedSource(live).Commit == release.Spec.Commit
	source.Spec.Suspend = fetched && policy.LostItsPin(c.state, release)
	if policy.Unfetchable(c.state) {
		// A source that is made now could not be fetched, or from the wrong place. What exists stays as it is.
		if live == nil {
			return nil
		}
	} else if _, err := c.Applier.Apply(ctx, source); err != nil {
		return c.refusedApply(env, err)
	}
	if !fetched {
		return nil // Flux's report about the source brings the next reconciliation.
	}
	if c.keepsWhatRuns(env, release) {
		return nil
	}
	kustomization, err := render.Kustomization(scope)
	if err != nil {
		c.problem(env, v1alpha1.DeployInvalidReason, fmt.Sprintf("Release %s cannot be deployed as declared: %v", release.Name, err))
		return nil
	}
	_, err = c.Applier.Apply(ctx, kustomization)
	return c.refusedApply(env, err)
}

// keepsWhatRuns says that what Flux runs stays as it is. Another release goes in only by a Promotion that is deploying it: where
// the record of the newest one was deleted, an older one must not come back by that. And under a Hold not even a change of
// spec.deploy goes in.
func (c *carrier) keepsWhatRuns(env v1alpha1.EnvironmentName, release *v1alpha1.Release) bool {
	live := c.observation.Kustomizations[env]
	switch {
	case live == nil:
		return false
	case c.state.Flux[env].Release != release.Name:
		return policy.Deployed(c.state, env).Status.Phase != v1alpha1.PromotionDeploying
	}
	told := live.Annotations[v1alpha1.PromotionAnnotation] == c.deployedBy(env)
	return told && len(policy.Holding(c.state, env)) > 0
}

// deployedBy names the Promotion that tells Flux to run what is pinned: the one that is deploying, or the one that did before. Where
// the record of that was deleted, an older one of the same release is no reason to write.
func (c *carrier) deployedBy(env v1alpha1.EnvironmentName) string {
	told := policy.Deployed(c.state, env)
	if live := c.observation.Kustomizations[env]; live != nil && told.Status.Phase != v1alpha1.PromotionDeploying {
		return live.Annotations[v1alpha1.PromotionAnnotation]
	}
	return told.Name
}

// refusedApply tells people why an object could not be written: one that stands where Mainstem's is to be, which is left alone, or
// what the API server does not let in, by a policy or a quota for instance. The other environments go on. Other errors are returned.
func (c *carrier) refusedApply(env v1alpha1.EnvironmentName, err error) error {
	switch {
	case err == nil:
		return nil
	case apply.IsNotOurs(err):
		c.problem(env, v1alpha1.TargetConflictReason, err.Error())
	case apierrors.IsInvalid(err), apierrors.IsForbidden(err):
		c.problem(env, v1alpha1.DeployInvalidReason, "the cluster refuses it: "+err.Error())
	default:
		return err
	}
	c.lookAgainAt(c.state.Now.Add(conflictRetry))
	return nil
}

// problem makes an environment not accepted, for a reason that showed only in deploying to it.
func (c *carrier) problem(env v1alpha1.EnvironmentName, reason, message string) {
	if c.state.Targets == nil {
		c.state.Targets = map[v1alpha1.EnvironmentName]*policy.Problem{}
	}
	c.state.Targets[env] = &policy.Problem{Reason: reason, Message: message}
}
