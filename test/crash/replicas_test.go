//go:build e2e

package crash_test

import (
	"net/http"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	emulator "github.com/mainstem-dev/mainstem/test/github"
)

const (
	// lease is how long a replica waits for a leader that is silent.
	lease = 3 * time.Second
	// retry is how often it looks, with jitter, and slack what this machine may add.
	retry = lease * 2 / 15 * 6 / 5
	slack = 2 * time.Second
	// outage is how long the API server is away.
	outage = 30 * time.Second
)

// pair is two replicas as the shipped Deployment runs them.
type pair struct {
	t                *testing.T
	leader, follower *replica
}

func startPair(t *testing.T) *pair {
	t.Helper()
	g := NewWithT(t)
	arguments := []string{"--leader-elect", "--leader-election-lease-duration=" + lease.String()}
	p := &pair{t: t}
	before := holder(t)
	p.leader = startReplica(t, arguments...)
	g.Eventually(func() string { return holder(t) }).WithTimeout(patience).ShouldNot(BeElementOf("", before))
	p.follower = startReplica(t, arguments...)
	return p
}

// holder is who holds the lease, empty for nobody.
func holder(t *testing.T) string {
	t.Helper()
	var found coordinationv1.Lease
	key := client.ObjectKey{Namespace: "mainstem-system", Name: instance + ".mainstem.dev"}
	err := shared.admin.Get(t.Context(), key, &found)
	NewWithT(t).Expect(client.IgnoreNotFound(err)).To(Succeed())
	if found.Spec.HolderIdentity == nil {
		return ""
	}
	return *found.Spec.HolderIdentity
}

// takeover waits until somebody else than before holds the lease, which must come within the lease's time.
func (p *pair) takeover(before string, since time.Time) {
	p.t.Helper()
	NewWithT(p.t).Eventually(func() string { return holder(p.t) }).WithTimeout(patience).WithPolling(pollingInterval).ShouldNot(BeElementOf("", before))
	took := time.Since(since)
	p.t.Logf("another replica leads after %s", took)
	NewWithT(p.t).Expect(took).To(BeNumerically("<", lease+retry+slack))
}

// TestTheLeaderDies kills the leader instead of a merge, and right after one, on a node that stays away. The other replica goes on.
// Until then every delivery went to the follower: the leader knows of them because the follower wrote them down.
func TestTheLeaderDies(t *testing.T) {
	for _, on := range []side{beforeIt, afterIt} {
		t.Run(string(on)+" a merge", func(t *testing.T) { theLeaderDies(t, on) })
	}
}

func theLeaderDies(t *testing.T, on side) {
	p := startPair(t)
	w := newWorld(t, p.follower.webhookURL(), patience)
	j := &journey{world: w}
	j.begin()
	p.expectOneWriteEach(w, j.propose)
	p.expectOneWriteEach(w, j.replace)

	before := holder(t)
	since := p.diesOf(w, shared.wire, "GitHub: merge the pull request", on, func() {
		j.pass(j.fix)
	})
	j.expect().Expect(j.repository.PullRequests()).To(ConsistOf(HaveField("Merged", on == afterIt)))
	j.expect().Expect(holder(t)).To(Equal(before))
	p.takeover(before, since)
	j.merge = j.merged()
	j.runs("main", j.merge)

	p.leader.up()
	j.expect().Eventually(shared.github.WebhooksIdle).Should(BeTrue())
	written := len(p.follower.wakeUps())
	j.release()
	j.expectOnce(p.leader, p.follower)
	j.expect().Expect(p.follower.wakeUps()).To(HaveLen(written), "who leads wakes in memory")
}

// diesOf lets something happen, of which the leader dies on its way to an effect, or right after it, and with it its node. It gives
// the time.
func (p *pair) diesOf(w *world, on *wire, effect string, when side, happen func()) time.Time {
	p.t.Helper()
	died := make(chan time.Time, 1)
	on.hand(&once{effect: effect, side: when, strike: func() {
		p.leader.down()
		died <- time.Now()
	}})
	p.t.Cleanup(func() { on.hand(nil) })
	happen()
	var since time.Time
	w.expect().Eventually(died).Should(Receive(&since), "the leader dies %s: %s", when, effect)
	return since
}

// TestTheLeaderDiesWithADeliveryInItsMemory lets the leader take a delivery, which it remembers and writes down nowhere, and die
// before anything comes of it, on a node that stays away. Who leads next looks at everything, and finds what was pushed.
func TestTheLeaderDiesWithADeliveryInItsMemory(t *testing.T) {
	p := startPair(t)
	w := newWorld(t, p.leader.webhookURL(), patience)
	j := &journey{world: w}
	j.begin()
	w.expect().Eventually(shared.github.WebhooksIdle).Should(BeTrue())
	w.expectIdle(p.leader, p.follower)
	seen, before := len(shared.github.Deliveries()), holder(t)
	since := p.diesOf(w, p.leader.api, "Kubernetes: create a Release", beforeIt, func() {
		j.change = w.commit("develop", "change")
	})
	w.expect().Eventually(func() []emulator.Delivery { return w.deliveries(seen) }).Should(
		ConsistOf(HaveField("Status", http.StatusAccepted)), "it was taken")
	w.expect().Expect(holder(t)).To(Equal(before))
	p.takeover(before, since)
	w.runs("develop", j.change)
	j.opened(j.change)
	w.expect().Expect(p.leader.wakeUps()).To(BeEmpty(), "who leads wakes in memory")
	w.expect().Expect(p.follower.wakeUps()).To(BeEmpty(), "nobody told the other one")

	p.leader.up() // it follows now
	w.expect().Eventually(p.leader.takesDeliveries).WithContext(t.Context()).Should(Succeed())
	j.steps(j.replace, j.approve, j.release)
	w.expect().Expect(p.leader.wakeUps()).NotTo(BeEmpty(), "who follows writes")
	j.expectOnce(p.leader, p.follower)
}

// TestTheAPIServerIsAway takes the API server from both replicas while a release is on its way, and lets people go on meanwhile.
// GitHub does not deliver again what comes of that: the operator finds it by itself.
func TestTheAPIServerIsAway(t *testing.T) {
	p := startPair(t)
	w := newWorld(t, p.follower.webhookURL(), patience)
	j := &journey{world: w}
	j.begin()
	j.propose()
	j.replace()
	for _, r := range []*replica{p.leader, p.follower} {
		j.expect().Expect(r.api.cut()).To(Succeed())
	}
	w.expect().Eventually(shared.github.WebhooksIdle).Should(BeTrue())
	seen := len(shared.github.Deliveries())
	j.pass(j.fix)
	back := time.NewTimer(outage)
	defer back.Stop()
	<-back.C
	failed := w.deliveries(seen)
	j.expect().Expect(failed).NotTo(BeEmpty())
	j.expect().Expect(failed).To(HaveEach(HaveField("Status", http.StatusServiceUnavailable)), "what is not written is not taken")
	j.expect().Expect(j.repository.PullRequests()).To(ConsistOf(HaveField("Merged", false)), "nothing is merged that cannot be recorded")
	for _, r := range []*replica{p.leader, p.follower} {
		j.expect().Expect(r.api.open(t.Context())).To(Succeed())
	}
	since := time.Now()
	j.merge = j.merged()
	j.runs("main", j.merge)
	t.Logf("%s after the API server was back, the release was in main", time.Since(since))
	j.release()
	j.expectOnce(p.leader, p.follower)
}
