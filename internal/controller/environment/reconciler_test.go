// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package environment

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/index"
)

// world is a reconciler over a fake API server, with a clock that only the test moves.
type world struct {
	t          *testing.T
	client     client.WithWatch
	reconciler *Reconciler
	now        time.Time
	writes     int
	refuse     error
	events     []string
}

func (w *world) Eventf(_, _ runtime.Object, eventtype, reason, _, note string, args ...any) {
	w.events = append(w.events, eventtype+" "+reason+" "+fmt.Sprintf(note, args...))
}

func newWorld(t *testing.T, objects ...client.Object) *world {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := mainstemv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)}
	w.client = fake.NewClientBuilder().WithScheme(scheme).WithObjects(objects...).
		WithStatusSubresource(&mainstemv1.Environment{}, &mainstemv1.Application{}).
		WithIndex(&mainstemv1.Application{}, index.ApplicationsByEnvironment, index.EnvironmentsOf).Build()
	counted := interceptor.NewClient(w.client, interceptor.Funcs{
		SubResourcePatch: func(ctx context.Context, c client.Client, sub string, object client.Object, patch client.Patch, options ...client.SubResourcePatchOption) error {
			w.writes++
			if w.refuse != nil {
				return w.refuse
			}
			return c.SubResource(sub).Patch(ctx, object, patch, options...)
		},
	})
	w.reconciler = &Reconciler{Client: counted, Recorder: w, Now: func() time.Time { return w.now }}
	return w
}

func (w *world) reconcile(name string) ctrl.Result {
	w.t.Helper()
	result, err := w.reconciler.Reconcile(w.t.Context(), requestFor(name))
	if err != nil {
		w.t.Fatal(err)
	}
	return result
}

func (w *world) environment(name string) *mainstemv1.Environment {
	w.t.Helper()
	found := &mainstemv1.Environment{}
	if err := w.client.Get(w.t.Context(), client.ObjectKey{Name: name}, found); err != nil {
		w.t.Fatal(err)
	}
	return found
}

func environment(name string, after ...mainstemv1.EnvironmentName) *mainstemv1.Environment {
	result := &mainstemv1.Environment{ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1}}
	result.Spec.After = after
	result.Spec.Target.ServiceAccountName = "deployer"
	result.Status.ObservedGeneration = -1
	return result
}

func application(name string, states ...mainstemv1.EnvironmentState) *mainstemv1.Application {
	result := &mainstemv1.Application{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name}}
	result.Spec.Repository.URL = "https://github.com/acme/" + name
	result.Spec.Deploy.Kustomize = &mainstemv1.KustomizeDeploy{}
	for _, state := range states {
		result.Spec.Environments = append(result.Spec.Environments, mainstemv1.ApplicationEnvironment{
			Name: state.Name, Source: &mainstemv1.Source{Branch: "main"},
		})
	}
	result.Status.Environments = states
	return result
}

func healthy(name mainstemv1.EnvironmentName) mainstemv1.EnvironmentState {
	return mainstemv1.EnvironmentState{Name: name, Phase: mainstemv1.EnvironmentIdle, Current: &mainstemv1.CurrentRelease{Healthy: metav1.ConditionTrue}}
}

func failed(name mainstemv1.EnvironmentName) mainstemv1.EnvironmentState {
	return mainstemv1.EnvironmentState{Name: name, Phase: mainstemv1.EnvironmentFailed, Current: &mainstemv1.CurrentRelease{Healthy: metav1.ConditionFalse}}
}

func refused(name mainstemv1.EnvironmentName) mainstemv1.EnvironmentState {
	return mainstemv1.EnvironmentState{Name: name, Conditions: []metav1.Condition{{
		Type: mainstemv1.AcceptedCondition, Status: metav1.ConditionFalse, Reason: mainstemv1.TargetMissingReason, LastTransitionTime: metav1.Unix(1, 0),
	}}}
}

