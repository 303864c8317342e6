// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/onsi/gomega"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// leader is a Relay over an endpoint's API server.
type leader struct {
	t         *testing.T
	relay     *Relay
	requests  workqueue.TypedRateLimitingInterface[reconcile.Request]
	forgotten invalidated
}

func newLeader(e *endpoint) *leader {
	l := &leader{t: e.t, requests: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())}
	l.relay = &Relay{reader: e.handler.applications, secrets: e.handler.secrets, invalidator: &l.forgotten}
	e.t.Cleanup(l.requests.ShutDown)
	return l
}

// wake relays what was written on an Application, and gives those that were woken.
func (l *leader) wake(namespace, name string) ([]string, error) {
	err := l.relay.wake(l.t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, l.requests)
	var woken []string
	for l.requests.Len() > 0 {
		request, _ := l.requests.Get()
		l.requests.Done(request)
		woken = append(woken, request.String())
	}
	slices.Sort(woken)
	return woken, err
}

// manyTeams are Applications of one repository, and some of another.
func manyTeams() []client.Object {
	return []client.Object{
		application("team-a", "one", podinfo, "github-app"), application("team-a", "two", podinfo, "github-app"),
		application("team-a", "three", podinfo, "other"), application("team-a", "elsewhere", "https://github.com/acme/elsewhere", "github-app"),
		application("team-b", "one", podinfo, "github-app"), application("team-c", "one", podinfo, "github-app"),
		application("team-d", "one", podinfo, "github-app"), application("team-e", "anonymous", podinfo, ""), application("team-f", "no-such-secret", podinfo, "none"),
		secret("team-a", "github-app", keyA), secret("team-a", "other", keyB), secret("team-b", "github-app", keyA),
		secret("team-c", "github-app", keyB), secret("team-d", "github-app", ""),
	}
}

func TestRelayWakesThoseWithTheSameSecret(t *testing.T) {
	tests := map[string]struct{ namespace, name, want string }{
		"one secret of two teams": {"team-a", "two", "team-a/one team-a/two team-b/one"},
		"the other one":           {"team-c", "one", "team-a/three team-c/one"},
		"an empty secret is none": {"team-d", "one", "team-d/one"},
		"there is no such Secret": {"team-f", "no-such-secret", "team-f/no-such-secret"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			l := newLeader(newEndpoint(t, manyTeams()...))
			woken, err := l.wake(test.namespace, test.name)
			if got := strings.Join(woken, " "); err != nil || got != test.want {
				t.Errorf("woke %q (%v), want %q", got, err, test.want)
			}
			if !slices.Equal(l.forgotten, []string{"github.com/acme/podinfo"}) {
				t.Errorf("made old what was known of %v", l.forgotten)
			}
		})
	}
}

func TestRelayReadsNoSecretForOneThatAllUse(t *testing.T) {
	e := newEndpoint(t, application("team-a", "one", podinfo, "github-app"), application("team-a", "two", podinfo, "github-app"), secret("team-a", "github-app", keyA))
	l := newLeader(e)
	l.relay.reader = e.client // reads of Applications do not count
	if woken, err := l.wake("team-a", "one"); err != nil || len(woken) != 2 || e.reads != 0 {
		t.Errorf("woke %v (%v) with %d reads", woken, err, e.reads)
	}
}

func TestRelayOfNothing(t *testing.T) {
	l := newLeader(newEndpoint(t, manyTeams()...))
	for _, name := range []client.ObjectKey{{Namespace: "team-a", Name: "gone"}, {Namespace: "team-e", Name: "anonymous"}} {
		if woken, err := l.wake(name.Namespace, name.Name); err != nil || len(woken) != 0 {
			t.Errorf("%s woke %v (%v)", name, woken, err)
		}
	}
}

// A Secret that cannot be read keeps only those from being woken that use it, and is an error, so that it is tried again.
func TestRelayWithoutAnAPIServer(t *testing.T) {
	e := newEndpoint(t, manyTeams()...)
	l := newLeader(e)
	l.relay.reader = e.client
	e.failReads = errors.New("connection refused")
	if woken, err := l.wake("team-a", "one"); err == nil || strings.Join(woken, " ") != "team-a/one team-a/two" {
		t.Errorf("woke %v (%v)", woken, err)
	}
	e.failReads = nil
	if woken, err := l.wake("team-a", "one"); err != nil || strings.Join(woken, " ") != "team-a/one team-a/two team-b/one" {
		t.Errorf("woke %v (%v)", woken, err)
	}
}

func TestRelayTriesAgain(t *testing.T) {
	e := newEndpoint(t, manyTeams()...)
	l := newLeader(e)
	l.relay.reader = e.client
	l.relay.written = workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[client.ObjectKey](1, 1))
	e.failReads, e.mended = errors.New("connection refused"), 8
	go l.relay.work(t.Context(), l.requests)
	t.Cleanup(l.relay.written.ShutDown)
	l.relay.written.Add(client.ObjectKey{Namespace: "team-a", Name: "one"})
	gomega.NewWithT(t).Eventually(l.requests.Len, patience).Should(gomega.Equal(3), "also the one whose Secret could not be read at first")
}

func TestWhatIsADelivery(t *testing.T) {
	with := func(value string) *mainstemv1.Application {
		app := application("team-a", "one", podinfo, "s")
		if value != "" {
			app.Annotations = map[string]string{mainstemv1.DeliveryAnnotation: value}
		}
		return app
	}
	for _, test := range []struct {
		before, after string
		want          bool
	}{{"", "1", true}, {"1", "2", true}, {"1", "1", false}, {"1", "", false}, {"", "", false}} {
		if got := delivered(event.TypedUpdateEvent[*mainstemv1.Application]{ObjectOld: with(test.before), ObjectNew: with(test.after)}); got != test.want {
			t.Errorf("from %q to %q: %t", test.before, test.after, got)
		}
	}
}
