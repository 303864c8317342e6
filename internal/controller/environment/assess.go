// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package environment

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/policy"
)

// invalidSelectorReason : spec.allowedNamespaces.selector cannot be read. The API server does not check selectors of custom
// resources.
const invalidSelectorReason = "InvalidSelector"

// verdict says whether an Environment can be used, in a word and a sentence.
type verdict struct {
	reason, message string
	// stalled says that only a change of a spec can help.
	stalled bool
}

// usable says whether Applications can use the Environment.
func (v verdict) usable() bool { return v.reason == mainstemv1.AcceptedReason }

// check finds one thing that keeps an Environment from being used, or nothing (an empty reason). after has spec.after of every
// Environment by name.
type check func(environment *mainstemv1.Environment, after map[string][]string) verdict

// checks are asked in this order; the first that finds something is reported.
var checks = []check{circle, missingUpstream, invalidGate, invalidSelector}

// assess says whether an Environment can be used.
func assess(environment *mainstemv1.Environment, after map[string][]string) verdict {
	for _, ask := range checks {
		if found := ask(environment, after); found.reason != "" {
			return found
		}
	}
	return verdict{reason: mainstemv1.AcceptedReason, message: "Applications can use this Environment"}
}

// circle finds Environments that come after each other.
func circle(environment *mainstemv1.Environment, after map[string][]string) verdict {
	names := policy.Cycle(after, environment.Name)
	if names == nil {
		return verdict{}
	}
	return verdict{
		reason:  mainstemv1.CycleReason,
		message: fmt.Sprintf("no release can ever enter, because spec.after leads round in a circle, %s: take one of them out of spec.after", strings.Join(names, " → ")),
		stalled: true,
	}
}

// missingUpstream finds names in spec.after that no Environment has. It is not stalled: creating one mends it too.
func missingUpstream(environment *mainstemv1.Environment, after map[string][]string) verdict {
	var missing []string
	for _, name := range environment.Spec.After {
		if _, exists := after[string(name)]; !exists {
			missing = append(missing, string(name))
		}
	}
	if len(missing) == 0 {
		return verdict{}
	}
	names := strings.Join(missing, ", ")
	return verdict{
		reason:  mainstemv1.UpstreamNotFoundReason,
		message: fmt.Sprintf("spec.after names %s, and there is no such Environment: create it, or take %s out of spec.after", names, names),
	}
}

// invalidGate finds gates that CEL refuses today and that an older CRD may have let in.
func invalidGate(environment *mainstemv1.Environment, _ map[string][]string) verdict {
	for i := range environment.Spec.Gates {
		gate := &environment.Spec.Gates[i]
		kinds := 0
		for _, set := range []bool{gate.Checks != nil, gate.Soak != nil, gate.Approval != nil} {
			if set {
				kinds++
			}
		}
		message := ""
		switch {
		case kinds != 1:
			message = fmt.Sprintf("gate %s must be exactly one of checks, soak and approval: keep one of them, and write one gate for each of the others", gate.Name)
		case gate.Soak != nil && len(environment.Spec.After) == 0:
			message = fmt.Sprintf("gate %s soaks, which counts the time since a release was proven upstream, and there is no upstream: name one in spec.after, or take the gate away", gate.Name)
		default:
			continue
		}
		return verdict{reason: mainstemv1.InvalidGateReason, message: message, stalled: true}
	}
	return verdict{}
}

// invalidSelector finds a selector that cannot be read: it would silently match nothing.
func invalidSelector(environment *mainstemv1.Environment, _ map[string][]string) verdict {
	allowed := environment.Spec.AllowedNamespaces
	if allowed == nil || allowed.Selector == nil {
		return verdict{}
	}
	if _, err := metav1.LabelSelectorAsSelector(allowed.Selector); err != nil {
		return verdict{
			reason:  invalidSelectorReason,
			message: fmt.Sprintf("spec.allowedNamespaces.selector cannot be used, so no namespace is allowed: %v", err),
			stalled: true,
		}
	}
	return verdict{}
}
