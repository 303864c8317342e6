// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package events

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1beta1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// manager is a manager as far as a Recorder uses it.
type manager struct {
	ctrl.Manager
	scheme   *runtime.Scheme
	recorded *record.FakeRecorder
}

func (m *manager) GetScheme() *runtime.Scheme                      { return m.scheme }
func (m *manager) GetEventRecorderFor(string) record.EventRecorder { return m.recorded }

func newManager(t *testing.T) *manager {
	t.Helper()
	m := &manager{scheme: runtime.NewScheme(), recorded: record.NewFakeRecorder(4)}
	if err := v1alpha1.AddToScheme(m.scheme); err != nil {
		t.Fatal(err)
	}
	return m
}

func podinfo() *v1alpha1.Application {
	return &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "podinfo"}}
}

func TestAnEventIsOnTheObjectAndWithFlux(t *testing.T) {
	received := make(chan eventv1.Event, 4)
	notifications := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var event eventv1.Event
		if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
			t.Errorf("reading what was sent: %v", err)
		}
		received <- event
	}))
	defer notifications.Close()
	mgr := newManager(t)
	recorder, err := New(mgr, notifications.URL, "mainstem")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ kind, reason, severity, recorded string }{
		{corev1.EventTypeWarning, v1alpha1.FluxFailedReason, eventv1.EventSeverityError, "Warning FluxFailed podinfo-1 in main"},
		{corev1.EventTypeNormal, v1alpha1.SucceededReason, eventv1.EventSeverityInfo, "Normal Succeeded podinfo-1 in main"},
	} {
		recorder.Eventf(podinfo(), nil, test.kind, test.reason, "Promote", "%s in %s", "podinfo-1", "main")
		if got := <-mgr.recorded.Events; got != test.recorded {
			t.Errorf("on the object: %q, want %q", got, test.recorded)
		}
		got := <-received
		if got.Severity != test.severity || got.Reason != test.reason || got.Message != "podinfo-1 in main" || got.ReportingController != "mainstem" {
			t.Errorf("with Flux: %+v", got)
		}
		if of := got.InvolvedObject; of.Kind != "Application" || of.Namespace != "team-a" || of.Name != "podinfo" {
			t.Errorf("it is about %+v", of)
		}
	}

	// Flux knows only objects of namespaces.
	recorder.Eventf(&v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Name: "main"}}, nil, corev1.EventTypeNormal, v1alpha1.AcceptedReason, "Assess", "ready")
	if got := <-mgr.recorded.Events; got != "Normal Accepted ready" {
		t.Errorf("on an Environment: %q", got)
	}
	if len(received) != 0 {
		t.Errorf("with Flux: %+v", <-received)
	}
}

func TestWithoutFluxAnEventIsOnTheObjectAlone(t *testing.T) {
	mgr := newManager(t)
	recorder, err := New(mgr, "", "mainstem")
	if err != nil {
		t.Fatal(err)
	}
	recorder.Eventf(podinfo(), nil, corev1.EventTypeNormal, v1alpha1.SucceededReason, "Promote", "done")
	if got := <-mgr.recorded.Events; got != "Normal Succeeded done" {
		t.Errorf("got %q", got)
	}
}

func TestAnAddressThatIsNone(t *testing.T) {
	const address = "http://notification-controller:port"
	if _, err := New(newManager(t), address, "mainstem"); err == nil || !strings.Contains(err.Error(), address) {
		t.Errorf("got %v", err)
	}
}
