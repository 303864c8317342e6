// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"context"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/index"
	"github.com/mainstem-dev/mainstem/test/apiserver"
)

// testReplica runs a receiver in a manager, as the operator does. elected is what says whether it leads.
type testReplica struct {
	address   string
	memory    *Memory
	requests  workqueue.TypedRateLimitingInterface[reconcile.Request]
	forgotten chan string
}

// InvalidateKey notes what is made old.
func (r *testReplica) InvalidateKey(key string) { r.forgotten <- key }

func startReplica(t *testing.T, config *rest.Config, elected <-chan struct{}) *testReplica {
	t.Helper()
	g := gomega.NewWithT(t)
	manager, err := ctrl.NewManager(config, ctrl.Options{Scheme: newScheme(t), Metrics: server.Options{BindAddress: "0"}})
	g.Expect(err).NotTo(gomega.HaveOccurred())
	g.Expect(index.Add(t.Context(), manager.GetFieldIndexer())).To(gomega.Succeed())
	metrics, err := NewMetrics(prometheus.NewRegistry())
	g.Expect(err).NotTo(gomega.HaveOccurred())
	secrets, err := NewSecrets(manager.GetAPIReader(), time.Now)
	g.Expect(err).NotTo(gomega.HaveOccurred())
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	g.Expect(err).NotTo(gomega.HaveOccurred())
	r := &testReplica{
		address: listener.Addr().String(), memory: NewMemory(&ignoring{}), forgotten: make(chan string, 16),
		requests: workqueue.NewTypedRateLimitingQueue(workqueue.DefaultTypedControllerRateLimiter[reconcile.Request]()),
	}
	ctx, cancel := context.WithCancel(context.Background())
	durable, backlog := NewDurable(manager.GetClient(), ctx.Done()), NewBacklog(metrics)
	handler, err := NewHandler(Options{
		Applications: manager.GetCache(), Secrets: secrets, Backlog: backlog, Metrics: metrics, Now: time.Now, Stopping: ctx.Done(),
		Waker: &ByElection{Elected: elected, Leading: r.memory, Following: durable},
	})
	g.Expect(err).NotTo(gomega.HaveOccurred())
	for _, add := range []error{manager.Add(r.memory), manager.Add(backlog), manager.Add(&Server{Handler: handler, Listener: listener})} {
		g.Expect(add).NotTo(gomega.HaveOccurred())
	}
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		r.requests.ShutDown()
		if err := <-ended; err != nil {
			t.Errorf("the manager: %v", err)
		}
	})
	g.Expect(manager.GetCache().WaitForCacheSync(t.Context())).To(gomega.BeTrue())
	relay := NewRelay(manager.GetCache(), secrets, r)
	g.Expect(relay.Start(ctx, r.requests)).To(gomega.Succeed())
	g.Expect(relay.WaitForSync(t.Context())).To(gomega.Succeed())
	return r
}

// relayed gives the next Application that the relay wakes.
func (r *testReplica) relayed(t *testing.T) string {
	t.Helper()
	got := make(chan string, 1)
	go func() {
		request, _ := r.requests.Get()
		r.requests.Done(request)
		got <- request.String()
	}()
	select {
	case name := <-got:
		return name
	case <-time.After(patience):
		t.Fatal("nothing was relayed")
		return ""
	}
}

// deliver gives the status of the answer, 0 when there was none.
func deliver(ctx context.Context, address string, delivery post) int {
	request, err := delivery.request(ctx, "http://"+address+Path, strings.NewReader(delivery.body))
	if err != nil {
		return 0
	}
	response, err := (&http.Client{Timeout: patience}).Do(request)
	if err != nil {
		return 0
	}
	_ = response.Body.Close()
	return response.StatusCode
}

func TestAgainstAPIServer(t *testing.T) {
	g := gomega.NewWithT(t)
	config := apiserver.StartKinds(t)
	direct, err := client.New(config, client.Options{Scheme: newScheme(t)})
	g.Expect(err).NotTo(gomega.HaveOccurred())
	for _, object := range []client.Object{
		application("default", "ours", "https://github.com/Acme/Podinfo", "github-app"),
		application("default", "ours-too", podinfo, "the-same"), application("default", "theirs", podinfo, "other"),
		secret("default", "github-app", keyA), secret("default", "the-same", keyA), secret("default", "other", keyB),
	} {
		g.Expect(direct.Create(t.Context(), object)).To(gomega.Succeed())
	}
	read := func(name string) *mainstemv1.Application {
		found := &mainstemv1.Application{}
		g.Expect(direct.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: name}, found)).To(gomega.Succeed())
		return found
	}
	elected := make(chan struct{})
	replica := startReplica(t, config, elected)
	delivery := pushTo("acme/podinfo", keyA)
	g.Eventually(func() int { return deliver(t.Context(), replica.address, delivery) }, patience, 50*time.Millisecond).Should(gomega.Equal(http.StatusAccepted))

	// On a follower the answer comes after one write, for the Applications whose secret signed, and only for them.
	g.Expect(read("ours").Annotations).To(gomega.HaveKeyWithValue(mainstemv1.DeliveryAnnotation, delivery.id))
	for _, other := range []string{"ours-too", "theirs"} {
		g.Expect(read(other).Annotations).NotTo(gomega.HaveKey(mainstemv1.DeliveryAnnotation), other)
	}
	g.Expect([]string{replica.relayed(t), replica.relayed(t)}).To(gomega.ConsistOf("default/ours", "default/ours-too"))
	g.Expect(replica.forgotten).To(gomega.Receive(gomega.Equal("github.com/acme/podinfo")), "what is known is old before anybody wakes")
	version := read("ours").ResourceVersion
	g.Expect(deliver(t.Context(), replica.address, delivery)).To(gomega.Equal(http.StatusAccepted))
	g.Expect(read("ours").ResourceVersion).To(gomega.Equal(version), "a redelivery writes nothing")
	forged := delivery
	forged.id, forged.signature = "another", sign("guessed", delivery.body)
	g.Expect(deliver(t.Context(), replica.address, forged)).To(gomega.Equal(http.StatusForbidden))

	// On the leader it is handed over in memory, and nothing is written.
	close(elected)
	delivery.id = "later"
	g.Expect(deliver(t.Context(), replica.address, delivery)).To(gomega.Equal(http.StatusAccepted))
	g.Expect([]string{next(t, replica.memory), next(t, replica.memory)}).To(gomega.ConsistOf("default/ours", "default/ours-too"))
	g.Expect(read("ours").ResourceVersion).To(gomega.Equal(version))
	g.Expect(replica.requests.Len()).To(gomega.BeZero())
	g.Expect(replica.forgotten).NotTo(gomega.Receive())
}
