// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// acceptanceChecks say why an entry cannot be used, most fundamental first. Each returns nil where it has no objection.
var acceptanceChecks = []func(*State, *v1alpha1.ApplicationEnvironment) *Problem{
	environmentExists,
	namespaceAllowed,
	upstreamsExist,
	noCycle,
	upstreamsListed,
	sourceFits,
	gatesFit,
	templatesUsable,
	variablesOffered,
	promotionBranchFree,
	targetPresent,
	branchExists,
}

// Accept says why an Application's entry cannot be used in its environment, or nil where it can. Nothing that runs is touched
// because of it; nothing new enters.
func Accept(s *State, env v1alpha1.EnvironmentName) *Problem {
	entry := s.entry(env)
	if entry == nil {
		return &Problem{Reason: v1alpha1.EnvironmentGoneReason, Message: fmt.Sprintf("the Application does not list Environment %s", env)}
	}
	for _, check := range acceptanceChecks {
		if problem := check(s, entry); problem != nil {
			return problem
		}
	}
	return nil
}

func environmentExists(s *State, entry *v1alpha1.ApplicationEnvironment) *Problem {
	if s.Environments[entry.Name] != nil {
		return nil
	}
	known := make([]string, 0, len(s.Environments))
	for name := range s.Environments {
		known = append(known, string(name))
	}
	return &Problem{Reason: v1alpha1.EnvironmentNotFoundReason, Message: fmt.Sprintf(
		"there is no Environment %s: create it, or write one that exists (%s)", entry.Name, cmp.Or(list(known), "there is none yet"))}
}

func namespaceAllowed(s *State, entry *v1alpha1.ApplicationEnvironment) *Problem {
	allowed := s.Environments[entry.Name].Spec.AllowedNamespaces
	if allowed == nil || allowed.From != v1alpha1.NamespacesFromSelector {
		return nil
	}
	selector, err := metav1.LabelSelectorAsSelector(allowed.Selector)
	if err == nil && selector.Matches(labels.Set(s.NamespaceLabels)) {
		return nil
	}
	return &Problem{Reason: v1alpha1.NamespaceNotAllowedReason, Message: fmt.Sprintf(
		"Environment %s does not allow namespace %s: ask its owner to label the namespace so that %s matches, or to change spec.allowedNamespaces",
		entry.Name, s.Application.Namespace, metav1.FormatLabelSelector(allowed.Selector))}
}

func upstreamsExist(s *State, entry *v1alpha1.ApplicationEnvironment) *Problem {
	for _, up := range s.upstreams(entry.Name) {
		if s.Environments[up] == nil {
			return &Problem{Reason: v1alpha1.UpstreamNotFoundReason, Message: fmt.Sprintf(
				"Environment %s comes after %s, which does not exist: create Environment %s, or take it out of spec.after of %s", entry.Name, up, up, entry.Name)}
		}
	}
	return nil
}

func noCycle(s *State, entry *v1alpha1.ApplicationEnvironment) *Problem {
	cycle := Cycle(afterOf(s.Environments), string(entry.Name))
	if len(cycle) == 0 {
		return nil
	}
	return &Problem{Reason: v1alpha1.CycleReason, Message: fmt.Sprintf(
		"the Environments lead round in a circle: %s; take one of them out of another's spec.after", strings.Join(cycle, " → "))}
}

func afterOf(environments map[v1alpha1.EnvironmentName]*v1alpha1.Environment) map[string][]string {
	after := make(map[string][]string, len(environments))
	for name, e := range environments {
		for _, up := range e.Spec.After {
			after[string(name)] = append(after[string(name)], string(up))
		}
	}
	return after
}

func upstreamsListed(s *State, entry *v1alpha1.ApplicationEnvironment) *Problem {
	for _, up := range s.upstreams(entry.Name) {
		if s.entry(up) == nil {
			return &Problem{Reason: v1alpha1.UpstreamMissingReason, Message: fmt.Sprintf(
				"Environment %s comes after %s, which the Application does not list: add %s to spec.environments, or take %s out", entry.Name, up, up, entry.Name)}
		}
	}
	return nil
}

