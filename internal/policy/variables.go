// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// Variables that not every Release has.
const (
	variableTag     = "tag"
	variableVersion = "version"
	variableBranch  = "branch"
)

// variablesOffered keeps an entry out whose templates use what no release of its source ever has.
func variablesOffered(s *State, entry *v1alpha1.ApplicationEnvironment) *Problem {
	needs := s.Templates[entry.Name].Needs
	if len(needs) == 0 {
		return nil
	}
	offered, from := offers(s, entry)
	lacking := slices.DeleteFunc(slices.Clone(needs), func(variable string) bool { return slices.Contains(offered, variable) })
	if len(lacking) == 0 {
		return nil
	}
	return &Problem{Reason: v1alpha1.VersionMissingReason, Message: fmt.Sprintf(
		"deploy uses %s in environment %s, whose releases %s and have none: %s", spelled(lacking), entry.Name, from, mendVariables(lacking))}
}

// offers are the variables that releases of an entry's source have, at least some of them, and where they come from. What is pinned
// has what it had upstream. What a pull request merges is deployed as the merge's commit, which has no tag.
func offers(s *State, entry *v1alpha1.ApplicationEnvironment) (variables []string, from string) {
	switch routeOf(entry) {
	case routeRelease:
		return []string{variableTag, variableVersion, variableBranch}, "are published on GitHub"
	case routePinned:
		if ups := s.upstreams(entry.Name); len(ups) > 0 && s.entry(ups[0]) != nil {
			return offers(s, s.entry(ups[0]))
		}
		// An entry whose source was forgotten, which is told there: what it will offer is not known.
		return []string{variableTag, variableVersion, variableBranch}, "come from upstream"
	case routeBranch, routePullRequest:
	}
	return []string{variableBranch}, "are commits of branch " + entry.Source.Branch
}

// lacks are the variables that an entry's templates use and that a Release does not have.
func lacks(s *State, entry *v1alpha1.ApplicationEnvironment, r *v1alpha1.Release) []string {
	has := map[string]bool{variableTag: r.Spec.Tag != "", variableVersion: r.Spec.Version != "", variableBranch: r.Spec.Branch != ""}
	if routeOf(entry) == routePullRequest && r.Spec.Branch != entry.Source.Branch {
		has = map[string]bool{variableBranch: true}
	}
	return slices.DeleteFunc(slices.Clone(s.Templates[entry.Name].Needs), func(variable string) bool { return has[variable] })
}

// hasVariables keeps a Release out that lacks what a template uses.
func hasVariables(s *State, entry *v1alpha1.ApplicationEnvironment, r *v1alpha1.Release) (reason, message string) {
	lacking := lacks(s, entry, r)
	if len(lacking) == 0 {
		return "", ""
	}
	return ReasonVersionMissing, fmt.Sprintf("deploy uses %s, which %s does not have: %s", spelled(lacking), r.Name, mendVariables(lacking))
}

// nextLacks says what the release that comes next in an environment lacks, or nothing.
func nextLacks(s *State, entry *v1alpha1.ApplicationEnvironment) *Problem {
	if len(s.Templates[entry.Name].Needs) == 0 {
		return nil
	}
	var next *v1alpha1.Release
	if active := Active(s, entry.Name); active != nil {
		next = s.release(active.Spec.Release)
	} else if newest, exists := newestCandidate(s, entry.Name); exists && newest.Reason == ReasonVersionMissing {
		next = newest.Release
	}
	if next == nil {
		return nil
	}
	if reason, message := hasVariables(s, entry, next); reason != "" {
		return &Problem{Reason: reason, Message: message}
	}
	return nil
}

func mendVariables(lacking []string) string {
	if slices.Equal(lacking, []string{variableBranch}) {
		return "push it to a branch that the Application follows, or use ${tag}"
	}
	return "follow GitHub releases with source.release, or use ${shortCommit}"
}

// spelled writes variables as templates do.
func spelled(variables []string) string {
	words := make([]string, 0, len(variables))
	for _, variable := range variables {
		words = append(words, "${"+variable+"}")
	}
	return strings.Join(words, ", ")
}
