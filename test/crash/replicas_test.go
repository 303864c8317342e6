//go:build e2e

package crash_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
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

// wakeUp is the kind of a follower's write for a delivery.
const wakeUp = "wake the Application"

// expectOneWriteEach lets something happen, and expects one write of the follower for each delivery that came of it.
func (p *pair) expectOneWriteEach(w *world, happen func()) {
	p.t.Helper()
	g := w.expect()
	g.Eventually(shared.github.WebhooksIdle).Should(BeTrue())
	seen, written := len(shared.github.Deliveries()), len(p.follower.wakeUps())
	happen()
	g.Eventually(shared.github.WebhooksIdle).Should(BeTrue())
	var delivered []string
	for _, delivery := range shared.github.Deliveries()[seen:] {
		if delivery.Repository != w.repository.FullName() || !means(delivery) {
			continue
		}
		g.Expect(delivery.Status).To(Equal(202), "%s: %s", delivery.Event, delivery.Err)
		delivered = append(delivered, delivery.GUID)
	}
	g.Expect(delivered).NotTo(BeEmpty())
	g.Expect(p.follower.wakeUps()[written:]).To(ConsistOf(delivered), "one write for each delivery")
}

// means says whether an event means something to the receiver; the emulator sends everything. What Mainstem itself says of a commit
// does not.
func means(delivery emulator.Delivery) bool {
	switch delivery.Event {
	case "push", "create", "delete", "release", "pull_request", "check_run", "check_suite":
		return true
	case "status":
		var status struct{ Context string }
		_ = json.Unmarshal(delivery.Payload, &status) // what cannot be read has no context
		return !strings.HasPrefix(status.Context, "mainstem/")
	}
	return false
}

// wakeUps are the values that a replica wrote for deliveries, in their order.
func (r *replica) wakeUps() []string {
	var values []string
	for _, sent := range r.api.carriedOut() {
		if sent.kind != wakeUp || !sent.succeeded() {
			continue
		}
		var patch struct {
			Metadata struct{ Annotations map[string]string }
		}
		_ = json.Unmarshal(sent.body, &patch) // what cannot be read has no value
		values = append(values, patch.Metadata.Annotations[v1alpha1.DeliveryAnnotation])
	}
	return values
}

// TestDeliveriesWhileNobodyLeads cuts the leader off the API server, so that it gives up, and pushes until after another one leads.
// GitHub is asked once an hour: only the deliveries can tell of the last push.
func TestDeliveriesWhileNobodyLeads(t *testing.T) {
	p := startPair(t)
	w := newWorld(t, p.follower.webhookURL(), patience)
	j := &journey{world: w}
	j.begin()
	w.expect().Eventually(shared.github.WebhooksIdle).Should(BeTrue())
	seen, before, starts := len(shared.github.Deliveries()), holder(t), p.leader.starts()

	w.expect().Expect(p.leader.api.cut()).To(Succeed())
	since := time.Now()
	stop, last := pushing(t.Context(), w)
	p.takeover(before, since)
	w.expect().Eventually(p.leader.starts).Should(BeNumerically(">", starts), "who cannot renew its lease gives up")
	stop()
	w.runs("develop", <-last)

	for _, delivery := range shared.github.Deliveries()[seen:] {
		if delivery.Repository == w.repository.FullName() {
			w.expect().Expect(delivery.Status).To(Equal(202), "%s: %s", delivery.Event, delivery.Err)
		}
	}
	w.expect().Expect(p.leader.api.open(t.Context())).To(Succeed())
	w.expectIdle(p.leader, p.follower)
}

// pushing pushes to develop, several times a second, until it is told to stop. It gives the last commit, or none where it fails.
func pushing(ctx context.Context, w *world) (stop func(), last <-chan string) {
	const pause = 300 * time.Millisecond
	ctx, stop = context.WithCancel(ctx)
	commits := make(chan string, 1)
	go func() {
		defer close(commits)
		ticker := time.NewTicker(pause)
		defer ticker.Stop()
		for n := 0; ; n++ {
			message := fmt.Sprintf("push %d", n)
			commit, err := w.repository.Commit("develop", message, "ada", map[string]string{"VERSION": message})
			if err != nil {
				w.t.Error(err)
				return
			}
			select {
			case <-ctx.Done():
				commits <- commit
				return
			case <-ticker.C:
			}
		}
	}()
	return stop, commits
}

// deliveries are those that mean something and have ended, of this world's repository, but the first ones.
func (w *world) deliveries(but int) []emulator.Delivery {
	var ended []emulator.Delivery
	for _, delivery := range shared.github.Deliveries()[but:] {
		if delivery.Repository == w.repository.FullName() && means(delivery) {
			ended = append(ended, delivery)
		}
	}
	return ended
}

// TestOneWriteWakesAll lets one repository have four Applications in three namespaces, of which one has another webhook secret: a
// follower makes one write for a delivery, and the leader wakes all but that one.
func TestOneWriteWakesAll(t *testing.T) {
	p := startPair(t)
	w := newWorld(t, p.follower.webhookURL(), patience)
	j := &journey{world: w}
	j.begin()
	besides, elsewhere, stranger := w.another("", webhookSecret), w.another("-elsewhere", webhookSecret), w.another("-stranger", "another secret")
	for _, app := range []*v1alpha1.Application{besides, elsewhere, stranger} {
		w.hasRun(app, j.first)
	}
	w.expectIdle(p.leader, p.follower)
	p.expectOneWriteEach(w, func() {
		j.change = w.commit("develop", "change")
		w.runs("develop", j.change)
		w.hasRun(besides, j.change)
		w.hasRun(elsewhere, j.change)
	})
	w.expectIdle(p.leader, p.follower)
	w.expect().Expect(w.current(stranger)).To(HaveField("Commit", j.first), "its secret signed nothing")
}

