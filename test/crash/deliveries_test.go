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
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
	"github.com/mainstem-dev/mainstem/test/tenant"
)

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
	besides, elsewhere, stranger := w.another("", tenant.WebhookSecret), w.another("-elsewhere", tenant.WebhookSecret), w.another("-stranger", "another secret")
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
		credential := tenant.TokenSecret(w.tenant.Token)
		credential["webhookSecret"] = webhookSecret
		w.expect().Expect(w.tenant.Furnish(w.t.Context(), namespace, credential)).To(Succeed())
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
