// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package promotion

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

// about says whether a request is about the world's repository. The emulator asks while it is locked, so it is not asked back.
func (w *world) about(r *http.Request) bool {
	return r.URL.Path == w.path() || strings.HasPrefix(r.URL.Path, w.path()+"/")
}

// path is where the world's repository is in the API.
func (w *world) path() string { return "/api/v3/repos/acme/app" + w.suffix }

// strike lets a fault strike the requests about the world's repository until the faults are cleared.
func (w *world) strike(fault emulator.Fault) {
	fault.Match = w.about
	github.Inject(fault)
	DeferCleanup(github.ClearFaults)
}

var _ = Describe("A GitHub that fails", func() {
	DescribeTable("leaves what runs alone, is told once and since when, and is found again when it is back",
		func(ctx SpecContext, fault emulator.Fault, words string) {
			r := newRunning(ctx)
			before := r.objects(ctx)
			looks := r.spy()
			r.strike(fault)
			next := r.commit("develop", "second")
			told := r.unreachable(ctx, v1alpha1.UnreachableReason, "acme/app#", "GitHub cannot be reached", words)
			Expect(r.read(ctx).Status.Conditions).NotTo(ContainElement(HaveField("Type", v1alpha1.StalledCondition)))

			By("writing nothing at each further try")
			// Which question fails first may be another one once what was known is asked for anew.
			r.kick(ctx)
			r.kick(ctx)
			version := r.read(ctx).ResourceVersion
			for range 3 { // Each begins only when the one before is over.
				tries := looks.Load()
				r.wake(ctx)
				Eventually(looks.Load).WithContext(ctx).Should(BeNumerically(">", tries))
			}
			Expect(r.read(ctx).ResourceVersion).To(Equal(version), "%s", r.story(ctx))
			Expect(r.unreachable(ctx, told.Reason).LastTransitionTime).To(Equal(told.LastTransitionTime))
			Expect(r.objects(ctx)).To(Equal(before))
			Expect(r.state(ctx, "develop").Current).To(And(HaveField("Commit", r.sha), HaveField("Healthy", metav1.ConditionTrue)))

			By("going on by itself")
			github.ClearFaults()
			r.runs(ctx, "develop", next)
			r.reachable(ctx)
		},
		Entry("502", SpecTimeout(specLimit), emulator.Fault{Kind: emulator.Status5xx}, "502"),
		Entry("503 without a word", SpecTimeout(specLimit), emulator.Fault{Kind: emulator.Status5xx, Status: http.StatusServiceUnavailable}, "503"),
		Entry("a proxy's page", SpecTimeout(specLimit), emulator.Fault{Kind: emulator.HTML}, "check apiURL"),
		Entry("a proxy's page that forbids", SpecTimeout(specLimit), emulator.Fault{Kind: emulator.Status5xx, Status: http.StatusForbidden}, "check apiURL"),
		Entry("half an answer", SpecTimeout(specLimit), emulator.Fault{Kind: emulator.MalformedJSON}, "check apiURL"),
		Entry("a connection that is cut in the answer", SpecTimeout(specLimit), emulator.Fault{Kind: emulator.CutConnection}, "cut"),
		Entry("a connection that is cut at once", SpecTimeout(specLimit), emulator.Fault{Kind: emulator.BeforeEffectCut}, "without an answer"),
	)

	It("by not answering keeps nobody else waiting, and is given up in time", func(ctx SpecContext) {
		r := newRunning(ctx, func(app *v1alpha1.Application) { app.Spec.Repository.Interval = nil })
		r.settles(ctx, r.sha, "develop", "success")
		other := newRunning(ctx)
		before := r.objects(ctx)
		r.strike(emulator.Fault{Kind: emulator.Slow, Delay: time.Hour, Times: 1})
		r.commit("develop", "second")
		Eventually(func() int { return github.Struck(emulator.Slow) }).WithContext(ctx).Should(Equal(1))
		for _, message := range []string{"second", "third"} {
			other.runs(ctx, "develop", other.commit("develop", message))
		}
		Expect(r.reachableSince(ctx)).NotTo(BeZero())
		r.unreachable(ctx, v1alpha1.UnreachableReason, "no answer came in time")
		Expect(r.objects(ctx)).To(Equal(before))
		r.runs(ctx, "develop", r.commit("develop", "third"))
	}, SpecTimeout(specLimit))

	It("by answering late is no failure", func(ctx SpecContext) {
		r := newRunning(ctx)
		r.strike(emulator.Fault{Kind: emulator.Slow, Delay: 100 * time.Millisecond})
		since := r.reachableSince(ctx)
		r.runs(ctx, "develop", r.commit("develop", "second"))
		Expect(r.reachableSince(ctx)).To(Equal(since))
	}, SpecTimeout(specLimit))

	It("by taking the credential back is over when the Secret is rotated in place", func(ctx SpecContext) {
		r := newRunning(ctx)
		before := r.objects(ctx)
		github.RevokeToken(r.token)
		r.unreachable(ctx, v1alpha1.UnauthorizedReason, "renew it in the Secret")
		Expect(r.objects(ctx)).To(Equal(before))

		fresh := r.token + "-fresh"
		github.AddToken(emulator.Token{Value: fresh, Login: "mainstem-bot"})
		secret := &corev1.Secret{}
		Expect(admin.Get(ctx, client.ObjectKey{Namespace: r.namespace, Name: "github"}, secret)).To(Succeed())
		secret.StringData = tokenSecret(fresh)
		Expect(admin.Update(ctx, secret)).To(Succeed())
		r.reachable(ctx)
		r.runs(ctx, "develop", r.commit("develop", "second"))
	}, SpecTimeout(specLimit))
})

