// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

func onlyFrom(labels map[string]string) environmentOption {
	return func(e *v1alpha1.Environment) {
		e.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromSelector, Selector: &metav1.LabelSelector{MatchLabels: labels}}
	}
}

// peer is another Application of the repository that promotes into main.
func peer(name, created string) func(*State) {
	return func(s *State) {
		s.Peers = append(s.Peers, &v1alpha1.Application{
			ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: team, CreationTimestamp: *at(created)}, Spec: standard().Application.Spec,
		})
	}
}

func TestAccept(t *testing.T) {
	tests := map[string]struct {
		given *scene
		env   v1alpha1.EnvironmentName
		want  string
		// says is what the sentence must name, so that people know what to mend.
		says string
	}{
		"an entry":               {standard(), "develop", "accepted", ""},
		"with an upstream":       {standard(), "main", "accepted", ""},
		"that is not listed":     {standard().environment("staging"), "staging", v1alpha1.EnvironmentGoneReason, "does not list Environment staging"},
		"without an Environment": {standard().lists("prod"), "prod", v1alpha1.EnvironmentNotFoundReason, "write one that exists (develop, main)"},
		"with hundreds of them": {standard().do(func(s *State) {
			for i := range 200 {
				name := v1alpha1.EnvironmentName(fmt.Sprintf("a%03d", i))
				s.Environments[name] = &v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Name: string(name)}}
			}
		}).lists("prod"), "prod", v1alpha1.EnvironmentNotFoundReason, "(a000, a001, a002, a003, a004, a005, a006, a007 and 194 more)"},
		"with no Environment at all": {empty().lists("prod"), "prod", v1alpha1.EnvironmentNotFoundReason, "there is none yet"},
		"in a namespace that the selector does not match": {
			standard().with("main", onlyFrom(map[string]string{"tier": "prod"})), "main", v1alpha1.NamespaceNotAllowedReason, "tier=prod"},
		"in a namespace that the selector matches": {
			standard().with("main", onlyFrom(map[string]string{"tier": "prod"})).do(func(s *State) { s.NamespaceLabels = map[string]string{"tier": "prod"} }), "main", "accepted", ""},
		"after an Environment that does not exist": {standard().with("main", after("develop", "qa")), "main", v1alpha1.UpstreamNotFoundReason, "create Environment qa"},
		"in a circle":               {standard().with("develop", after("main")), "main", v1alpha1.CycleReason, "develop → main → develop"},
		"without its upstream":      {standard().environment("staging", after("qa")).environment("qa").lists("staging"), "staging", v1alpha1.UpstreamMissingReason, "add qa to spec.environments"},
		"an entry without a source": {empty().environment("develop").lists("develop"), "develop", v1alpha1.InvalidSourceReason, "set source.branch or source.release"},
		"an entry by pull request":  {empty().environment("develop").lists("develop", fromBranch("develop"), byPullRequest(v1alpha1.MergeAutomatic)), "develop", v1alpha1.InvalidSourceReason, "take pullRequest away"},
		"a range that is none":      {empty().environment("prod").lists("prod", fromReleases("one or so")), "prod", v1alpha1.InvalidSemverReason, `"one or so"`},
		"an entry that soaks":       {empty().environment("develop").lists("develop", fromBranch("develop"), adding(soaking(time.Hour))), "develop", v1alpha1.InvalidGateReason, "gate soak"},
		"a soak with an upstream":   {empty().environment("develop").lists("develop", fromBranch("develop")).environment("main", after("develop")).lists("main", adding(soaking(time.Hour))), "main", "accepted", ""},
		"a template that cannot be used": {standard().do(func(s *State) {
			s.Templates["main"] = Templates{Problem: &Problem{Reason: v1alpha1.UnknownVariableReason, Message: "${what}"}}
		}), "main", v1alpha1.UnknownVariableReason, "${what}"},
		"a version of a branch":       {standard().do(needing("develop", "version")), "develop", v1alpha1.VersionMissingReason, "${version} in environment develop, whose releases are commits of branch develop and have none: follow GitHub releases with source.release"},
		"a tag of a merge":            {standard().do(needing("main", "tag", "branch")), "main", v1alpha1.VersionMissingReason, "uses ${tag} in environment main, whose releases are commits of branch main"},
		"a version of what is pinned": {pinned().do(needing("main", "version")), "main", v1alpha1.VersionMissingReason, "commits of branch develop"},
		"upstream's source is forgotten": {
			empty().environment("develop").lists("develop").environment("main", after("develop")).lists("main").do(needing("main", "version")), "main", "accepted", ""},
		"a source that is forgotten":      {empty().environment("develop").lists("develop").do(needing("develop", "version")), "develop", v1alpha1.InvalidSourceReason, "source"},
		"a version of a pinned release":   {empty().environment("qa").lists("qa", fromReleases("")).environment("prod", after("qa")).lists("prod").do(needing("prod", "version", "tag")), "prod", "accepted", ""},
		"a branch of a release, perhaps":  {production().do(needing("production", "branch", "version")), "production", "accepted", ""},
		"a branch of a branch":            {standard().do(needing("main", "branch")), "main", "accepted", ""},
		"a second entry into the branch":  {standard().environment("qa", after("develop")).lists("qa", fromBranch("main"), byPullRequest(v1alpha1.MergeManual)), "qa", v1alpha1.PromotionBranchSharedReason, "environment main of this Application"},
		"the first entry into the branch": {standard().environment("qa", after("develop")).lists("qa", fromBranch("main"), byPullRequest(v1alpha1.MergeManual)), "main", "accepted", ""},
		"an older peer into the branch":   {standard().do(peer("api", "-48h")), "main", v1alpha1.PromotionBranchSharedReason, "Application team-a/api"},
		"a younger peer into the branch":  {standard().do(peer("api", "-1h")), "main", "accepted", ""},
		"a peer of the same age":          {standard().do(peer("api", "-24h")), "main", v1alpha1.PromotionBranchSharedReason, "Application team-a/api"},
		"a target that is missing": {standard().do(func(s *State) {
			s.Targets["main"] = &Problem{Reason: v1alpha1.TargetMissingReason, Message: "no ServiceAccount"}
		}), "main", v1alpha1.TargetMissingReason, "no ServiceAccount"},
		"a branch that does not exist":   {standard().do(func(s *State) { s.GitHub.Branches["main"] = Branch{} }), "main", v1alpha1.BranchNotFoundReason, "there is no branch main"},
		"a branch that nobody asked for": {standard(), "main", "accepted", ""},
		"of several, the most fundamental": {
			standard().with("main", onlyFrom(map[string]string{"tier": "prod"}), after("qa")), "main", v1alpha1.NamespaceNotAllowedReason, ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			problem := Accept(test.given.State, test.env)
			if got := briefProblem(problem); got != test.want {
				t.Fatalf("Accept is %s, want %s", got, test.want)
			}
			if problem != nil && !strings.Contains(problem.Message, test.says) {
				t.Errorf("%q does not say %q", problem.Message, test.says)
			}
		})
	}
}
