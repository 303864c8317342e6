// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/github"
	"github.com/mainstem-dev/mainstem/internal/index"
)

const deliveryOne = "72d3162e-cc78-11e3-81ab-4c9367dc0958"

// deliveries numbers them.
var deliveries atomic.Int64

func newScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, mainstemv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return scheme
}

func application(namespace, name, url, secret string) *mainstemv1.Application {
	result := &mainstemv1.Application{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	result.Spec.Repository.URL = url
	if secret != "" {
		result.Spec.Repository.SecretRef = &meta.LocalObjectReference{Name: secret}
	}
	result.Spec.Deploy.Kustomize = &mainstemv1.KustomizeDeploy{}
	result.Spec.Environments = []mainstemv1.ApplicationEnvironment{{Name: "develop", Source: &mainstemv1.Source{Branch: "develop"}}}
	return result
}

func secret(namespace, name, value string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}, Data: map[string][]byte{
		webhookSecretKey: []byte(value), "password": []byte("never-this-one"),
	}}
}

// woken is a waker that remembers.
type woken struct {
	mutex sync.Mutex
	names []string
	ids   []string
	fail  error
}

// fails lets it fail from now on, or not any more.
func (w *woken) fails(err error) {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	w.fail = err
}

// woken are those that were woken.
func (w *woken) woken() []string {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	return slices.Clone(w.names)
}

func (w *woken) Wake(_ context.Context, applications []types.NamespacedName, delivery Delivery) error {
	w.mutex.Lock()
	defer w.mutex.Unlock()
	if w.fail != nil {
		return w.fail
	}
	for _, name := range applications {
		w.names = append(w.names, name.String())
	}
	w.ids = append(w.ids, delivery.ID)
	slices.Sort(w.names)
	return nil
}

// endpoint is a handler over a fake API server.
type endpoint struct {
	t        *testing.T
	handler  *Handler
	registry *prometheus.Registry
	client   client.WithWatch
	waker    *woken
	now      time.Time
	stopping chan struct{}
	// reads counts Secrets that were read; failReads and failList break the API server, and mended says after how many reads it
	// works again.
	reads     int
	failReads error
	mended    int
	failList  error
	mutex     sync.Mutex
}

func newEndpoint(t *testing.T, objects ...client.Object) *endpoint {
	t.Helper()
	e := &endpoint{
		t: t, waker: &woken{}, registry: prometheus.NewRegistry(), now: time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC),
		stopping: make(chan struct{}),
	}
	e.client = fake.NewClientBuilder().WithScheme(newScheme(t)).WithObjects(objects...).
		WithIndex(&mainstemv1.Application{}, index.ApplicationsByRepository, index.RepositoryOf).Build()
	counted := interceptor.NewClient(e.client, interceptor.Funcs{
		Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, object client.Object, options ...client.GetOption) error {
			e.mutex.Lock()
			e.reads++
			err := e.failReads
			if e.mended > 0 && e.reads > e.mended {
				err = nil
			}
			e.mutex.Unlock()
			if err != nil {
				return err
			}
			return c.Get(ctx, key, object, options...)
		},
		List: func(ctx context.Context, c client.WithWatch, list client.ObjectList, options ...client.ListOption) error {
			if e.failList != nil {
				return e.failList
			}
			return c.List(ctx, list, options...)
		},
	})
	metrics, err := NewMetrics(e.registry)
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := NewSecrets(counted, func() time.Time { return e.now })
	if err != nil {
		t.Fatal(err)
	}
	e.handler, err = NewHandler(Options{
		Applications: counted, Secrets: secrets, Waker: e.waker, Backlog: NewBacklog(metrics), Metrics: metrics,
		Now: func() time.Time { return e.now }, Stopping: e.stopping,
	})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// counted gives the value of the metric for an event and an outcome.
func (e *endpoint) counted(event string, outcome outcome) int {
	e.t.Helper()
	metric := &dto.Metric{}
	if err := e.handler.metrics.deliveries.WithLabelValues(event, string(outcome)).Write(metric); err != nil {
		e.t.Fatal(err)
	}
	return int(metric.GetCounter().GetValue())
}

// post is a delivery that a test changes before it is sent.
type post struct {
	method, contentType, event, signature, id string
	body                                      string
}

func sign(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// pushTo is a well-formed push to a repository, signed with a secret. Each is another delivery.
func pushTo(fullName, key string) post {
	body := pushBody("github.com", fullName)
	return post{
		method: http.MethodPost, contentType: "application/json", event: string(github.EventPush),
		id:   fmt.Sprintf("72d3162e-cc78-11e3-81ab-%012d", deliveries.Add(1)),
		body: body, signature: sign(key, body),
	}
}

func pushBody(host, fullName string) string {
	return fmt.Sprintf(`{"ref":"refs/heads/develop","before":%q,"after":%q,"repository":{"full_name":%q,"html_url":"https://%s/%s"}}`,
		strings.Repeat("a", 40), strings.Repeat("b", 40), fullName, host, fullName)
}

func (p post) request(ctx context.Context, address string, body io.Reader) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, p.method, address, body)
	if err != nil {
		return nil, err
	}
	for header, value := range map[string]string{
		"Content-Type": p.contentType, github.HeaderEvent: p.event, github.HeaderSignature: p.signature, github.HeaderDelivery: p.id,
	} {
		if value != "" {
			request.Header.Set(header, value)
		}
	}
	return request, nil
}

// send gives the status and the body of the answer.
func (e *endpoint) send(p post) (status int, body string) {
	e.t.Helper()
	request, err := p.request(e.t.Context(), "http://localhost"+Path, strings.NewReader(p.body))
	if err != nil {
		e.t.Fatal(err)
	}
	recorder := httptest.NewRecorder()
	e.handler.ServeHTTP(recorder, request)
	return recorder.Code, recorder.Body.String()
}

func (e *endpoint) expect(p post, status int, outcome outcome, woke ...string) {
	e.t.Helper()
	label := eventLabel(p.event)
	before := e.counted(label, outcome)
	e.waker.mutex.Lock()
	e.waker.names = nil
	e.waker.mutex.Unlock()
	got, body := e.send(p)
	if got != status {
		e.t.Errorf("answered %d, want %d", got, status)
	}
	if counted := e.counted(label, outcome) - before; counted != 1 {
		e.t.Errorf("counted %d times as %s/%s, want once", counted, label, outcome)
	}
	if names := e.waker.woken(); !slices.Equal(names, woke) {
		e.t.Errorf("woke %v, want %v", names, woke)
	}
	if strings.TrimSpace(body) != http.StatusText(status) {
		e.t.Errorf("the answer says more than its status: %q", body)
	}
}
