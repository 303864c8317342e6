//go:build e2e

// Package e2e runs journeys against a real control plane, real Flux and an emulated GitHub, with the operator as it ships.
package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
	"github.com/mainstem-dev/mainstem/test/journey"
)

const (
	// startLimit leaves time to build the rig's programs.
	startLimit = 20 * time.Minute
	// idleFor is how long nothing may be written once there is nothing to do.
	idleFor = 10 * time.Second
)

// start brings the world up, and reports about it when the test fails.
func start(t *testing.T) *journey.World {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), startLimit)
	defer cancel()
	world, err := journey.Start(ctx, journey.Options{ValidateGitHub: true, Sink: func(event journey.Event) {
		t.Logf("%s %s", event.At.UTC().Format("15:04:05.0"), event.Text)
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() {
			world.Report(t.Context(), os.Stderr)
		}
		if err := world.Close(); err != nil {
			t.Errorf("cleaning up: %v", err)
		}
	})
	return world
}

// TestACommitTravelsToProduction is the main journey. Its steps assert on what they are about; what must be true of all of it
// together is asserted afterwards.
func TestACommitTravelsToProduction(t *testing.T) {
	world := start(t)
	j, ctx := journey.New(world), t.Context()
	for _, step := range j.Steps() {
		if !t.Run(step.Name, func(t *testing.T) {
			// Not the context of the subtest: what the first step begins to watch is watched to the end.
			if err := step.Run(ctx); err != nil {
				t.Fatal(err)
			}
		}) {
			t.FailNow() // each step builds on the ones before it
		}
	}
	t.Run("every effect on GitHub happened once", func(t *testing.T) { expectEffects(t, j) })
	t.Run("commit statuses were written once each", func(t *testing.T) { expectStatuses(t, j) })
	t.Run("three Promotions tell the story", func(t *testing.T) { expectRecords(t, j) })
	t.Run("the Application is well", func(t *testing.T) { expectWell(t, j) })
	t.Run("everything said to GitHub is as GitHub describes it", func(t *testing.T) {
		NewWithT(t).Expect(world.GitHub.Mismatches()).To(BeEmpty())
	})
	t.Run("all webhooks were taken", func(t *testing.T) { expectDeliveries(t, world) })
	t.Run("nothing is written when there is nothing to do", func(t *testing.T) { expectIdle(t, j) })
	t.Run("the API server refused the operator nothing", func(t *testing.T) { expectNoRefusals(t, world) })
	t.Run("the log has no error and no secret", func(t *testing.T) { expectCleanLog(t, world) })
}

func expectEffects(t *testing.T, j *journey.Journey) {
	g := NewWithT(t)
	ours := j.GitHub.Effects().By(emulator.SourceAPI) // a person's go through Git, or by the test's own hand
	counts := map[emulator.EffectKind]int{}
	for _, effect := range ours {
		counts[effect.Kind]++
	}
	// Tokens are issued to Flux and to the operator, as many as they like; statuses have a test of their own.
	delete(counts, emulator.TokenIssued)
	delete(counts, emulator.StatusCreated)
	delete(counts, emulator.PullEdited) // the description is kept true
	g.Expect(counts).To(Equal(map[emulator.EffectKind]int{
		emulator.BranchCreated: 1, // of the promotion
		emulator.PullOpened:    1,
		emulator.LabelAdded:    1,
		emulator.PullMerged:    1,
		emulator.BranchMoved:   1, // main, by the merge
	}))
	pull, found := j.Team.Repository.PullRequest(j.PullRequest)
	g.Expect(found).To(BeTrue())
	g.Expect(pull.MergedBy).To(HaveSuffix("[bot]"))
	g.Expect(j.Team.Repository.Head("main")).To(Equal(j.Merge))
	g.Expect(j.Team.Repository.Head("develop")).To(Equal(j.Change))
}

func expectStatuses(t *testing.T, j *journey.Journey) {
	g := NewWithT(t)
	last := map[string]string{}
	for _, commit := range []string{j.First, j.Change, j.Merge} {
		shown := map[string]emulator.Status{}
		for _, status := range j.Team.Repository.Statuses(commit) {
			before := shown[status.Context]
			g.Expect(status.State != before.State || status.Description != before.Description).To(BeTrue(),
				"%s was told twice that %s is %s (%s)", commit, status.Context, status.State, status.Description)
			shown[status.Context] = status
			last[commit+" "+status.Context] = status.State
		}
	}
	g.Expect(last).To(Equal(map[string]string{
		j.First + " mainstem/develop":    "success",
		j.First + " mainstem/main":       "success",
		j.Change + " mainstem/develop":   "success",
		j.Change + " mainstem/main":      "success", // the gates have passed
		j.Merge + " mainstem/main":       "success",
		j.Merge + " mainstem/production": "success",
	}))
}

