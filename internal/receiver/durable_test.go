// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
)

var errAway = errors.New("connection refused")

// follower is a Durable over a fake API server.
type follower struct {
	*gomega.WithT
	t        *testing.T
	durable  *Durable
	api      client.WithWatch
	attempts atomic.Int32
	fails    atomic.Pointer[error]
	stopping chan struct{}
}

func newFollower(t *testing.T, objects ...client.Object) *follower {
	t.Helper()
	f := &follower{WithT: gomega.NewWithT(t), t: t, stopping: make(chan struct{})}
	f.SetDefaultEventuallyTimeout(patience)
	f.api = fake.NewClientBuilder().WithScheme(newScheme(t)).WithObjects(objects...).Build()
	metrics, err := NewMetrics(prometheus.NewRegistry())
	f.Expect(err).NotTo(gomega.HaveOccurred())
	writer := interceptor.NewClient(f.api, interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			f.attempts.Add(1)
			if fails := f.fails.Load(); fails != nil {
				return *fails
			}
			return c.Patch(ctx, object, patch, options...)
		},
	})
	f.durable = NewDurable(writer, metrics, f.stopping)
	f.durable.later = wait.Backoff{Duration: time.Millisecond}
	return f
}

// fail lets writes fail; with nil they succeed again.
func (f *follower) fail(err error) {
	if err == nil {
		f.fails.Store(nil)
		return
	}
	f.fails.Store(&err)
}

// start writes what is kept, until the test ends.
func (f *follower) start() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- f.durable.Start(ctx) }()
	f.t.Cleanup(func() {
		cancel()
		f.Expect(<-ended).To(gomega.Succeed())
	})
}

// delivered is the delivery that is written on an Application.
func (f *follower) delivered(name string) string {
	found := &mainstemv1.Application{}
	f.Expect(f.api.Get(f.t.Context(), client.ObjectKey{Namespace: "team-a", Name: name}, found)).To(gomega.Succeed())
	return found.Annotations[mainstemv1.DeliveryAnnotation]
}

// unwritten is the metric.
func (f *follower) unwritten() int {
	metric := &dto.Metric{}
	f.Expect(f.durable.metrics.unwritten.Write(metric)).To(gomega.Succeed())
	return int(metric.GetGauge().GetValue())
}

// soon is the time that a delivery has which fails.
func (f *follower) soon() context.Context {
	ctx, cancel := context.WithTimeout(f.t.Context(), 300*time.Millisecond)
	f.t.Cleanup(cancel)
	return ctx
}

func TestOneWriteForEachDelivery(t *testing.T) {
	one := application("team-a", "one", podinfo, "s")
	one.Annotations = map[string]string{"note": "kept"}
	f := newFollower(t, one, application("team-a", "two", podinfo, "s"), application("team-a", "three", podinfo, "s"))
	for n, ids := range []string{"first", "first", "second"} { // the second one is a redelivery
		f.Expect(f.durable.Wake(t.Context(), named("two", "three", "one"), delivery(ids))).To(gomega.Succeed())
		f.Expect(f.delivered("one")).To(gomega.Equal(ids))
		f.Expect(f.attempts.Load()).To(gomega.BeEquivalentTo([]int{1, 1, 2}[n]))
	}
	f.Expect(f.delivered("two") + f.delivered("three")).To(gomega.BeEmpty())
	found := &mainstemv1.Application{}
	f.Expect(f.api.Get(t.Context(), client.ObjectKeyFromObject(one), found)).To(gomega.Succeed())
	f.Expect(found.Annotations).To(gomega.HaveKeyWithValue("note", "kept"))
}

func TestOneThatIsThereStandsForTheOthers(t *testing.T) {
	leaving := application("team-a", "leaving", podinfo, "s")
	leaving.DeletionTimestamp, leaving.Finalizers = &metav1.Time{Time: time.Now()}, []string{mainstemv1.Finalizer}
	f := newFollower(t, leaving, application("team-a", "there", podinfo, "s"))
	f.Expect(f.durable.Wake(t.Context(), named("gone", "leaving", "there"), delivery("1"))).To(gomega.Succeed())
	f.Expect(f.delivered("there")).To(gomega.Equal("1"))
	f.Expect(f.delivered("leaving")).To(gomega.BeEmpty())
	f.Expect(f.durable.Wake(t.Context(), named("gone", "leaving"), delivery("2"))).To(gomega.Succeed(), "nobody is there to be woken")
}

