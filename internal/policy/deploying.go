// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// defaultDeployTimeout is how long a deploy may take where the Environment does not say.
const defaultDeployTimeout = 10 * time.Minute

// deploying waits for Flux, which says healthy, failed, or nothing until the deadline.
func deploying(s *State, p *v1alpha1.Promotion) Step {
	env := p.Spec.Environment
	release := s.release(p.Status.DeployedRelease)
	step := Step{Phase: v1alpha1.PromotionDeploying, Reason: v1alpha1.DeployingReason, Message: p.Status.Message}
	if release == nil || p.Status.DeployStartedAt == nil {
		step.Phase, step.Reason = v1alpha1.PromotionFailed, v1alpha1.ReleaseNotFoundReason
		step.Message = fmt.Sprintf("Release %s is gone: promote another one", p.Status.DeployedRelease)
		return step
	}
	flux, commit, since := s.Flux[env], release.Spec.Commit, p.Status.DeployStartedAt.Time
	deadline := since.Add(deployTimeout(s.Environments[env]))
	switch {
	case flux.healthyAt(commit) && flux.Release == release.Name:
		step.Phase, step.Reason = v1alpha1.PromotionSucceeded, v1alpha1.SucceededReason
		step.Message = fmt.Sprintf("%s is applied and healthy", release.Name)
	case flux.Release == release.Name && flux.failedFor(p, commit):
		step.Phase, step.Reason = v1alpha1.PromotionFailed, v1alpha1.FluxFailedReason
		step.Message = cut(fmt.Sprintf("Flux failed at %s: %s: %s", release.Name, flux.Reason, flux.Message), 1024)
	case unreachable(s, release) != nil:
		problem := unreachable(s, release)
		return cancel(problem.Reason, problem.Message)
	case !s.Now.Before(deadline):
		step.Phase, step.Reason = v1alpha1.PromotionFailed, v1alpha1.DeadlineExceededReason
		step.Message = cut(fmt.Sprintf("%s was not healthy by %s; Flux said last: %s", release.Name, instant(deadline), lastWords(s, env, commit)), 1024)
	default:
		if back := rollbackOf(s, p); back != nil {
			return superseded(back.Spec.Release, back.Name)
		}
		if next := overtakesDeploy(s, p); next != nil {
			return superseded(next.Name, "")
		}
		step.Message = cut(fmt.Sprintf("deploying %s: %s", release.Name, progress(s, p, commit)), 1024)
		step.RecheckAt = deadline
	}
	return step
}

func deployTimeout(environment *v1alpha1.Environment) time.Duration {
	if environment == nil || environment.Spec.Timeouts == nil || environment.Spec.Timeouts.Deploy == nil {
		return defaultDeployTimeout
	}
	return environment.Spec.Timeouts.Deploy.Duration
}

// fetching is where a deploy is until its source is at the commit, and fluxSays begins what Flux says from then on.
const (
	fetching = "fetching the source"
	fluxSays = "Flux says: "
)

// progress says where a deploy is, in words that do not change while nothing happens: what Flux said last stands while it looks again.
func progress(s *State, p *v1alpha1.Promotion, commit string) string {
	env := p.Spec.Environment
	source, flux := s.Sources[env], s.Flux[env]
	_, said, _ := strings.Cut(p.Status.Message, fluxSays)
	switch {
	case source.Commit == "" && source.Message != "":
		return fetching + ": " + source.Message
	case source.Commit != commit:
		return fetching
	case flux.Release == p.Status.DeployedRelease && flux.waits() && flux.Message != "":
		return fluxSays + flux.Message + mendPath(flux.Message)
	case flux.Release == p.Status.DeployedRelease && flux.Ready == string(metav1.ConditionUnknown) && said != "":
		return fluxSays + said
	}
	return "waiting for Flux to apply it and for its health"
}

// mendPath says how to mend a directory that the release does not have. Flux has no reason of its own for it, and tries again: as soon
// as deploy.kustomize.path is corrected, the deploy goes on.
func mendPath(message string) string {
	if strings.HasPrefix(message, "kustomization path not found") {
		return ": correct deploy.kustomize.path, or push the directory"
	}
	return ""
}

func lastWords(s *State, env v1alpha1.EnvironmentName, commit string) string {
	flux, source := s.Flux[env], s.Sources[env]
	switch {
	case source.Commit != commit:
		return cmp.Or(source.Message, "the source is not fetched yet")
	case source.Commit == commit && flux.Attempted != commit:
		return cmp.Or(flux.Message, "nothing about this release") + mendPath(flux.Message)
	}
	return cmp.Or(flux.Message, "nothing")
}

// rollbackOf returns the rollback that waits for a deploy to end, or nil. Nobody who wants to go back waits for a deadline first.
func rollbackOf(s *State, p *v1alpha1.Promotion) *v1alpha1.Promotion {
	env := p.Spec.Environment
	if s.Application.Spec.Suspend || Accept(s, env) != nil {
		return nil
	}
	for _, back := range slices.Backward(s.promotionsInto(env)) {
		target := s.release(back.Spec.Release)
		if back.Name == p.Name || !back.Spec.Rollback || phase(back).Terminal() || target == nil || unreachable(s, target) != nil {
			continue
		}
		if passed(gates(s, entrance{env: env, candidate: target, deployed: target, promotion: back})) {
			return back
		}
	}
	return nil
}

// overtakesDeploy returns the newer candidate that takes the place of a deploy without a pull request. Only every second one can
// be overtaken: under commits that arrive faster than deploys end, none would ever be proven otherwise.
func overtakesDeploy(s *State, p *v1alpha1.Promotion) *v1alpha1.Release {
	entry := s.entry(p.Spec.Environment)
	if entry == nil || routeOf(entry) == routePullRequest || p.Spec.Rollback || s.byHand(p) || standstill(s, p.Spec.Environment) != nil {
		return nil
	}
	var before *v1alpha1.Promotion
	for _, other := range s.promotionsInto(p.Spec.Environment) {
		started := other.Status.DeployStartedAt
		if other.Name != p.Name && started != nil && !p.Status.DeployStartedAt.Before(started) && (before == nil || before.Status.DeployStartedAt.Before(started)) {
			before = other
		}
	}
	if before != nil && phase(before) == v1alpha1.PromotionSuperseded {
		return nil
	}
	release, next := s.release(p.Spec.Release), newestEligible(s, p.Spec.Environment)
	if release == nil || next == nil || next.Name == release.Name || !takesOver(s, entry, next, release) {
		return nil
	}
	if !passed(gates(s, entrance{env: p.Spec.Environment, candidate: next})) {
		return nil
	}
	return next
}