var _ = Describe("A rate limit", func() {
	DescribeTable("is kept to the second, whatever happens meanwhile",
		func(ctx SpecContext, fault emulator.Fault) {
			r := newRunning(ctx)
			before := r.objects(ctx)
			journal := r.journal()
			fault.Times = 1
			r.strike(fault)
			told := r.unreachable(ctx, v1alpha1.RateLimitedReason, "rate limit is reached", "next try at")
			until := instantIn(told.Message)
			Expect(until).To(BeTemporally(">=", journal.times()[0].Add(fault.Delay-time.Second)), "GitHub says it in whole seconds")
			Expect(until).To(BeTemporally("<=", time.Now().Add(fault.Delay)))
			Expect(r.objects(ctx)).To(Equal(before))
			Expect(r.read(ctx).Status.Conditions).NotTo(ContainElement(HaveField("Type", v1alpha1.StalledCondition)))

			By("asking nothing, although webhooks say that there is something new")
			next := r.commit("develop", "second")
			Eventually(github.WebhooksIdle).WithContext(ctx).Should(BeTrue())
			r.runs(ctx, "develop", next)
			tries := journal.times()
			limited := tries[0]
			for _, at := range tries[1:] {
				Expect(at).To(BeTemporally(">=", until.Add(-10*time.Millisecond)), "asked %s after the limit was hit", at.Sub(limited))
			}

			By("asking again as soon as it may")
			Expect(tries[1]).To(BeTemporally("<", until.Add(15*time.Second)), "and not as late as where GitHub does not say when")
			r.reachable(ctx)
		},
		Entry("of requests an hour", SpecTimeout(specLimit), emulator.Fault{Kind: emulator.PrimaryLimit, Delay: 2 * time.Second}),
		Entry("of bursts", SpecTimeout(specLimit), emulator.Fault{Kind: emulator.SecondaryLimit, Delay: 2 * time.Second}),
		Entry("of requests an hour, as 429", SpecTimeout(specLimit), emulator.Fault{Kind: emulator.PrimaryLimit, Status: http.StatusTooManyRequests, Delay: 2 * time.Second}),
		Entry("of bursts, as 429", SpecTimeout(specLimit), emulator.Fault{Kind: emulator.SecondaryLimit, Status: http.StatusTooManyRequests, Delay: 2 * time.Second}),
	)

	DescribeTable("that says no instant is kept for a minute at least",
		func(ctx SpecContext, fault emulator.Fault) {
			r := newRunning(ctx)
			before := r.objects(ctx)
			journal := r.journal()
			r.strike(fault)
			told := r.unreachable(ctx, v1alpha1.RateLimitedReason, "next try at")
			Expect(instantIn(told.Message)).To(BeTemporally(">=", journal.times()[0].Add(59*time.Second)))

			for _, message := range []string{"second", "third"} {
				r.commit("develop", message)
				Eventually(github.WebhooksIdle).WithContext(ctx).Should(BeTrue())
			}
			r.kick(ctx)
			Expect(journal.times()).To(HaveLen(1))
			Expect(r.objects(ctx)).To(Equal(before))
		},
		Entry("429 with a page", SpecTimeout(specLimit), emulator.Fault{Kind: emulator.Status5xx, Status: http.StatusTooManyRequests}),
		Entry("403 in GitHub's words, without Retry-After", SpecTimeout(specLimit), emulator.Fault{Kind: emulator.SecondaryLimit, Delay: emulator.Unsaid}),
	)
})

// reachableSince is since when GitHub answers.
func (w *world) reachableSince(ctx context.Context) metav1.Time {
	GinkgoHelper()
	w.reachable(ctx)
	for _, condition := range w.read(ctx).Status.Conditions {
		if condition.Type == v1alpha1.RepositoryReachableCondition {
			return condition.LastTransitionTime
		}
	}
	return metav1.Time{}
}

// journal keeps when the world's repository was asked for from now on.
type journal struct {
	mutex sync.Mutex
	at    []time.Time
}

func (w *world) journal() *journal {
	j := &journal{}
	github.Inject(emulator.Fault{Kind: emulator.Slow, Match: func(r *http.Request) bool {
		if w.about(r) {
			j.mutex.Lock()
			defer j.mutex.Unlock()
			j.at = append(j.at, time.Now())
		}
		return false
	}})
	DeferCleanup(github.ClearFaults)
	return j
}

func (j *journal) times() []time.Time {
	j.mutex.Lock()
	defer j.mutex.Unlock()
	return append([]time.Time(nil), j.at...)
}

// instantIn is the instant at the end of a sentence.
func instantIn(message string) time.Time {
	GinkgoHelper()
	at, err := time.Parse(time.RFC3339, message[strings.LastIndex(message, " ")+1:])
	Expect(err).NotTo(HaveOccurred())
	return at
}