func TestAWriteThatSucceedsInTime(t *testing.T) {
	f := newFollower(t, application("team-a", "one", podinfo, "s"))
	f.fail(errAway)
	done := make(chan error, 1)
	go func() { done <- f.durable.Wake(t.Context(), named("one"), delivery("1")) }()
	f.Eventually(f.attempts.Load).Should(gomega.BeNumerically(">", 1))
	f.Consistently(done, "50ms").ShouldNot(gomega.Receive(), "it is answered only when it is written")
	f.fail(nil)
	f.Eventually(done).Should(gomega.Receive(gomega.BeNil()))
	f.Expect(f.delivered("one")).To(gomega.Equal("1"))
	f.Expect(f.unwritten()).To(gomega.BeZero())
}

func TestWhatFailsIsWrittenLater(t *testing.T) {
	f := newFollower(t, application("team-a", "one", podinfo, "s"), application("team-a", "two", podinfo, "s"))
	f.start()
	f.fail(errAway)
	for n := range 3 {
		for _, name := range []string{"one", "two"} {
			f.Expect(f.durable.Wake(f.soon(), named(name), delivery(fmt.Sprint(n)))).To(gomega.MatchError(errAway))
		}
	}
	f.Expect(f.unwritten()).To(gomega.Equal(2), "a later delivery says all that an earlier one did")
	f.fail(nil)
	f.Eventually(f.unwritten).Should(gomega.BeZero())
	f.Expect([]string{f.delivered("one"), f.delivered("two")}).To(gomega.HaveEach("2"))
}

func TestALaterDeliveryThatIsWrittenIsEnough(t *testing.T) {
	f := newFollower(t, application("team-a", "one", podinfo, "s"))
	f.fail(errAway)
	f.Expect(f.durable.Wake(f.soon(), named("one"), delivery("1"))).NotTo(gomega.Succeed())
	f.Expect(f.unwritten()).To(gomega.Equal(1))
	f.fail(nil)
	f.Expect(f.durable.Wake(t.Context(), named("one"), delivery("2"))).To(gomega.Succeed())
	f.Expect(f.unwritten()).To(gomega.BeZero())
	f.Expect(f.durable.writeKept(t.Context())).To(gomega.BeZero())
	f.Expect(f.delivered("one")).To(gomega.Equal("2"))
}

func TestWhatTheAPIServerRefusesIsNotTriedAgain(t *testing.T) {
	f := newFollower(t, application("team-a", "one", podinfo, "s"))
	f.fail(apierrors.NewInvalid(schema.GroupKind{Kind: "Application"}, "one", nil))
	f.Expect(f.durable.Wake(t.Context(), named("one"), delivery("1"))).To(gomega.MatchError(apierrors.IsInvalid, "invalid"))
	f.Expect(f.attempts.Load()).To(gomega.BeEquivalentTo(1))
	f.Expect(f.unwritten()).To(gomega.BeZero())
}

func TestStoppingEndsTheWait(t *testing.T) {
	f := newFollower(t, application("team-a", "one", podinfo, "s"))
	f.fail(errAway)
	done := make(chan error, 1)
	go func() { done <- f.durable.Wake(t.Context(), named("one"), delivery("1")) }()
	f.Eventually(f.attempts.Load).Should(gomega.BeNumerically(">", 0))
	close(f.stopping)
	f.Eventually(done, time.Second).Should(gomega.Receive(gomega.MatchError(errAway)))
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	f := newFollower(t, application("team-a", "one", podinfo, "s"))
	close(f.stopping)
	f.fail(errAway)
	f.durable.limit = 2
	for _, name := range []string{"a", "b", "c", "a"} {
		f.durable.keep(wakeUp{applications: named(name), delivery: delivery("1")})
	}
	f.Expect(f.unwritten()).To(gomega.Equal(2))
}
