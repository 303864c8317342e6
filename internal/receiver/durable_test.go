// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
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
	writer := interceptor.NewClient(f.api, interceptor.Funcs{
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			f.attempts.Add(1)
			if fails := f.fails.Load(); fails != nil {
				return *fails
			}
			return c.Patch(ctx, object, patch, options...)
		},
	})
	f.durable = NewDurable(writer, f.stopping)
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

// delivered is the delivery that is written on an Application.
func (f *follower) delivered(name string) string {
	found := &mainstemv1.Application{}
	f.Expect(f.api.Get(f.t.Context(), client.ObjectKey{Namespace: "team-a", Name: name}, found)).To(gomega.Succeed())
	return found.Annotations[mainstemv1.DeliveryAnnotation]
}

func TestOneWriteForEachDelivery(t *testing.T) {
	one := application("team-a", "one", podinfo, "s")
	one.Annotations = map[string]string{"note": "kept"}
	f := newFollower(t, one, application("team-a", "two", podinfo, "s"), application("team-a", "three", podinfo, "s"))
	for n, ids := range []string{"first", "first", "second"} { // the second one is a redelivery
		f.Expect(f.durable.Wake(t.Context(), named("one", "two", "three"), delivery(ids))).To(gomega.Succeed())
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
}

func TestWhatTheAPIServerRefusesIsNotTriedAgain(t *testing.T) {
	f := newFollower(t, application("team-a", "one", podinfo, "s"))
	f.fail(apierrors.NewInvalid(schema.GroupKind{Kind: "Application"}, "one", nil))
	f.Expect(f.durable.Wake(t.Context(), named("one"), delivery("1"))).To(gomega.MatchError(apierrors.IsInvalid, "invalid"))
	f.Expect(f.attempts.Load()).To(gomega.BeEquivalentTo(1))
}

func TestStoppingEndsTheWait(t *testing.T) {
	f := newFollower(t, application("team-a", "one", podinfo, "s"))
	f.fail(errAway)
	done := make(chan error, 1)
	go func() { done <- f.durable.Wake(t.Context(), named("one"), delivery("1")) }()
	f.Eventually(f.attempts.Load).Should(gomega.BeNumerically(">", 0))
	close(f.stopping)
	f.Eventually(done).Should(gomega.Receive(gomega.MatchError(errAway)))
}