func TestAssess(t *testing.T) {
	withGates := func(e *mainstemv1.Environment, gates ...mainstemv1.Gate) *mainstemv1.Environment {
		e.Spec.Gates = gates
		return e
	}
	withSelector := func(e *mainstemv1.Environment, operator metav1.LabelSelectorOperator) *mainstemv1.Environment {
		e.Spec.AllowedNamespaces = &mainstemv1.AllowedNamespaces{From: mainstemv1.NamespacesFromSelector, Selector: &metav1.LabelSelector{
			MatchExpressions: []metav1.LabelSelectorRequirement{{Key: "tier", Operator: operator}},
		}}
		return e
	}
	soak := mainstemv1.Gate{Name: "soak", Soak: &mainstemv1.SoakGate{}}
	tests := map[string]struct {
		subject *mainstemv1.Environment
		others  []*mainstemv1.Environment
		reason  string
		says    []string
		stalled bool
	}{
		"an entry":          {subject: environment("develop"), reason: mainstemv1.AcceptedReason},
		"an upstream":       {subject: environment("main", "develop"), others: []*mainstemv1.Environment{environment("develop")}, reason: mainstemv1.AcceptedReason},
		"no such upstream":  {subject: environment("main", "develop"), reason: mainstemv1.UpstreamNotFoundReason, says: []string{"develop", "create it", "spec.after"}},
		"two are missing":   {subject: environment("main", "qa", "develop"), reason: mainstemv1.UpstreamNotFoundReason, says: []string{"qa, develop"}},
		"a circle":          {subject: environment("main", "develop"), others: []*mainstemv1.Environment{environment("develop", "main")}, reason: mainstemv1.CycleReason, says: []string{"develop → main → develop: take one of them out of spec.after"}, stalled: true},
		"after a circle":    {subject: environment("dr", "main"), others: []*mainstemv1.Environment{environment("develop", "main"), environment("main", "develop")}, reason: mainstemv1.CycleReason, says: []string{"develop → main → develop"}, stalled: true},
		"soak at the entry": {subject: withGates(environment("develop"), soak), reason: mainstemv1.InvalidGateReason, says: []string{"soak", "spec.after"}, stalled: true},
		"soak downstream":   {subject: withGates(environment("main", "develop"), soak), others: []*mainstemv1.Environment{environment("develop")}, reason: mainstemv1.AcceptedReason},
		"an empty gate":     {subject: withGates(environment("develop"), mainstemv1.Gate{Name: "ci"}), reason: mainstemv1.InvalidGateReason, says: []string{"gate ci"}, stalled: true},
		"two in one gate":   {subject: withGates(environment("main", "develop"), mainstemv1.Gate{Name: "ci", Checks: &mainstemv1.ChecksGate{}, Soak: &mainstemv1.SoakGate{}}), others: []*mainstemv1.Environment{environment("develop")}, reason: mainstemv1.InvalidGateReason, says: []string{"gate ci"}, stalled: true},
		"a bad selector":    {subject: withSelector(environment("develop"), metav1.LabelSelectorOpIn), reason: invalidSelectorReason, says: []string{"spec.allowedNamespaces.selector"}, stalled: true},
		"a good selector":   {subject: withSelector(environment("develop"), metav1.LabelSelectorOpExists), reason: mainstemv1.AcceptedReason},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			objects := []client.Object{test.subject}
			for _, other := range test.others {
				objects = append(objects, other)
			}
			w := newWorld(t, objects...)
			w.reconcile(test.subject.Name)
			got := w.environment(test.subject.Name)
			ready := apimeta.FindStatusCondition(got.Status.Conditions, mainstemv1.ReadyCondition)
			if ready == nil || ready.Reason != test.reason || (ready.Status == metav1.ConditionTrue) != (test.reason == mainstemv1.AcceptedReason) {
				t.Fatalf("Ready is %+v, want reason %s", ready, test.reason)
			}
			for _, part := range test.says {
				if !strings.Contains(ready.Message, part) {
					t.Errorf("%q does not say %q", ready.Message, part)
				}
			}
			if stalled := apimeta.IsStatusConditionTrue(got.Status.Conditions, mainstemv1.StalledCondition); stalled != test.stalled {
				t.Errorf("Stalled is %t, want %t", stalled, test.stalled)
			}
			if got.Status.ObservedGeneration != 1 || ready.ObservedGeneration != 1 {
				t.Errorf("observed generations are %d and %d, want 1", got.Status.ObservedGeneration, ready.ObservedGeneration)
			}
		})
	}
}

