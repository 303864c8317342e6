// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	"github.com/onsi/gomega"
	"github.com/prometheus/client_golang/prometheus"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
	"sigs.k8s.io/controller-runtime/pkg/metrics/server"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/index"
)

const assetsVariable = "KUBEBUILDER_ASSETS"

func startAPI(t *testing.T) *rest.Config {
	t.Helper()
	if os.Getenv(assetsVariable) == "" {
		t.Skipf("%s is not set: `make test` sets it to where kube-apiserver and etcd are", assetsVariable)
	}
	api := &envtest.Environment{
		CRDDirectoryPaths:     []string{filepath.Join("..", "..", "config", "crd", "bases")},
		ErrorIfCRDPathMissing: true,
	}
	config, err := api.Start()
	if err != nil {
		t.Fatalf("starting the API server: %v", err)
	}
	t.Cleanup(func() {
		if err := api.Stop(); err != nil {
			t.Errorf("stopping the API server: %v", err)
		}
	})
	return config
}

// startReplica runs a receiver in a manager, as the operator does, and gives its address. elected is what says whether it leads.
func startReplica(t *testing.T, config *rest.Config, elected <-chan struct{}) (address string, memory *Memory) {
	t.Helper()
	manager, err := ctrl.NewManager(config, ctrl.Options{Scheme: newScheme(t), Metrics: server.Options{BindAddress: "0"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := index.Add(t.Context(), manager.GetFieldIndexer()); err != nil {
		t.Fatal(err)
	}
	metrics, err := NewMetrics(prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	secrets, err := NewSecrets(manager.GetAPIReader(), time.Now)
	if err != nil {
		t.Fatal(err)
	}
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	memory = NewMemory(&ignoring{})
	waker := &ByElection{Elected: elected, Leading: memory, Following: &Durable{Client: manager.GetClient()}}
	handler := NewHandler(manager.GetClient(), secrets, waker, metrics)
	for _, add := range []error{manager.Add(memory), manager.Add(&Server{Handler: handler, Listener: listener})} {
		if add != nil {
			t.Fatal(add)
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- manager.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the manager: %v", err)
		}
	})
	return listener.Addr().String(), memory
}

// deliver gives the status of the answer, 0 when there was none.
func deliver(ctx context.Context, address string, delivery post) int {
	request, err := delivery.request(ctx, "http://"+address+DefaultPath, strings.NewReader(delivery.body))
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
	config := startAPI(t)
	direct, err := client.New(config, client.Options{Scheme: newScheme(t)})
	g.Expect(err).NotTo(gomega.HaveOccurred())
	for _, object := range []client.Object{
		application("default", "ours", "https://github.com/Acme/Podinfo", "github-app"),
		application("default", "theirs", podinfo, "other"),
		secret("default", "github-app", keyA), secret("default", "other", keyB),
	} {
		g.Expect(direct.Create(t.Context(), object)).To(gomega.Succeed())
	}
	read := func(name string) *mainstemv1.Application {
		found := &mainstemv1.Application{}
		g.Expect(direct.Get(t.Context(), client.ObjectKey{Namespace: "default", Name: name}, found)).To(gomega.Succeed())
		return found
	}
	elected := make(chan struct{})
	address, memory := startReplica(t, config, elected)
	delivery := pushTo("acme/podinfo", keyA)
	g.Eventually(func() int { return deliver(t.Context(), address, delivery) }, patience, 50*time.Millisecond).Should(gomega.Equal(http.StatusAccepted))

	// On a follower the answer comes after the write, for the Application whose secret signed, and only for it.
	g.Expect(read("ours").Annotations).To(gomega.HaveKeyWithValue(meta.ReconcileRequestAnnotation, "github-"+deliveryOne))
	g.Expect(read("theirs").Annotations).NotTo(gomega.HaveKey(meta.ReconcileRequestAnnotation))
	version := read("ours").ResourceVersion
	g.Expect(deliver(t.Context(), address, delivery)).To(gomega.Equal(http.StatusAccepted))
	g.Expect(read("ours").ResourceVersion).To(gomega.Equal(version), "a redelivery writes nothing")
	forged := delivery
	forged.id, forged.signature = "another", sign("guessed", delivery.body)
	g.Expect(deliver(t.Context(), address, forged)).To(gomega.Equal(http.StatusForbidden))

	// On the leader it is handed over in memory, and nothing is written.
	close(elected)
	delivery.id = "later"
	g.Expect(deliver(t.Context(), address, delivery)).To(gomega.Equal(http.StatusAccepted))
	g.Expect(next(t, memory)).To(gomega.Equal("default/ours"))
	g.Expect(read("ours").ResourceVersion).To(gomega.Equal(version))
}