func expectRecords(t *testing.T, j *journey.Journey) {
	g := NewWithT(t)
	var promotions v1alpha1.PromotionList
	g.Expect(j.Client.List(t.Context(), &promotions, client.InNamespace(journey.Namespace))).To(Succeed())
	phases := map[string]v1alpha1.PromotionPhase{}
	for i := range promotions.Items {
		p := &promotions.Items[i]
		phases[p.Name] = p.Status.Phase
		g.Expect(p.Spec.RequestedBy).To(Equal("system:serviceaccount:mainstem-system:mainstem"))
	}
	g.Expect(j.Promotions).To(HaveLen(3))
	for _, name := range j.Promotions {
		g.Expect(phases).To(HaveKeyWithValue(name, v1alpha1.PromotionSucceeded))
	}
	// The first commit entered develop and main before that.
	g.Expect(phases).To(HaveLen(5))

	var releases v1alpha1.ReleaseList
	g.Expect(j.Client.List(t.Context(), &releases, client.InNamespace(journey.Namespace))).To(Succeed())
	proven := map[string][]string{}
	for i := range releases.Items {
		key := releases.Items[i].Spec.Commit + releases.Items[i].Spec.Tag
		g.Expect(proven).NotTo(HaveKey(key), "one Release for each commit and tag")
		proven[key] = nil
		for _, entry := range releases.Items[i].Status.Environments {
			g.Expect(entry.RejectedAt).To(BeNil())
			if entry.ProvenAt != nil {
				proven[key] = append(proven[key], string(entry.Name))
			}
		}
	}
	g.Expect(proven).To(HaveLen(4))
	g.Expect(proven[j.First]).To(ConsistOf("develop", "main"))
	g.Expect(proven[j.Change]).To(ConsistOf("develop"))
	g.Expect(proven[j.Merge]).To(ConsistOf("main"))
	g.Expect(proven[j.Merge+j.Tag]).To(ContainElement("production"))
}

func expectWell(t *testing.T, j *journey.Journey) {
	g := NewWithT(t)
	g.Eventually(func(g Gomega) {
		app, err := j.Application(t.Context())
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(app.Status.ObservedGeneration).To(Equal(app.Generation))
		g.Expect(apimeta.IsStatusConditionTrue(app.Status.Conditions, v1alpha1.ReadyCondition)).To(BeTrue(), app.Status.Summary)
		g.Expect(apimeta.IsStatusConditionTrue(app.Status.Conditions, v1alpha1.ReconcilingCondition)).To(BeFalse())
		g.Expect(apimeta.IsStatusConditionTrue(app.Status.Conditions, v1alpha1.StalledCondition)).To(BeFalse())
		g.Expect(app.Status.Environments).To(HaveLen(3))
		for _, env := range app.Status.Environments {
			g.Expect(env.Phase).To(Equal(v1alpha1.EnvironmentIdle), "%s: %s", env.Name, env.WaitingFor)
			g.Expect(env.Next).To(BeNil())
		}
	}).WithTimeout(idleFor).Should(Succeed())
}

func expectDeliveries(t *testing.T, world *journey.World) {
	g := NewWithT(t)
	g.Eventually(world.GitHub.WebhooksIdle).WithTimeout(idleFor).Should(BeTrue())
	deliveries := world.GitHub.Deliveries()
	g.Expect(deliveries).NotTo(BeEmpty())
	for _, delivery := range deliveries {
		g.Expect(delivery.Status).To(Equal(202), "%s %s: %s", delivery.Event, delivery.Action, delivery.Err)
	}
}

func expectIdle(t *testing.T, j *journey.Journey) {
	g := NewWithT(t)
	g.Expect(j.AwaitTidy(t.Context())).To(Succeed())
	var began time.Time
	g.Eventually(func(g Gomega) { // the reconciliation that tidied up may still be writing what it has done
		began = time.Now()
		g.Expect(j.WritesSince(began.Add(-time.Second))).To(BeEmpty())
	}).WithTimeout(idleFor).Should(Succeed())
	calls, effects := j.GitHub.Calls(), len(j.GitHub.Effects())
	g.Consistently(func(g Gomega) {
		g.Expect(j.WritesSince(began)).To(BeEmpty())
	}).WithTimeout(idleFor).WithPolling(time.Second).Should(Succeed())
	g.Expect(j.GitHub.Calls()).To(Equal(calls), "nothing is asked of GitHub between webhooks and the interval of five minutes")
	g.Expect(j.GitHub.Effects()).To(HaveLen(effects))
}

func expectNoRefusals(t *testing.T, world *journey.World) {
	g := NewWithT(t)
	writes, err := world.Writes()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(writes).NotTo(BeEmpty(), "the audit log works")
	perObject := map[string]int{}
	for _, write := range writes {
		// 409 is an answer to optimism and is tried again; what the rights or the policies do not allow is a bug.
		g.Expect(write.Status).NotTo(BeElementOf(400, 401, 403, 422), fmt.Sprintf("%+v", write))
		perObject[write.Verb+" "+write.Object]++
	}
	t.Logf("%d writes: %v", len(writes), perObject)
}

func expectCleanLog(t *testing.T, world *journey.World) {
	g := NewWithT(t)
	lines, err := world.OperatorLog()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(lines).NotTo(BeEmpty())
	for _, line := range lines {
		var entry struct {
			Level string `json:"level"`
		}
		g.Expect(json.Unmarshal(line, &entry)).To(Succeed(), string(line))
		g.Expect(entry.Level).To(BeElementOf("debug", "info"), string(line))
		g.Expect(world.Leaks(line)).To(Succeed(), "a line of level %s", entry.Level)
	}
}