// another makes another Application of this world's repository, which runs develop only, in the namespace or in one of a longer
// name. It goes when the test ends.
func (w *world) another(suffix, webhookSecret string) *v1alpha1.Application {
	w.t.Helper()
	namespace := w.namespace + suffix
	app := &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "another"}}
	app.Spec = *w.read().Spec.DeepCopy()
	app.Spec.Environments = app.Spec.Environments[:1]
	if suffix != "" {
		w.namespaceWith(namespace, webhookSecret)
	}
	w.create(app)
	w.t.Cleanup(func() {
		ctx := context.WithoutCancel(w.t.Context())
		w.expect().Expect(shared.admin.Delete(ctx, app)).To(Succeed())
		w.expect().Eventually(func() error {
			return shared.admin.Get(ctx, client.ObjectKeyFromObject(app), app)
		}).Should(MatchError(ContainSubstring("not found")))
	})
	return app
}

// current is what an Application runs in develop.
func (w *world) current(app *v1alpha1.Application) *v1alpha1.CurrentRelease {
	w.expect().Expect(shared.admin.Get(w.t.Context(), client.ObjectKeyFromObject(app), app)).To(Succeed())
	if len(app.Status.Environments) == 0 {
		return nil
	}
	return app.Status.Environments[0].Current
}

// hasRun waits until an Application runs a commit in develop.
func (w *world) hasRun(app *v1alpha1.Application, commit string) {
	w.t.Helper()
	w.expect().Eventually(func() *v1alpha1.CurrentRelease { return w.current(app) }).Should(And(Not(BeNil()), HaveField("Commit", commit)))
}

// TestTheFollowerIsCutOff takes the API server from the replica that takes the deliveries, and from no other. A delivery fails, and
// GitHub makes it once only. It is written all the same when the API server is back, and the leader, which asks GitHub every hour,
// goes on.
func TestTheFollowerIsCutOff(t *testing.T) {
	p := startPair(t)
	w := newWorld(t, p.follower.webhookURL(), patience)
	j := &journey{world: w}
	j.begin()
	w.expect().Eventually(shared.github.WebhooksIdle).Should(BeTrue())
	w.expectIdle(p.leader, p.follower)
	seen, written := len(shared.github.Deliveries()), len(p.follower.wakeUps())

	w.expect().Expect(p.follower.api.cut()).To(Succeed())
	j.change = w.commit("develop", "change")
	w.expect().Eventually(func() []emulator.Delivery { return w.deliveries(seen) }).Should(HaveLen(1))
	failed := w.deliveries(seen)[0]
	w.expect().Expect(failed.Status).To(Equal(http.StatusServiceUnavailable), failed.Err)
	w.expect().Expect(failed.Duration).To(BeNumerically(">", 5*time.Second), "it is tried for as long as GitHub waits")
	w.expect().Expect(w.state("develop").Current).To(HaveField("Commit", j.first))

	w.expect().Expect(p.follower.api.open(t.Context())).To(Succeed())
	w.runs("develop", j.change)
	w.expect().Expect(p.follower.wakeUps()[written]).To(Equal(failed.GUID), "the first that was written")
}

// TestTheFollowerDies kills the replica that takes a delivery: before its write, and GitHub shows the delivery as failed; after it,
// and the leader acts on it although nobody answered.
func TestTheFollowerDies(t *testing.T) {
	p := startPair(t)
	w := newWorld(t, p.follower.webhookURL(), patience)
	j := &journey{world: w}
	j.begin()
	for _, on := range []side{beforeIt, afterIt} {
		w.expect().Eventually(p.follower.takesDeliveries).WithContext(t.Context()).Should(Succeed())
		w.expect().Eventually(shared.github.WebhooksIdle).Should(BeTrue())
		w.expectIdle(p.leader, p.follower)
		seen, written, starts := len(shared.github.Deliveries()), len(p.follower.wakeUps()), p.follower.starts()
		p.follower.api.hand(&once{effect: "Kubernetes: " + wakeUp, side: on, strike: p.follower.kill})
		commit := w.commit("develop", string(on))
		w.expect().Eventually(func() []emulator.Delivery { return w.deliveries(seen) }).Should(HaveLen(1))
		delivery := w.deliveries(seen)[0]
		w.expect().Expect(delivery.Status).To(BeZero(), "nobody answered")
		w.expect().Eventually(p.follower.starts).Should(Equal(starts+1), "it has died of this, and is started again")
		if on == afterIt {
			w.expect().Expect(p.follower.wakeUps()[written:]).To(ConsistOf(delivery.GUID))
			w.runs("develop", commit)
			continue
		}
		w.expectIdle(p.leader, p.follower)
		w.expect().Expect(p.follower.wakeUps()).To(HaveLen(written), "it died before")
		w.expect().Expect(w.state("develop").Current).To(HaveField("Commit", j.first))
	}
	p.follower.api.hand(nil)
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