func sourceFits(s *State, entry *v1alpha1.ApplicationEnvironment) *Problem {
	isEntry := len(s.upstreams(entry.Name)) == 0
	if isEntry && entry.Source == nil {
		return &Problem{Reason: v1alpha1.InvalidSourceReason, Message: fmt.Sprintf(
			"Environment %s has no upstream, so its releases must come from GitHub: set source.branch or source.release", entry.Name)}
	}
	if isEntry && entry.PullRequest != nil {
		return &Problem{Reason: v1alpha1.InvalidSourceReason, Message: fmt.Sprintf(
			"Environment %s has no upstream from which a pull request could come: take pullRequest away, or set spec.after of the Environment", entry.Name)}
	}
	if entry.Source != nil && entry.Source.Release != nil {
		if _, err := versionRange(entry.Source.Release); err != nil {
			return &Problem{Reason: v1alpha1.InvalidSemverReason, Message: fmt.Sprintf(
				"source.release.semver %q is not a range (%v): write one such as \">=1.0.0 <2.0.0\"", entry.Source.Release.Semver, err)}
		}
	}
	return nil
}

// versionRange parses the range of a release source. With prereleases, versions such as 1.2.0-rc.1 are in it too.
func versionRange(source *v1alpha1.ReleaseSource) (*semver.Constraints, error) {
	constraints, err := semver.NewConstraint(cmp.Or(source.Semver, "*"))
	if err != nil {
		return nil, err
	}
	constraints.IncludePrerelease = source.Prereleases
	return constraints, nil
}

func gatesFit(s *State, entry *v1alpha1.ApplicationEnvironment) *Problem {
	if len(s.upstreams(entry.Name)) > 0 {
		return nil
	}
	for _, gate := range entry.Gates {
		if gate.Soak != nil {
			return &Problem{Reason: v1alpha1.InvalidGateReason, Message: fmt.Sprintf(
				"gate %s soaks, which counts the time since a release was proven upstream, and Environment %s has no upstream: take the gate away", gate.Name, entry.Name)}
		}
	}
	return nil
}

func templatesUsable(s *State, entry *v1alpha1.ApplicationEnvironment) *Problem {
	return s.Templates[entry.Name].Problem
}

// promotionBranchFree lets only one entry promote through pull requests into one branch of a repository: the first that the
// Application lists, and of several Applications the oldest.
func promotionBranchFree(s *State, entry *v1alpha1.ApplicationEnvironment) *Problem {
	if entry.PullRequest == nil {
		return nil
	}
	for i := range s.Application.Spec.Environments {
		other := &s.Application.Spec.Environments[i]
		if other.Name == entry.Name {
			break
		}
		if other.PullRequest != nil && other.Source.Branch == entry.Source.Branch {
			return sharedBranch(entry.Source.Branch, fmt.Sprintf("environment %s of this Application", other.Name))
		}
	}
	for _, peer := range s.Peers {
		if promotesInto(peer, entry.Source.Branch) && Older(peer, s.Application) {
			return sharedBranch(entry.Source.Branch, fmt.Sprintf("Application %s/%s", peer.Namespace, peer.Name))
		}
	}
	return nil
}

func sharedBranch(branch, holder string) *Problem {
	return &Problem{Reason: v1alpha1.PromotionBranchSharedReason, Message: fmt.Sprintf(
		"%s already promotes into branch %s of this repository through pull requests: use another branch, or deploy the proven commit itself by leaving source and pullRequest away", holder, branch)}
}

func promotesInto(app *v1alpha1.Application, branch string) bool {
	return slices.ContainsFunc(app.Spec.Environments, func(e v1alpha1.ApplicationEnvironment) bool {
		return e.PullRequest != nil && e.Source != nil && e.Source.Branch == branch
	})
}

// Older says which of two Applications was there first: it has the better right to what only one can have.
func Older(a, b *v1alpha1.Application) bool {
	return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name)) < 0
}

func targetPresent(s *State, entry *v1alpha1.ApplicationEnvironment) *Problem {
	return s.Targets[entry.Name]
}

func branchExists(s *State, entry *v1alpha1.ApplicationEnvironment) *Problem {
	if entry.Source == nil || entry.Source.Branch == "" {
		return nil
	}
	if branch, observed := s.GitHub.Branches[entry.Source.Branch]; observed && !branch.Found {
		return &Problem{Reason: v1alpha1.BranchNotFoundReason, Message: fmt.Sprintf(
			"there is no branch %s in %s: push it, or correct source.branch of environment %s", entry.Source.Branch, s.Application.Spec.Repository.URL, entry.Name)}
	}
	return nil
}
