// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/onsi/gomega"
	dto "github.com/prometheus/client_model/go"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/mainstem-dev/mainstem/internal/github"
)

// waiting is the metric.
func (e *endpoint) waiting() int {
	e.t.Helper()
	metric := &dto.Metric{}
	if err := e.handler.metrics.backlog.Write(metric); err != nil {
		e.t.Fatal(err)
	}
	return int(metric.GetGauge().GetValue())
}

// catchUp handles what failed, until the test ends.
func (e *endpoint) catchUp() {
	e.handler.backlog.pauses = wait.Backoff{Duration: time.Millisecond}
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { _ = e.handler.backlog.Start(ctx) })
	e.t.Cleanup(func() {
		cancel()
		ended.Wait()
	})
}

// locked does something that what runs meanwhile must not see half of.
func (e *endpoint) locked(change func()) {
	e.mutex.Lock()
	defer e.mutex.Unlock()
	change()
}

func TestWhatCouldNotBeWrittenIsWokenLater(t *testing.T) {
	g, e := gomega.NewWithT(t), oneApplication(t)
	close(e.stopping)
	e.waker.fails(errAway)
	for range 3 {
		e.expect(pushTo("acme/podinfo", keyA), http.StatusServiceUnavailable, outcomeFailed)
	}
	e.catchUp()
	g.Expect(e.waiting()).To(gomega.Equal(1), "a later delivery says all that an earlier one did")
	e.waker.fails(nil)
	g.Eventually(e.waiting, patience).Should(gomega.BeZero())
	g.Expect(e.waker.woken()).To(gomega.Equal([]string{"team-a/podinfo"}))
}

// Where the Secret cannot be read, nobody knows whether to believe a delivery: it is verified later, and only then believed.
func TestWhatCouldNotBeVerifiedIsVerifiedLater(t *testing.T) {
	g, e := gomega.NewWithT(t), oneApplication(t)
	close(e.stopping)
	e.failReads = errAway
	e.expect(pushTo("acme/podinfo", "guessed"), http.StatusServiceUnavailable, outcomeFailed)
	e.expect(pushTo("acme/podinfo", keyA), http.StatusServiceUnavailable, outcomeFailed)
	g.Expect(e.waiting()).To(gomega.Equal(2))
	e.catchUp()
	e.locked(func() { e.failReads = nil })
	g.Eventually(e.waiting, patience).Should(gomega.BeZero())
	g.Expect(e.waker.woken()).To(gomega.Equal([]string{"team-a/podinfo"}), "once, by the one that the secret signed")
	g.Expect(e.handler.backlog.bytes).To(gomega.BeZero())
}

func TestADeliveryThatIsTakenIsEnough(t *testing.T) {
	g, e := gomega.NewWithT(t), oneApplication(t)
	close(e.stopping)
	before, ping := pushTo("acme/podinfo", keyA), pushTo("acme/podinfo", keyA)
	ping.event = string(github.EventPing)
	e.expect(before, http.StatusAccepted, outcomeWoken, "team-a/podinfo")
	e.waker.fails(errAway)
	e.expect(pushTo("acme/podinfo", keyA), http.StatusServiceUnavailable, outcomeFailed)
	e.expect(before, http.StatusAccepted, outcomeRepeated)
	e.expect(ping, http.StatusAccepted, outcomePinged)
	g.Expect(e.waiting()).To(gomega.Equal(1), "these say nothing of what failed")
	e.waker.fails(nil)
	e.expect(pushTo("acme/podinfo", keyA), http.StatusAccepted, outcomeWoken, "team-a/podinfo")
	g.Expect(e.waiting()).To(gomega.BeZero())
}

func TestWhatTheAPIServerRefusesIsNotKept(t *testing.T) {
	g, e := gomega.NewWithT(t), oneApplication(t)
	e.waker.fails(apierrors.NewInvalid(schema.GroupKind{Kind: "Application"}, "podinfo", nil))
	e.expect(pushTo("acme/podinfo", keyA), http.StatusServiceUnavailable, outcomeFailed)
	g.Expect(e.waiting()).To(gomega.BeZero())
}

func TestTheBacklogIsBounded(t *testing.T) {
	g := gomega.NewWithT(t)
	b := oneApplication(t).handler.backlog
	keep := func(key, id string, bytes int) {
		b.keep(late{key: key, id: id, bytes: bytes, handle: func(context.Context) error { return errAway }})
	}
	const large = backlogBytes / 4
	for _, key := range []string{"a", "b", "c", "d", "e"} {
		keep(key, key, large)
	}
	g.Expect(b.kept).To(gomega.HaveLen(4))
	keep("a", "another", large)
	g.Expect(b.kept["a"].id).To(gomega.Equal("another"), "what takes the place of something has room")
	b.finished(late{key: "a", id: "a"})
	g.Expect(b.kept).To(gomega.HaveKey("a"), "a later one has taken its place")
	b.finished(late{key: "a", id: "another"})
	b.drop("b")
	b.drop("nothing")
	g.Expect(b.bytes).To(gomega.Equal(2 * large))
	for n := range backlogDeliveries {
		keep(fmt.Sprint(n), "x", 0)
	}
	g.Expect(b.kept).To(gomega.HaveLen(backlogDeliveries))
}

// Where the API server does not answer for one, the others are not tried; where it says no to one, they are.
func TestTheBacklogDoesNotWaitForEachInVain(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "applications"}, "podinfo", errors.New("no"))
	for _, test := range []struct {
		err      error
		attempts int
	}{{errAway, 1}, {forbidden, 3}} {
		b, attempts := oneApplication(t).handler.backlog, 0
		for n := range 3 {
			b.keep(late{key: fmt.Sprint(n), id: "x", handle: func(context.Context) error {
				attempts++
				return test.err
			}})
		}
		if left := b.handle(t.Context()); left != 3 || attempts != test.attempts {
			t.Errorf("%v: %d attempts, %d left", test.err, attempts, left)
		}
	}
}
