// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package promotion

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

// hourly lets GitHub be asked every hour only: what happens earlier, a webhook brought about.
func hourly(app *v1alpha1.Application) { app.Spec.Repository.Interval.Duration *= 3600 }

// delivery is a delivery that does not come from GitHub as it is.
type delivery struct {
	method, contentType, event, signature, id string
	body                                      []byte
}

// deliveries numbers them.
var deliveries atomic.Int64

// post sends a delivery to the operator and returns the status of the answer.
func post(ctx context.Context, d delivery) int {
	GinkgoHelper()
	request, err := http.NewRequestWithContext(ctx, d.method, webhookURL, bytes.NewReader(d.body))
	Expect(err).NotTo(HaveOccurred())
	request.Header.Set("Content-Type", d.contentType)
	for header, value := range map[string]string{"X-GitHub-Event": d.event, "X-Hub-Signature-256": d.signature, "X-GitHub-Delivery": d.id} {
		if value != "" {
			request.Header.Set(header, value)
		}
	}
	response, err := (&http.Client{Timeout: patience}).Do(request)
	Expect(err).NotTo(HaveOccurred())
	Expect(response.Body.Close()).To(Succeed())
	return response.StatusCode
}

// pushTo is the body of a push webhook about a repository.
func (w *world) pushTo(fullName string) []byte {
	GinkgoHelper()
	body, err := json.Marshal(map[string]any{
		"ref": "refs/heads/develop", "before": strings.Repeat("1", 40), "after": strings.Repeat("2", 40),
		"repository": map[string]any{"full_name": fullName, "html_url": github.URL() + "/" + fullName, "clone_url": github.URL() + "/" + fullName + ".git"},
	})
	Expect(err).NotTo(HaveOccurred())
	return body
}

// push is a delivery as GitHub makes it for a push to the world's repository, each time another one.
func (w *world) push() delivery {
	GinkgoHelper()
	body := w.pushTo(w.repository.FullName())
	return delivery{method: http.MethodPost, contentType: "application/json", event: "push", signature: emulator.Sign(webhookSecret, body),
		id: fmt.Sprintf("72d3162e-cc78-11e3-81ab-%012d", deliveries.Add(1)), body: body}
}

// wake lets the operator look again at once, although nothing has changed.
func (w *world) wake(ctx context.Context) {
	GinkgoHelper()
	Expect(post(ctx, w.push())).To(Equal(http.StatusAccepted))
}

// strangeDeliveries are changes to a real delivery, and how each is answered.
var strangeDeliveries = []struct {
	what   string
	change func(*running, *delivery)
	answer int
}{
	{"forged", func(_ *running, d *delivery) { d.signature = emulator.Sign("guessed", d.body) }, http.StatusForbidden},
	{"not signed", func(_ *running, d *delivery) { d.signature = "" }, http.StatusForbidden},
	{"changed after it was signed", func(_ *running, d *delivery) {
		d.body = bytes.Replace(d.body, []byte("develop"), []byte("another"), 1)
	}, http.StatusForbidden},
	{"truncated", func(_ *running, d *delivery) { d.body = d.body[:len(d.body)/2] }, http.StatusBadRequest},
	{"about an unknown repository", func(r *running, d *delivery) {
		d.body = r.pushTo("acme/elsewhere")
		d.signature = emulator.Sign(webhookSecret, d.body)
	}, http.StatusAccepted},
	{"an unknown event", func(_ *running, d *delivery) { d.event = "sponsorship" }, http.StatusAccepted},
	{"a ping", func(_ *running, d *delivery) { d.event = "ping" }, http.StatusAccepted},
	{"without an event", func(_ *running, d *delivery) { d.event = "" }, http.StatusBadRequest},
	{"too large", func(_ *running, d *delivery) {
		d.event, d.body = "status", bytes.Repeat([]byte(" "), 26<<20)
		d.signature = emulator.Sign(webhookSecret, d.body)
	}, http.StatusRequestEntityTooLarge},
	{"of another content type", func(_ *running, d *delivery) { d.contentType = "text/plain" }, http.StatusUnsupportedMediaType},
	{"not a POST", func(_ *running, d *delivery) { d.method = http.MethodPut }, http.StatusMethodNotAllowed},
}

