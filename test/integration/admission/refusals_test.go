// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package admission

import (
	"cmp"
	"errors"
	"regexp"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// refusal is a request that one rule refuses, and the one that it accepts once somebody did what its message says.
type refusal struct {
	// name says what is refused.
	name string
	// rule is the one that refuses.
	rule reference
	// as is who asks, and tries what is refused.
	as user
	// refused is tried first.
	refused attempt
	// acceptedAs is who tries what is accepted: as, when it is empty.
	acceptedAs user
	// accepted is tried afterwards.
	accepted attempt
}

// refusals are all there are: one or more for each rule of the CRDs and the policies.
func refusals() []refusal {
	var all []refusal
	for _, table := range [][]refusal{
		environmentRefusals, applicationRefusals, recordRefusals,
		promotionPolicyRefusals, approvalPolicyRefusals, holdPolicyRefusals, ledgerPolicyRefusals,
		fluxObjectRefusals, fluxStatusRefusals,
	} {
		all = append(all, table...)
	}
	return all
}

func TestRefusals(t *testing.T) {
	rules := readRules(t)
	for _, r := range refusals() {
		t.Run(r.rule.source+"/"+r.name, func(t *testing.T) {
			g := NewWithT(t)
			rule := r.rule.find(t, rules)

			asker, err := r.as.client()
			g.Expect(err).NotTo(HaveOccurred())
			rule.expectRefusal(t, r.refused(t.Context(), asker), r.rule.says)

			accepted, err := cmp.Or(r.acceptedAs, r.as).client()
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(r.accepted(t.Context(), accepted)).To(Succeed(), "what the message says to do is to be accepted")
		})
	}
}

// indices are what tells the elements of a list or a map in the path of a field.
var indices = regexp.MustCompile(`\[[^\]]*\]`)

// expectRefusal fails unless err is the refusal of this very rule, with these words in its message.
func (r rule) expectRefusal(t *testing.T, err error, says string) {
	t.Helper()
	g := NewWithT(t)
	g.Expect(err).To(HaveOccurred())
	t.Log(err)
	if r.policy {
		g.Expect(apierrors.IsForbidden(err)).To(BeTrue(), "a policy forbids: %v", err)
		g.Expect(err.Error()).To(ContainSubstring("ValidatingAdmissionPolicy '" + r.source + "'"))
		g.Expect(err.Error()).To(ContainSubstring(says))
		return
	}
	expectCause(t, err, r.path, r.message)
}

// expectCause fails unless err says of this field, among others perhaps, what it should.
func expectCause(t *testing.T, err error, field, says string) {
	t.Helper()
	status, ok := errors.AsType[*apierrors.StatusError](err)
	if !ok || !apierrors.IsInvalid(err) || status.ErrStatus.Details == nil {
		t.Fatalf("an invalid object was to be refused, got: %v", err)
	}
	for _, cause := range status.ErrStatus.Details.Causes {
		at := indices.ReplaceAllString(cause.Field, "[]")
		if at == "<nil>" {
			at = "" // how the API server names the whole object
		}
		if at == field && strings.Contains(cause.Message, says) {
			return
		}
	}
	t.Fatalf("nothing says %q of %q: %+v", says, field, status.ErrStatus.Details.Causes)
}
