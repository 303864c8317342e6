// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package application

import (
	"context"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

var web = types.NamespacedName{Namespace: "team", Name: "web"}

func TestAnApplicationRestsOnceItsReconciliationHasEnded(t *testing.T) {
	var r rests
	if r.current(web) != nil {
		t.Error("it rests before it was ever reconciled")
	}
	begun := r.begin(web)
	if r.current(web) != nil {
		t.Error("it rests while it is reconciled")
	}
	r.settle(web, begun, rest{version: "7", looks: 3})
	if on := r.current(web); on == nil || on.version != "7" || on.looks != 3 {
		t.Errorf("it rests on %+v", on)
	}
	r.begin(web)
	if r.current(web) != nil {
		t.Error("it rests while it is reconciled again")
	}
}

func TestWhatChangesDuringAReconciliationKeepsFromRest(t *testing.T) {
	var r rests
	begun := r.begin(web)
	r.end(web)
	r.settle(web, begun, rest{version: "7"})
	if r.current(web) != nil {
		t.Error("what changed since is not seen")
	}
	late := r.begin(web)
	r.settle(web, begun, rest{version: "7"})
	if r.current(web) != nil {
		t.Error("a reconciliation that was over lets another one rest")
	}
	r.settle(web, late, rest{version: "8"})
	if on := r.current(web); on == nil || on.version != "8" {
		t.Errorf("it rests on %+v", on)
	}
}

// TestWhatIsWatchedEndsTheRest : before the Application is queued, or its reconciliation could begin at rest.
func TestWhatIsWatchedEndsTheRest(t *testing.T) {
	r := &Reconciler{}
	other := types.NamespacedName{Namespace: "team", Name: "other"}
	for _, key := range []types.NamespacedName{web, other} {
		r.rests.settle(key, r.rests.begin(key), rest{})
	}
	queue := workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
	defer queue.ShutDown()
	handler := r.waking(func(_ context.Context, object client.Object) []reconcile.Request {
		if r.rests.current(web) == nil {
			t.Error("the rest ended before anybody knew whom it concerns")
		}
		return requestFor(object.GetNamespace(), object.GetName())
	})
	handler.Create(t.Context(), event.CreateEvent{Object: &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Namespace: web.Namespace, Name: web.Name}}}, queue)
	if queue.Len() != 1 || r.rests.current(web) != nil {
		t.Errorf("%d are queued, and it rests: %t", queue.Len(), r.rests.current(web) != nil)
	}
	if r.rests.current(other) == nil {
		t.Error("another one does not rest any more")
	}
}

func TestARestIsOver(t *testing.T) {
	now := time.Date(2026, 3, 14, 9, 26, 53, 0, time.UTC)
	app := &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{ResourceVersion: "7"}}
	for because, test := range map[string]struct {
		change func(*rest)
		want   bool
	}{
		"nothing has changed":                     {func(*rest) {}, false},
		"time alone changes nothing yet":          {func(on *rest) { on.until = now.Add(time.Second) }, false},
		"time alone may change something":         {func(on *rest) { on.until = now }, true},
		"the Application was written":             {func(on *rest) { on.version = "6" }, true},
		"it has had its looks":                    {func(on *rest) { on.looks = 0 }, true},
		"it has had its hour, by a long interval": {func(on *rest) { on.since = now.Add(-time.Hour) }, true},
	} {
		on := &rest{version: "7", looks: 1, since: now.Add(-time.Hour + time.Second)}
		test.change(on)
		if got := on.isOver(app, now); got != test.want {
			t.Errorf("%s: got %t, want %t", because, got, test.want)
		}
	}
}

func TestOnlyWhatIsIdleEverywhereRests(t *testing.T) {
	for phase, want := range map[v1alpha1.EnvironmentPhase]bool{
		v1alpha1.EnvironmentIdle: true, v1alpha1.EnvironmentWaiting: false, v1alpha1.EnvironmentMerging: false,
		v1alpha1.EnvironmentDeploying: false, v1alpha1.EnvironmentFailed: false,
	} {
		status := v1alpha1.ApplicationStatus{Environments: []v1alpha1.EnvironmentState{{Phase: v1alpha1.EnvironmentIdle}, {Phase: phase}}}
		if got := idle(status); got != want {
			t.Errorf("%s: got %t, want %t", phase, got, want)
		}
	}
}

func TestNotAllRestsLastTheSame(t *testing.T) {
	seen := map[int]bool{}
	for _, uid := range []types.UID{"a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"} {
		looks := spread(uid)
		if looks < 1 || looks > looksAtRest {
			t.Errorf("a rest of %d looks", looks)
		}
		if spread(uid) != looks {
			t.Error("it is not always the same for one Application")
		}
		seen[looks] = true
	}
	if len(seen) < 3 {
		t.Errorf("only these: %v", seen)
	}
}