var _ = Describe("A webhook", func() {
	It("wakes at once, and is answered with 202", func(ctx SpecContext) {
		r := newRunning(ctx, hourly)
		for i := range 3 {
			sha := r.commit("develop", fmt.Sprintf("commit %d", i))
			r.runs(ctx, "develop", sha)
		}
		var answers []int
		for _, d := range github.Deliveries() {
			if d.Repository == r.repository.FullName() && d.Event == "push" {
				answers = append(answers, d.Status)
			}
		}
		Expect(len(answers)).To(BeNumerically(">=", 3))
		Expect(answers).To(HaveEach(http.StatusAccepted))
	}, SpecTimeout(specLimit))

	It("that GitHub did not send, or that is about nothing here, causes no work", func(ctx SpecContext) {
		r, other := newRunning(ctx, hourly), newRunning(ctx, hourly)
		r.settles(ctx, r.sha, "develop", "success")
		Eventually(github.WebhooksIdle).WithContext(ctx).Should(BeTrue())
		r.kick(ctx) // What GitHub has sent is dealt with.
		version, journal := r.read(ctx).ResourceVersion, r.journal()

		for _, strange := range strangeDeliveries {
			By(strange.what)
			d := r.push()
			strange.change(r, &d)
			Expect(post(ctx, d)).To(Equal(strange.answer), strange.what)
		}
		// Whoever is woken later has come further by now than whoever was woken before.
		other.runs(ctx, "develop", other.commit("develop", "second"))
		Expect(journal.times()).To(BeEmpty())
		Expect(r.read(ctx).ResourceVersion).To(Equal(version))

		By("being there for a real one afterwards")
		r.wake(ctx)
		Eventually(journal.times).WithContext(ctx).ShouldNot(BeEmpty())
		r.runs(ctx, "develop", r.commit("develop", "second"))
	}, SpecTimeout(specLimit))

	It("that is replayed is taken again, and nothing happens twice", func(ctx SpecContext) {
		w := journeyWorld(ctx)
		w.declare(ctx, travelling, hourly)
		sha, merge := w.travel(ctx)
		w.once(sha, merge)
		Eventually(github.WebhooksIdle).WithContext(ctx).Should(BeTrue())
		before := w.objects(ctx)
		replayed := 0
		for _, d := range github.Deliveries() {
			if d.Repository != w.repository.FullName() || d.Status != http.StatusAccepted {
				continue
			}
			Expect(post(ctx, delivery{method: http.MethodPost, contentType: "application/json", event: d.Event,
				signature: emulator.Sign(webhookSecret, d.Payload), body: d.Payload})).To(Equal(http.StatusAccepted), d.Event)
			replayed++
		}
		Expect(replayed).To(BeNumerically(">", 5))
		w.looksAgain(ctx)
		w.once(sha, merge)
		Expect(w.objects(ctx)).To(Equal(before))
	}, SpecTimeout(specLimit))

	It("that is repeated is taken, and causes no work", func(ctx SpecContext) {
		r, other := newRunning(ctx, hourly), newRunning(ctx, hourly)
		r.settles(ctx, r.sha, "develop", "success")
		Eventually(github.WebhooksIdle).WithContext(ctx).Should(BeTrue())
		first := r.journal()
		d := r.push()
		Expect(post(ctx, d)).To(Equal(http.StatusAccepted))
		Eventually(first.times).WithContext(ctx).ShouldNot(BeEmpty(), "it wakes once")
		r.kick(ctx)

		version, journal, effects := r.read(ctx).ResourceVersion, r.journal(), len(github.Effects().In(r.repository.FullName()))
		for range 5 {
			Expect(post(ctx, d)).To(Equal(http.StatusAccepted))
		}
		// Whoever is woken later has come further by now than whoever was woken before.
		other.runs(ctx, "develop", other.commit("develop", "second"))
		Expect(journal.times()).To(BeEmpty())
		Expect(r.read(ctx).ResourceVersion).To(Equal(version))
		Expect(github.Effects().In(r.repository.FullName())).To(HaveLen(effects))

		By("being there for another one that says the same")
		r.wake(ctx)
		Eventually(journal.times).WithContext(ctx).ShouldNot(BeEmpty())
	}, SpecTimeout(specLimit))

	It("wakes only the Applications whose own secret signed it", func(ctx SpecContext) {
		r := newRunning(ctx, hourly)
		other := newWorld(ctx)
		github.AddToken(emulator.Token{Value: other.token, Login: "mainstem-bot"})
		other.secret(ctx, map[string]string{"username": "mainstem-bot", "password": other.token, "webhookSecret": "another secret"})
		other.environment(ctx, "develop", "")
		other.declare(ctx, developOnly, hourly, func(app *v1alpha1.Application) {
			app.Spec.Repository.URL = strings.TrimSuffix(r.repository.CloneURL(), ".git")
		})
		other.runs(ctx, "develop", r.sha)

		newest := ""
		for _, message := range []string{"second", "third"} {
			newest = r.commit("develop", message)
			r.runs(ctx, "develop", newest)
			Expect(other.state(ctx, "develop").Current).To(HaveField("Commit", r.sha))
		}
		other.kick(ctx)
		other.runs(ctx, "develop", newest)
	}, SpecTimeout(specLimit))
})
