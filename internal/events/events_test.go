// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package events

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	eventv1 "github.com/fluxcd/pkg/apis/event/v1beta1"
	"github.com/go-logr/logr"
	"github.com/go-logr/logr/funcr"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"
	"sigs.k8s.io/controller-runtime/pkg/manager"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

var (
	_ manager.Runnable               = (*Recorder)(nil)
	_ manager.LeaderElectionRunnable = (*Recorder)(nil)
)

// patience is for what is waited for; nothing takes that long unless it hangs.
const patience = 30 * time.Second

// notifications stands in for notification-controller. It answers once it may.
type notifications struct {
	*httptest.Server
	may chan struct{}

	mu    sync.Mutex
	taken []eventv1.Event
}

func newNotifications(t *testing.T) *notifications {
	t.Helper()
	n := &notifications{may: make(chan struct{})}
	n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var event eventv1.Event
		if err := json.NewDecoder(r.Body).Decode(&event); err != nil {
			t.Errorf("what was posted is no event: %v", err)
		}
		<-n.may
		n.mu.Lock()
		defer n.mu.Unlock()
		n.taken = append(n.taken, event)
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(func() {
		n.answer()
		n.Close()
	})
	return n
}

// answer lets everything be answered from now on.
func (n *notifications) answer() {
	n.mu.Lock()
	defer n.mu.Unlock()
	select {
	case <-n.may:
	default:
		close(n.may)
	}
}

func (n *notifications) messages() []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	messages := make([]string, 0, len(n.taken))
	for i := range n.taken {
		messages = append(messages, n.taken[i].Message)
	}
	return messages
}

// recorded is a Recorder, what Kubernetes got of it, and its log.
type recorded struct {
	*Recorder
	kubernetes *record.FakeRecorder

	mu   sync.Mutex
	said []string
}

func newRecorded(t *testing.T, address string) *recorded {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	r := &recorded{kubernetes: record.NewFakeRecorder(100)}
	log := funcr.New(func(_, line string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.said = append(r.said, line)
	}, funcr.Options{})
	var err error
	if r.Recorder, err = newRecorder(log, scheme, r.kubernetes, address, "mainstem"); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *recorded) logged() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.said, "\n")
}

// start runs it; ended is closed when Start has returned.
func (r *recorded) start(t *testing.T) (stop context.CancelFunc, ended <-chan struct{}) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Start(ctx); err != nil {
			t.Errorf("stopping: %v", err)
		}
	}()
	return cancel, done
}

func await(t *testing.T, what string, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(patience):
		t.Fatalf("%s does not happen", what)
	}
}

func podinfo() *v1alpha1.Application {
	return &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{
		Namespace: "apps", Name: "podinfo", Annotations: map[string]string{eventv1.Group + "/team": "before"},
	}}
}

func TestNobodyWaitsForNotificationController(t *testing.T) {
	server := newNotifications(t)
	r := newRecorded(t, server.URL)
	stop, ended := r.start(t)
	all := make(chan struct{})
	go func() {
		defer close(all)
		for i := range 5 {
			r.Eventf(podinfo(), nil, corev1.EventTypeNormal, "Deployed", "Report", "event %d", i)
		}
	}()
	await(t, "recording while notification-controller hangs", all)
	for i := range 5 {
		if got := <-r.kubernetes.Events; !strings.Contains(got, fmt.Sprintf("event %d", i)) {
			t.Errorf("Kubernetes got %q", got)
		}
	}
	server.answer()
	stop()
	await(t, "the end", ended)
	if got := server.messages(); !slices.Equal(got, []string{"event 0", "event 1", "event 2", "event 3", "event 4"}) {
		t.Errorf("notification-controller got %v", got)
	}
}