func TestNothingIsWrittenWhenNothingChanges(t *testing.T) {
	w := newWorld(t, environment("develop"), application("a", healthy("develop")))
	w.reconcile("develop")
	if w.writes != 1 {
		t.Fatalf("%d writes at first, want 1", w.writes)
	}
	for range 5 {
		w.now = w.now.Add(time.Minute)
		if result := w.reconcile("develop"); result != (ctrl.Result{}) {
			t.Fatalf("an idle Environment asks to be seen again: %+v", result)
		}
	}
	if w.writes != 1 || len(w.events) != 0 {
		t.Fatalf("%d writes and events %v, want 1 and none", w.writes, w.events)
	}
}

func TestTally(t *testing.T) {
	w := newWorld(t, environment("develop"), environment("main", "develop"),
		application("a", healthy("develop"), healthy("main")),
		application("b", healthy("develop"), failed("main")),
		application("c", refused("develop")),
		application("d", mainstemv1.EnvironmentState{Name: "develop", Phase: mainstemv1.EnvironmentDeploying}),
	)
	w.reconcile("develop")
	w.reconcile("main")
	for name, want := range map[string]mainstemv1.ApplicationCount{
		"develop": {Total: 4, Healthy: 2, Blocked: 1},
		"main":    {Total: 2, Healthy: 1, Blocked: 1},
	} {
		if got := w.environment(name).Status.Applications; got == nil || *got != want {
			t.Errorf("%s counts %+v, want %+v", name, got, want)
		}
	}
}

// An entry of the status counts only while the spec still lists the Environment.
func TestTallyIgnoresWhatIsNoLongerListed(t *testing.T) {
	gone := application("a", healthy("main"))
	gone.Status.Environments = append(gone.Status.Environments, healthy("develop"))
	w := newWorld(t, environment("develop"), gone)
	w.reconcile("develop")
	if got := w.environment("develop").Status.Applications; *got != (mainstemv1.ApplicationCount{}) {
		t.Errorf("the count is %+v, want zeros", got)
	}
}

func TestTallyIsCoalescedExactly(t *testing.T) {
	app := application("a", healthy("develop"))
	w := newWorld(t, environment("develop"), app)
	w.reconcile("develop")

	writesBefore := w.writes
	for step := range 4 {
		w.now = w.now.Add(time.Second)
		found := &mainstemv1.Application{}
		if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(app), found); err != nil {
			t.Fatal(err)
		}
		found.Status.Environments = []mainstemv1.EnvironmentState{failed("develop")}
		if step%2 == 1 {
			found.Status.Environments = []mainstemv1.EnvironmentState{healthy("develop")}
		}
		if err := w.client.Status().Update(t.Context(), found); err != nil {
			t.Fatal(err)
		}
		result := w.reconcile("develop")
		if want := tallyInterval - time.Duration(step+1)*time.Second; result.RequeueAfter != want {
			t.Fatalf("after %d s it asks to be seen in %s, want %s", step+1, result.RequeueAfter, want)
		}
	}
	if w.writes != writesBefore {
		t.Fatalf("%d writes within the interval", w.writes-writesBefore)
	}
	found := &mainstemv1.Application{}
	if err := w.client.Get(t.Context(), client.ObjectKeyFromObject(app), found); err != nil {
		t.Fatal(err)
	}
	found.Status.Environments = []mainstemv1.EnvironmentState{failed("develop")}
	if err := w.client.Status().Update(t.Context(), found); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Second)
	if result := w.reconcile("develop"); result.RequeueAfter != 0 || w.writes != writesBefore+1 {
		t.Fatalf("at the end of the interval: %+v and %d writes, want one write and no more", result, w.writes-writesBefore)
	}
	if got := w.environment("develop").Status.Applications; *got != (mainstemv1.ApplicationCount{Total: 1, Blocked: 1}) {
		t.Errorf("the count is %+v", got)
	}
}

