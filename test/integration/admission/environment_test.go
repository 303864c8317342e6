// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package admission

import (
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// kubeConfigRule stands for the two rules that come with Flux's own type.
var kubeConfigRule = crdRule("environments", "spec.target.kubeConfig", "configMapRef or spec.kubeConfig.secretRef must be specified")

// environmentRefusals are the mistakes in an Environment.
var environmentRefusals = []refusal{
	{
		name:     "a name that is no label",
		rule:     crdRule("environments", "", "without dots"),
		as:       paula,
		refused:  creating(environment, func(e *v1alpha1.Environment) { e.Name += ".eu" }),
		accepted: creating(environment, func(e *v1alpha1.Environment) { e.Name += "-eu" }),
	},
	{
		name:     "a name that is too long for a label",
		rule:     crdRule("environments", "", "at most 63"),
		as:       paula,
		refused:  creating(environment, func(e *v1alpha1.Environment) { e.Name = repeat("n", 64) }),
		accepted: creating(environment, func(e *v1alpha1.Environment) { e.Name = repeat("n", 63) }),
	},
	{
		name: "an environment after itself",
		rule: crdRule("environments", "", "take its own name out of spec.after"),
		as:   paula,
		refused: creating(environment, func(e *v1alpha1.Environment) {
			e.Spec.After = []v1alpha1.EnvironmentName{"develop", v1alpha1.EnvironmentName(e.Name)}
		}),
		accepted: creating(environment, func(e *v1alpha1.Environment) { e.Spec.After = []v1alpha1.EnvironmentName{"develop"} }),
	},
	{
		name:    "soak without an upstream",
		rule:    crdRule("environments", "spec", "name one in spec.after, or take the soak gate away"),
		as:      paula,
		refused: creating(environment, func(e *v1alpha1.Environment) { e.Spec.Gates = []v1alpha1.Gate{soakGate("soak", "30m")} }),
		accepted: creating(environment, func(e *v1alpha1.Environment) {
			e.Spec.Gates = []v1alpha1.Gate{soakGate("soak", "30m")}
			e.Spec.After = []v1alpha1.EnvironmentName{"develop"}
		}),
	},
	{
		name: "upstream taken away from under a soak gate",
		rule: crdRule("environments", "spec", "has no upstream"),
		as:   paula,
		refused: updating(soaking, func(e *v1alpha1.Environment) {
			e.Spec.After = nil
		}),
		accepted: updating(soaking, func(e *v1alpha1.Environment) {
			e.Spec.After = nil
			e.Spec.Gates = nil
		}),
	},
	{
		name: "a selector that nothing uses",
		rule: crdRule("environments", "spec.allowedNamespaces", "set both, or neither"),
		as:   paula,
		refused: creating(environment, func(e *v1alpha1.Environment) {
			e.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{Selector: &metav1.LabelSelector{}}
		}),
		accepted: creating(environment, func(e *v1alpha1.Environment) {
			e.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromSelector, Selector: &metav1.LabelSelector{}}
		}),
	},
	{
		name: "no selector where one is needed",
		rule: crdRule("environments", "spec.allowedNamespaces", "set both, or neither"),
		as:   paula,
		refused: creating(environment, func(e *v1alpha1.Environment) {
			e.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromSelector}
		}),
		accepted: creating(environment, func(e *v1alpha1.Environment) {
			e.Spec.AllowedNamespaces = &v1alpha1.AllowedNamespaces{From: v1alpha1.NamespacesFromAll}
		}),
	},
	{
		name: "a gate of two kinds",
		rule: crdRule("environments", "spec.gates[]", "write one gate for each of the others"),
		as:   paula,
		refused: creating(environment, func(e *v1alpha1.Environment) {
			e.Spec.Gates = []v1alpha1.Gate{{Name: "both", Checks: &v1alpha1.ChecksGate{}, Approval: &v1alpha1.ApprovalGate{}}}
		}),
		accepted: creating(environment, func(e *v1alpha1.Environment) {
			e.Spec.Gates = []v1alpha1.Gate{
				{Name: "ci", Checks: &v1alpha1.ChecksGate{}},
				{Name: "sign-off", Approval: &v1alpha1.ApprovalGate{}},
			}
		}),
	},
	{
		name:    "a gate of no kind",
		rule:    crdRule("environments", "spec.gates[]", "exactly one of checks, soak and approval"),
		as:      paula,
		refused: creating(environment, func(e *v1alpha1.Environment) { e.Spec.Gates = []v1alpha1.Gate{{Name: "nothing"}} }),
		accepted: creating(environment, func(e *v1alpha1.Environment) {
			e.Spec.Gates = []v1alpha1.Gate{{Name: "something", Checks: &v1alpha1.ChecksGate{}}}
		}),
	},
	{
		name:     "a soak of nothing",
		rule:     crdRule("environments", "spec.gates[].soak.duration", "more than 0 and at most 720h"),
		as:       paula,
		refused:  updating(soaking, func(e *v1alpha1.Environment) { e.Spec.Gates[0] = soakGate("soak", "0s") }),
		accepted: updating(soaking, func(e *v1alpha1.Environment) { e.Spec.Gates[0] = soakGate("soak", "1s") }),
	},
	{
		name:     "a soak of more than a month",
		rule:     crdRule("environments", "spec.gates[].soak.duration", "more than 0 and at most 720h"),
		as:       paula,
		refused:  updating(soaking, func(e *v1alpha1.Environment) { e.Spec.Gates[0] = soakGate("soak", "721h") }),
		accepted: updating(soaking, func(e *v1alpha1.Environment) { e.Spec.Gates[0] = soakGate("soak", "720h") }),
	},
	{
		name:     "a deadline that nothing can keep",
		rule:     crdRule("environments", "spec.timeouts.deploy", "between 10s and 24h"),
		as:       paula,
		refused:  creating(environment, deployTimeout("9s")),
		accepted: creating(environment, deployTimeout("10s")),
	},
	{
		name:     "a deadline that never comes",
		rule:     crdRule("environments", "spec.timeouts.deploy", "between 10s and 24h"),
		as:       paula,
		refused:  creating(environment, deployTimeout("24h1s")),
		accepted: creating(environment, deployTimeout("24h")),
	},
	{
		name:     "a remote cluster that is not named",
		rule:     kubeConfigRule.beginning("has(self.configMapRef)"),
		as:       paula,
		refused:  creating(environment, kubeConfig(meta.KubeConfigReference{})),
		accepted: creating(environment, kubeConfig(meta.KubeConfigReference{SecretRef: &meta.SecretKeyReference{Name: "cluster"}})),
	},
	{
		name: "two remote clusters",
		rule: kubeConfigRule.beginning("!has(self.configMapRef)"),
		as:   paula,
		refused: creating(environment, kubeConfig(meta.KubeConfigReference{
			SecretRef:    &meta.SecretKeyReference{Name: "cluster"},
			ConfigMapRef: &meta.LocalObjectReference{Name: "cluster"},
		})),
		accepted: creating(environment, kubeConfig(meta.KubeConfigReference{ConfigMapRef: &meta.LocalObjectReference{Name: "cluster"}})),
	},
}

// soaking is an Environment with an upstream and a soak gate.
func soaking() *v1alpha1.Environment {
	e := environment()
	e.Spec.After = []v1alpha1.EnvironmentName{"develop"}
	e.Spec.Gates = []v1alpha1.Gate{soakGate("soak", "30m")}
	return e
}

func deployTimeout(text string) func(*v1alpha1.Environment) {
	return func(e *v1alpha1.Environment) { e.Spec.Timeouts = &v1alpha1.Timeouts{Deploy: duration(text)} }
}

func kubeConfig(reference meta.KubeConfigReference) func(*v1alpha1.Environment) {
	return func(e *v1alpha1.Environment) { e.Spec.Target.KubeConfig = &reference }
}
