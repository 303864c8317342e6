// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

func TestRecord(t *testing.T) {
	s := pinned().release("d1", "develop", ranIn("develop", "-1h")).promotion("main", "d1")
	p := s.get("main-d1-1")
	Record(s.State, p, Next(s.State, p))
	if p.Status.Phase != v1alpha1.PromotionDeploying || p.Status.DeployedRelease != "d1" || p.Status.Proof != "Commit" || !p.Status.DeployStartedAt.Time.Equal(noon) {
		t.Fatalf("a deploy that begins is recorded as %+v", p.Status)
	}
	before := p.DeepCopy()
	Record(s.State, p, Next(s.State, p))
	s.Now = noon.Add(time.Minute)
	Record(s.State, p, Next(s.State, p))
	before.Status.Message, before.Status.Conditions = p.Status.Message, p.Status.Conditions
	if !equalStatus(before, p) {
		t.Errorf("the same step again changes the record:\n%+v\n%+v", before.Status, p.Status)
	}
	s.runs("main", "d1")
	Record(s.State, p, Next(s.State, p))
	ended := p.DeepCopy()
	if p.Status.Phase != v1alpha1.PromotionSucceeded || !p.Status.FinishedAt.Time.Equal(s.Now) {
		t.Fatalf("a success is recorded as %+v", p.Status)
	}
	s.Now = noon.Add(time.Hour)
	s.fails("main", "d1", "59m")
	Record(s.State, p, Next(s.State, p))
	if !equalStatus(ended, p) {
		t.Errorf("what is over is changed:\n%+v\n%+v", ended.Status, p.Status)
	}
}

// TestDeploysBeginOneAfterTheOther lets two deploys begin in the same second: which was the last must be told by their times.
func TestDeploysBeginOneAfterTheOther(t *testing.T) {
	s := pinned().release("d1", "develop", ranIn("develop", "-1h")).release("d2", "develop", ranIn("develop", "-1h"))
	s.promotion("main", "d2", succeeded("0s")).promotion("main", "d1", by(alice))
	p := s.get("main-d1-1")
	Record(s.State, p, Next(s.State, p))
	if got := Pinned(s.State, "main").Name; got != "d1" {
		t.Errorf("%s is pinned, want what began last", got)
	}
	if !p.Status.DeployStartedAt.After(noon) {
		t.Errorf("it began at %s, want later than the one before", p.Status.DeployStartedAt)
	}
	Record(s.State, p, Step{Phase: v1alpha1.PromotionSucceeded, Reason: v1alpha1.SucceededReason})
	if p.Status.FinishedAt.Before(p.Status.DeployStartedAt) {
		t.Errorf("it ended at %s, before it began", p.Status.FinishedAt)
	}
}

// TestASuccessLiftsARejectionOfTheSameSecond tries a release again in the very second in which it was rejected.
func TestASuccessLiftsARejectionOfTheSameSecond(t *testing.T) {
	base := func() *scene {
		return standard().release("d1", "develop", ranIn("develop", "-1h")).release("m1", "main")
	}
	again := func(s *scene, options ...promotionOption) *scene {
		return s.promotion("main", "d1", append([]promotionOption{attempt(2), by(alice), toldFlux("0s", "m1")}, options...)...)
	}
	cancelled := ended(v1alpha1.PromotionCancelled, "0s")
	tests := map[string]struct {
		given *scene
		want  string
	}{
		"declined":             {again(base().promotion("main", "d1", cancelled, because(v1alpha1.DeclinedReason))), "m1 entered proven 1s"},
		"rejected by a person": {again(base().promotion("main", "d1", cancelled, because(v1alpha1.RejectedReason))), "m1 entered proven 1s"},
		"failed":               {again(base().promotion("main", "d1", failed("0s", "m1"))), "m1 entered proven 1s"},
		"failed long before":   {again(base().promotion("main", "d1", failed("-9m", "m1"))), "m1 entered proven 0s"},
		"its record is gone":   {again(base().do(func(s *State) { reject(s.release("d1"), "main", at("0s"), v1alpha1.DeclinedReason) })), "m1 entered proven 1s"},
		"never rejected":       {again(base()), "m1 entered proven 0s"},
		"another one was":      {again(base().release("d2", "develop").promotion("main", "d2", cancelled, because(v1alpha1.DeclinedReason))), "m1 entered proven 0s, d2 Declined 0s"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			s := test.given
			p := s.get("main-d1-2")
			Record(s.State, p, Step{Phase: v1alpha1.PromotionSucceeded, Reason: v1alpha1.SucceededReason})
			for range 2 { // What is written down stays so.
				Ledger(s.State)
				if got := strings.TrimPrefix(briefLedger(s.State, "main"), "d1, "); got != test.want {
					t.Errorf("the ledgers say %q, want %q", got, test.want)
				}
			}
			back := s.promotion("main", "m1", by(bob), rollback, toldFlux("0s", "m1")).get("main-m1-1")
			back.Status.DeployStartedAt = &metav1.Time{Time: beginsAt(s.State, back).Time}
			if !back.Status.DeployStartedAt.After(p.Status.DeployStartedAt.Time) {
				t.Errorf("what began after it is told as before it")
			}
		})
	}
}

// TestARollbackRejectsASuccessOfTheSameSecond : also where that was recorded a second later than it was.
func TestARollbackRejectsASuccessOfTheSameSecond(t *testing.T) {
	s := pinned().release("d1", "develop", ranIn("main", "-1h")).release("d2", "develop").
		promotion("main", "d2", ended(v1alpha1.PromotionCancelled, "0s"), because(v1alpha1.RejectedReason)).
		promotion("main", "d2", attempt(2), by(alice), toldFlux("-1s"))
	p := s.get("main-d2-2")
	Record(s.State, p, Step{Phase: v1alpha1.PromotionSucceeded, Reason: v1alpha1.SucceededReason})
	s.promotion("main", "d1", by(bob), rollback, toldFlux("0s"))
	Ledger(s.State)
	if got := briefLedger(s.State, "main"); got != "d1 entered proven -1h0m0s, d2 entered proven 1s RolledBack 1s" {
		t.Errorf("the ledgers say %q", got)
	}
}

func equalStatus(a, b *v1alpha1.Promotion) bool {
	strip := func(p *v1alpha1.Promotion) v1alpha1.PromotionStatus {
		status := *p.Status.DeepCopy()
		for i := range status.Conditions {
			status.Conditions[i].LastTransitionTime = metav1.Time{}
		}
		return status
	}
	return marshal(strip(a)) == marshal(strip(b))
}
