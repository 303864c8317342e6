// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"encoding/json"
	"fmt"
	"strings"
)

// What was decided, in few words.

func briefProblem(p *Problem) string {
	if p == nil {
		return "accepted"
	}
	return p.Reason
}

func briefCandidates(candidates []Candidate) string {
	words := make([]string, 0, len(candidates))
	for _, c := range candidates {
		if c.Eligible() {
			words = append(words, c.Release.Name)
		} else {
			words = append(words, c.Release.Name+" "+c.Reason)
		}
	}
	return strings.Join(words, ", ")
}

func briefGate(g GateResult) string {
	if g.Passed() {
		return string(g.Outcome) + " " + g.Reason
	}
	words := fmt.Sprintf("%s %s", g.Outcome, g.Reason)
	if !g.RecheckAt.IsZero() {
		words += " until " + g.RecheckAt.Format("15:04:05")
	}
	return words
}

func briefDecision(d Decision) string {
	words := string(d.Action)
	if d.Reason != "" {
		words += " " + d.Reason
	}
	if d.Release != nil {
		words += " " + d.Release.Name
	}
	if d.Action == ActionStart {
		words += fmt.Sprintf(" attempt %d", d.Attempt)
	}
	return words
}

func briefStep(step Step) string {
	words := fmt.Sprintf("%s %s", step.Phase, step.Reason)
	if step.Stalled {
		words += " stalled"
	}
	if step.Effect != EffectNone {
		words += " +" + string(step.Effect)
	}
	if step.Deploy != nil {
		words += " " + step.Deploy.Name
		if step.Proof != "" {
			words += " by " + step.Proof
		}
	}
	return words
}

// marshal is a value byte for byte, as the API server would store it.
func marshal(value any) string {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		panic(err)
	}
	return string(text)
}
