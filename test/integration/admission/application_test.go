// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package admission

import (
	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

const branchPath = "spec.environments[].source.branch"

// applicationRefusals are the mistakes in an Application.
var applicationRefusals = []refusal{
	{
		name:     "a name that is no label",
		rule:     crdRule("applications", "", "without dots"),
		as:       tess,
		refused:  creating(application, func(a *v1alpha1.Application) { a.Name += ".v2" }),
		accepted: creating(application, func(a *v1alpha1.Application) { a.Name += "-v2" }),
	},
	{
		name:     "a name that is too long for a label",
		rule:     crdRule("applications", "", "at most 63"),
		as:       tess,
		refused:  creating(application, func(a *v1alpha1.Application) { a.Name = repeat("n", 64) }),
		accepted: creating(application, func(a *v1alpha1.Application) { a.Name = repeat("n", 63) }),
	},
	{
		name:     "no way to deploy",
		rule:     crdRule("applications", "spec.deploy", "set deploy.kustomize"),
		as:       tess,
		refused:  creating(application, func(a *v1alpha1.Application) { a.Spec.Deploy = v1alpha1.Deploy{} }),
		accepted: creating(application),
	},
	{
		name:     "no way to deploy in one environment",
		rule:     crdRule("applications", "spec.environments[].deploy", "set deploy.kustomize"),
		as:       tess,
		refused:  creating(application, entry(func(e *v1alpha1.ApplicationEnvironment) { e.Deploy = &v1alpha1.Deploy{} })),
		accepted: creating(application, entry(func(e *v1alpha1.ApplicationEnvironment) { e.Deploy = nil })),
	},
	{
		name: "a pull request without a source",
		rule: crdRule("applications", "spec.environments[]", "set source.branch, or take pullRequest away"),
		as:   tess,
		refused: creating(application, entry(func(e *v1alpha1.ApplicationEnvironment) {
			e.PullRequest = &v1alpha1.PullRequestPolicy{}
		})),
		accepted: creating(application, entry(func(e *v1alpha1.ApplicationEnvironment) {
			e.PullRequest = &v1alpha1.PullRequestPolicy{}
			e.Source = &v1alpha1.Source{Branch: "main"}
		})),
	},
	{
		name: "a pull request into releases",
		rule: crdRule("applications", "spec.environments[]", "a pull request needs a branch"),
		as:   tess,
		refused: creating(application, entry(func(e *v1alpha1.ApplicationEnvironment) {
			e.PullRequest = &v1alpha1.PullRequestPolicy{}
			e.Source = &v1alpha1.Source{Release: &v1alpha1.ReleaseSource{}}
		})),
		accepted: creating(application, entry(func(e *v1alpha1.ApplicationEnvironment) {
			e.Source = &v1alpha1.Source{Release: &v1alpha1.ReleaseSource{}}
		})),
	},
	{
		name: "a source of two kinds",
		rule: crdRule("applications", "spec.environments[].source", "exactly one of branch and release"),
		as:   tess,
		refused: creating(application, entry(func(e *v1alpha1.ApplicationEnvironment) {
			e.Source = &v1alpha1.Source{Branch: "main", Release: &v1alpha1.ReleaseSource{}}
		})),
		accepted: creating(application, branch("main")),
	},
	{
		name:     "a source of no kind",
		rule:     crdRule("applications", "spec.environments[].source", "exactly one of branch and release"),
		as:       tess,
		refused:  creating(application, entry(func(e *v1alpha1.ApplicationEnvironment) { e.Source = &v1alpha1.Source{} })),
		accepted: creating(application, entry(func(e *v1alpha1.ApplicationEnvironment) { e.Source = nil })),
	},
	invalidBranch("refs/heads/main"),
	invalidBranch("/main"),
	invalidBranch("main/"),
	invalidBranch("-main"),
	invalidBranch("main."),
	invalidBranch("main.lock"),
	invalidBranch("ma..in"),
	invalidBranch("team//main"),
	invalidBranch("main@{1}"),
	{
		name: "a gate of two kinds",
		rule: crdRule("applications", "spec.environments[].gates[]", "write one gate for each of the others"),
		as:   tess,
		refused: creating(application, gates(
			v1alpha1.Gate{Name: "both", Checks: &v1alpha1.ChecksGate{}, Approval: &v1alpha1.ApprovalGate{}},
		)),
		accepted: creating(application, gates(
			v1alpha1.Gate{Name: "ci", Checks: &v1alpha1.ChecksGate{}},
			v1alpha1.Gate{Name: "sign-off", Approval: &v1alpha1.ApprovalGate{}},
		)),
	},
	{
		name:     "a soak of nothing",
		rule:     crdRule("applications", "spec.environments[].gates[].soak.duration", "more than 0 and at most 720h"),
		as:       tess,
		refused:  creating(application, gates(soakGate("soak", "0s"))),
		accepted: creating(application, gates(soakGate("soak", "1ms"))),
	},
	{
		name:     "asking without a pause",
		rule:     crdRule("applications", "spec.repository.interval", "between 1s and 24h"),
		as:       tess,
		refused:  creating(application, interval("999ms")),
		accepted: creating(application, interval("1s")),
	},
	{
		name:     "asking less than once a day",
		rule:     crdRule("applications", "spec.repository.interval", "between 1s and 24h"),
		as:       tess,
		refused:  creating(application, interval("25h")),
		accepted: creating(application, interval("24h")),
	},
}

// invalidBranch is a name that git check-ref-format refuses, or that is more than a branch's name. A branch such as
// feature/x.y_z@2 is accepted.
func invalidBranch(name string) refusal {
	return refusal{
		name:     "a branch called " + name,
		rule:     crdRule("applications", branchPath, "without refs/heads/"),
		as:       tess,
		refused:  creating(application, branch(name)),
		accepted: creating(application, branch("feature/x.y_z@2")),
	}
}

// entry edits the Application's entry for its first environment.
func entry(edit func(*v1alpha1.ApplicationEnvironment)) func(*v1alpha1.Application) {
	return func(a *v1alpha1.Application) { edit(&a.Spec.Environments[0]) }
}

func branch(name string) func(*v1alpha1.Application) {
	return entry(func(e *v1alpha1.ApplicationEnvironment) { e.Source = &v1alpha1.Source{Branch: name} })
}

func gates(gates ...v1alpha1.Gate) func(*v1alpha1.Application) {
	return entry(func(e *v1alpha1.ApplicationEnvironment) { e.Gates = gates })
}

func interval(text string) func(*v1alpha1.Application) {
	return func(a *v1alpha1.Application) { a.Spec.Repository.Interval = duration(text) }
}