func TestAnEventIsAboutTheObjectAsItWas(t *testing.T) {
	server := newNotifications(t)
	server.answer()
	r := newRecorded(t, server.URL)
	app := podinfo()
	r.Eventf(app, nil, corev1.EventTypeWarning, "Failed", "Report", "%s", "words with 100 %")
	app.Annotations[eventv1.Group+"/team"] = "after"
	stop, ended := r.start(t)
	stop()
	await(t, "the end", ended)
	if len(server.taken) != 1 {
		t.Fatalf("what was recorded before the end was not sent: %v", server.messages())
	}
	got := server.taken[0]
	if got.InvolvedObject.Kind != "Application" || got.InvolvedObject.Namespace != "apps" || got.InvolvedObject.Name != "podinfo" ||
		got.Severity != eventv1.EventSeverityError || got.Reason != "Failed" || got.Message != "words with 100 %" ||
		got.ReportingController != "mainstem" || got.Metadata[eventv1.Group+"/team"] != "before" {
		t.Errorf("notification-controller got %+v", got)
	}
}

func TestEventsAboutClusterScopedObjectsAreKubernetesAlone(t *testing.T) {
	server := newNotifications(t)
	server.answer()
	r := newRecorded(t, server.URL)
	r.Eventf(&v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Name: "main"}}, nil, corev1.EventTypeNormal, "Ready", "Assess", "of the Environment")
	r.Eventf(podinfo(), nil, corev1.EventTypeNormal, "Deployed", "Report", "of the Application")
	stop, ended := r.start(t)
	stop()
	await(t, "the end", ended)
	if got := server.messages(); !slices.Equal(got, []string{"of the Application"}) {
		t.Errorf("notification-controller got %v", got)
	}
	if len(r.kubernetes.Events) != 2 || r.logged() != "" {
		t.Errorf("Kubernetes got %d; logged: %s", len(r.kubernetes.Events), r.logged())
	}
}

func TestWithoutAnAddressNothingWaits(t *testing.T) {
	r := newRecorded(t, "")
	r.Eventf(podinfo(), nil, corev1.EventTypeNormal, "Deployed", "Report", "it runs")
	if len(r.kubernetes.Events) != 1 || len(r.waiting) != 0 {
		t.Errorf("Kubernetes got %d, and %d wait", len(r.kubernetes.Events), len(r.waiting))
	}
}

func TestWhatFindsNoRoomIsDroppedAndToldOf(t *testing.T) {
	server := newNotifications(t)
	server.answer()
	r := newRecorded(t, server.URL)
	r.waiting = make(chan post, 2)
	for i := range 5 {
		r.Eventf(podinfo(), nil, corev1.EventTypeNormal, "Deployed", "Report", "event %d", i)
	}
	if strings.Count(r.logged(), "Too many events") != 1 {
		t.Errorf("logged: %s", r.logged())
	}
	stop, ended := r.start(t)
	stop()
	await(t, "the end", ended)
	if got := server.messages(); !slices.Equal(got, []string{"event 0", "event 1"}) {
		t.Errorf("notification-controller got %v", got)
	}
	if len(r.kubernetes.Events) != 5 || !strings.Contains(r.logged(), `"events"=3`) {
		t.Errorf("Kubernetes got %d; logged: %s", len(r.kubernetes.Events), r.logged())
	}
}

func TestStoppingDoesNotWaitForAHangingNotificationController(t *testing.T) {
	r := newRecorded(t, newNotifications(t).URL)
	r.drain = time.Millisecond
	for range 3 {
		r.Eventf(podinfo(), nil, corev1.EventTypeNormal, "Deployed", "Report", "it runs")
	}
	stop, ended := r.start(t)
	stop()
	await(t, "the end", ended)
	if !strings.Contains(r.logged(), "has not taken") {
		t.Errorf("logged: %s", r.logged())
	}
}

func TestAnAddressThatIsNone(t *testing.T) {
	if _, err := newRecorder(logr.Discard(), runtime.NewScheme(), nowhere{}, "http://[::1", "mainstem"); err == nil || !strings.Contains(err.Error(), "[::1") {
		t.Errorf("got %v", err)
	}
}
