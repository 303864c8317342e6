//go:build e2e

package e2e

import (
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

// idleFor is how long nothing may be written once there is nothing to do.
const idleFor = 10 * time.Second

// TestACommitTravelsToProduction is the main journey. Its steps assert on what they are about; what must be true of all of it
// together is asserted afterwards.
func TestACommitTravelsToProduction(t *testing.T) {
	world := world(t)
	t.Cleanup(func() {
		if t.Failed() {
			world.Report(t.Context(), os.Stderr)
		}
	})
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
	t.Run("commit statuses say what is so", func(t *testing.T) { expectStatuses(t, j) })
	t.Run("three Promotions tell the story", func(t *testing.T) { expectRecords(t, j) })
	t.Run("the Application is well", func(t *testing.T) { expectWell(t, j) })
	t.Run("all webhooks were taken", func(t *testing.T) { expectDeliveries(t, world) })
	t.Run("nothing is written when there is nothing to do", func(t *testing.T) { expectIdle(t, j) })
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
	// GitHub is told after the Application's status was written.
	g.Eventually(func() map[string]string {
		last := map[string]string{}
		for _, commit := range []string{j.First, j.Change, j.Merge} {
			for _, status := range j.Team.Repository.Statuses(commit) {
				last[commit+" "+status.Context] = status.State
			}
		}
		return last
	}).WithTimeout(patience).Should(Equal(map[string]string{
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
