// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"cmp"
	"fmt"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// approval counts the people who have said yes to a Promotion.
func approval(s *State, e entrance, gate *v1alpha1.ApprovalGate) GateResult {
	required := max(int(gate.Required), 1)
	if e.promotion == nil {
		return GateResult{Outcome: v1alpha1.GateWaiting, Reason: "NoPromotion", Brief: fmt.Sprintf("approval (0 of %d)", required),
			Message: "people can approve once there is a Promotion"}
	}
	distinct := gate.Distinct == nil || *gate.Distinct
	var approvers []string
	own := ""
	for approver, decision := range s.approvalsOf(e.promotion) {
		switch {
		case decision.Spec.Decision != v1alpha1.DecisionApprove:
		case distinct && approver == e.promotion.Spec.RequestedBy:
			own = fmt.Sprintf("; that of %s does not count, who asked for the promotion", approver)
		default:
			approvers = append(approvers, approver)
		}
	}
	slices.Sort(approvers)
	if len(approvers) >= required {
		return GateResult{Outcome: v1alpha1.GatePassed, Reason: "Approved", Message: "approved by " + list(approvers)}
	}
	return GateResult{Outcome: v1alpha1.GateWaiting, Reason: "ApprovalsMissing", Brief: fmt.Sprintf("approval (%d of %d)", len(approvers), required),
		Message: fmt.Sprintf("approved by %d of %d: create an Approval for Promotion %s", len(approvers), required, e.promotion.Name) + own + strays(s, e.promotion)}
}

// strays tells of Approvals that name a Promotion and are not about it, or nothing. Admission cannot see the Promotion.
func strays(s *State, p *v1alpha1.Promotion) string {
	var names []string
	for _, a := range s.Approvals {
		if a.Spec.Promotion == p.Name && (a.Spec.PromotionUID != string(p.UID) || a.Spec.Environment != p.Spec.Environment) {
			names = append(names, a.Name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return fmt.Sprintf("; Approval %s does not count: write promotionUID %s and environment %s", list(names), p.UID, p.Spec.Environment)
}

// approvalsOf are the approvals that count for a promotion: the newest of each approver, by approver. Of a yes and a no in one second
// the no counts.
func (s *State) approvalsOf(p *v1alpha1.Promotion) map[string]*v1alpha1.Approval {
	newest := map[string]*v1alpha1.Approval{}
	for _, a := range s.Approvals {
		if a.Spec.Promotion != p.Name || types.UID(a.Spec.PromotionUID) != p.UID || a.Spec.Environment != p.Spec.Environment {
			continue
		}
		old := newest[a.Spec.Approver]
		if old == nil || cmp.Or(a.CreationTimestamp.Compare(old.CreationTimestamp.Time), cmp.Compare(weight(a), weight(old)), cmp.Compare(a.Name, old.Name)) > 0 {
			newest[a.Spec.Approver] = a
		}
	}
	return newest
}

// weight puts a no before a yes.
func weight(a *v1alpha1.Approval) int {
	if a.Spec.Decision == v1alpha1.DecisionReject {
		return 1
	}
	return 0
}