func TestConditionsDoNotWaitForTheTally(t *testing.T) {
	w := newWorld(t, environment("develop"), environment("main", "develop"))
	w.reconcile("main")
	if err := w.client.Delete(t.Context(), environment("develop")); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Second)
	result := w.reconcile("main")
	ready := apimeta.FindStatusCondition(w.environment("main").Status.Conditions, mainstemv1.ReadyCondition)
	if ready.Reason != mainstemv1.UpstreamNotFoundReason || result.RequeueAfter != tallyInterval-time.Second {
		t.Fatalf("Ready is %+v and the result %+v", ready, result)
	}
}

func TestAClockThatIsSetBackDoesNotStopTheTally(t *testing.T) {
	w := newWorld(t, environment("develop"))
	w.reconcile("develop")
	if err := w.client.Create(t.Context(), application("a", healthy("develop"))); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(-time.Hour)
	w.reconcile("develop")
	if got := w.environment("develop").Status.Applications; got.Total != 1 {
		t.Errorf("the count is %+v, want one", got)
	}
}

func TestEventsOnTransitionOnly(t *testing.T) {
	w := newWorld(t, environment("main", "develop"))
	w.reconcile("main")
	w.now = w.now.Add(time.Minute)
	w.reconcile("main")
	if len(w.events) != 1 || !strings.HasPrefix(w.events[0], "Warning "+mainstemv1.UpstreamNotFoundReason) {
		t.Fatalf("events are %q, want one warning", w.events)
	}
	turned := apimeta.FindStatusCondition(w.environment("main").Status.Conditions, mainstemv1.ReadyCondition).LastTransitionTime

	if err := w.client.Create(t.Context(), environment("develop")); err != nil {
		t.Fatal(err)
	}
	w.now = w.now.Add(time.Minute)
	w.reconcile("main")
	if len(w.events) != 2 || !strings.HasPrefix(w.events[1], "Normal "+mainstemv1.AcceptedReason) {
		t.Fatalf("events are %q, want a normal one at the end", w.events)
	}
	ready := apimeta.FindStatusCondition(w.environment("main").Status.Conditions, mainstemv1.ReadyCondition)
	if !ready.LastTransitionTime.After(turned.Time) || !ready.LastTransitionTime.Time.Equal(w.now) {
		t.Errorf("Ready turned at %s, want %s", ready.LastTransitionTime, w.now)
	}
}

func TestFailedWrites(t *testing.T) {
	group := mainstemv1.GroupVersion.WithResource("environments").GroupResource()
	tests := map[string]struct {
		refuse error
		failed bool
		pause  time.Duration
	}{
		"somebody wrote first": {refuse: apierrors.NewConflict(group, "develop", errors.New("newer")), pause: conflictPause},
		"it is gone":           {refuse: apierrors.NewNotFound(group, "develop")},
		"no API server":        {refuse: errors.New("connection refused"), failed: true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, environment("develop", "gone"))
			w.refuse = test.refuse
			result, err := w.reconciler.Reconcile(t.Context(), requestFor("develop"))
			if (err != nil) != test.failed || result.RequeueAfter != test.pause {
				t.Errorf("result %+v, error %v", result, err)
			}
			if len(w.events) != 0 {
				t.Errorf("an event tells of what was not persisted: %q", w.events)
			}
		})
	}
}

func TestGoneEnvironmentIsForgotten(t *testing.T) {
	w := newWorld(t, environment("develop"))
	w.reconcile("develop")
	if err := w.client.Delete(t.Context(), environment("develop")); err != nil {
		t.Fatal(err)
	}
	if result := w.reconcile("develop"); result != (ctrl.Result{}) || len(w.reconciler.tallies.last) != 0 {
		t.Errorf("result %+v, remembered %v", result, w.reconciler.tallies.last)
	}
}

func TestEveryEnvironmentIsAskedWhenTheGraphChanges(t *testing.T) {
	w := newWorld(t, environment("a"), environment("b", "a"), environment("c"))
	var names []string
	for _, request := range w.reconciler.everyEnvironment(t.Context(), environment("a")) {
		names = append(names, request.Name)
	}
	slices.Sort(names)
	if !slices.Equal(names, []string{"a", "b", "c"}) {
		t.Errorf("asked for %v", names)
	}
}
