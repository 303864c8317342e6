// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package environment

import (
	"slices"
	"testing"

	"k8s.io/client-go/util/workqueue"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
)

func newQueue() queue {
	return workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]())
}

func drain(queue queue) []string {
	var names []string
	for queue.Len() > 0 {
		request, _ := queue.Get()
		names = append(names, request.Name)
		queue.Done(request)
	}
	slices.Sort(names)
	return names
}

func TestApplicationsWakeOnlyTheEnvironmentsTheyAlter(t *testing.T) {
	both := application("a", healthy("develop"), healthy("main"))
	busy := both.DeepCopy()
	busy.Status.Summary = "something else"
	busy.Status.Environments[0].WaitingFor = "checks"
	busy.Status.Environments[0].Current.Commit = "another"
	broken := both.DeepCopy()
	broken.Status.Environments[1] = failed("main")

	tests := map[string]struct {
		old, current *mainstemv1.Application
		want         []string
	}{
		"created":                  {nil, both, []string{"develop", "main"}},
		"deleted":                  {both, nil, []string{"develop", "main"}},
		"nothing that counts":      {both, busy, nil},
		"failed in one":            {both, broken, []string{"main"}},
		"one is no longer listed":  {both, application("a", healthy("develop")), []string{"main"}},
		"one is listed now":        {application("a", healthy("develop")), both, []string{"main"}},
		"listed, without a status": {application("a"), application("a", mainstemv1.EnvironmentState{Name: "main"}), []string{"main"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			queue := newQueue()
			defer queue.ShutDown()
			handler := applicationHandler()
			switch {
			case test.old == nil:
				handler.Create(t.Context(), event.CreateEvent{Object: test.current}, queue)
			case test.current == nil:
				handler.Delete(t.Context(), event.DeleteEvent{Object: test.old}, queue)
			default:
				handler.Update(t.Context(), event.UpdateEvent{ObjectOld: test.old, ObjectNew: test.current}, queue)
			}
			if got := drain(queue); !slices.Equal(got, test.want) {
				t.Errorf("woke %v, want %v", got, test.want)
			}
		})
	}
}

func TestGraphChanged(t *testing.T) {
	changed := graphChanged()
	described := environment("main", "develop")
	described.Spec.Description = "production"
	tests := map[string]struct {
		old, current *mainstemv1.Environment
		want         bool
	}{
		"a description":    {environment("main", "develop"), described, false},
		"another upstream": {environment("main", "develop"), environment("main", "staging"), true},
		"no upstream":      {environment("main", "develop"), environment("main"), true},
	}
	for name, test := range tests {
		if got := changed.Update(event.UpdateEvent{ObjectOld: test.old, ObjectNew: test.current}); got != test.want {
			t.Errorf("%s: %t, want %t", name, got, test.want)
		}
	}
	if !changed.Create(event.CreateEvent{Object: environment("a")}) || !changed.Delete(event.DeleteEvent{Object: environment("a")}) {
		t.Error("a new or a deleted Environment must count")
	}
}
