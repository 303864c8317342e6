// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package promotion sees the operator carry releases: a real API server, the operator as it ships under its own account and
// policies, the GitHub emulator with real Git, and Flux's statuses set by the tests.
package promotion

import (
	"context"
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/operator"
	"github.com/mainstem-dev/mainstem/test/apiserver"
	"github.com/mainstem-dev/mainstem/test/flux"
	emulator "github.com/mainstem-dev/mainstem/test/github"
	"github.com/mainstem-dev/mainstem/test/rig"
)

// patience bounds every wait. What is waited for comes in well under a second on an idle machine.
const patience = 45 * time.Second

// specLimit bounds a whole spec, which waits more than once: whatever takes too long is told by its own wait.
const specLimit = 4 * patience

var (
	// server is the API server, and admin the administrator's client.
	server *apiserver.Server
	admin  client.Client
	// github is GitHub, and fluxStub what Flux reports.
	github   *emulator.Server
	fluxStub *flux.Stub
	// writes counts the write requests of the operator.
	writes atomic.Int64
	// webhookURL is where the operator takes deliveries.
	webhookURL string
)

func TestPromotion(t *testing.T) {
	ctrl.SetLogger(zap.New(zap.WriteTo(GinkgoWriter), zap.UseDevMode(true)))
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(patience)
	EnforceDefaultTimeoutsWhenUsingContexts() // Without, a wait ends with its spec, and its last words are lost.
	SetDefaultEventuallyPollingInterval(50 * time.Millisecond)
	RunSpecs(t, "Promotion")
}

var _ = BeforeSuite(func(ctx SpecContext) {
	running, stop := context.WithCancel(context.Background())
	DeferCleanup(stop)
	var err error
	server, err = apiserver.Start(ctx)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(server.Stop()).To(Succeed()) })
	for _, add := range []func(*clientScheme) error{v1alpha1.AddToScheme, sourcev1.AddToScheme, kustomizev1.AddToScheme} {
		Expect(add(clientgoscheme.Scheme)).To(Succeed())
	}
	admin, err = client.New(server.Admin, client.Options{Scheme: clientgoscheme.Scheme})
	Expect(err).NotTo(HaveOccurred())

	github, err = emulator.Start(emulator.Options{Dir: GinkgoT().TempDir(), Validate: true})
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() { Expect(github.Close()).To(Succeed()) })

	fluxStub = flux.New()
	fluxStub.Resolve = github.ResolveTag
	goRun(running, stop, "the Flux stub", func(ctx context.Context) error {
		return fluxStub.Run(ctx, server.AsServiceAccount(apiserver.SourceController), server.AsServiceAccount(apiserver.KustomizeController))
	})
	free, err := rig.FreeAddresses(ctx, 1)
	Expect(err).NotTo(HaveOccurred())
	webhookURL = "http://" + free[0] + "/github"
	goRun(running, stop, "the operator", func(ctx context.Context) error {
		return operator.Run(ctx, countingWrites(server.AsServiceAccount(apiserver.Operator)), operator.Options{
			Version: "test", Instance: instance, SystemNamespace: "mainstem-system", MetricsAddress: "0", HealthAddress: "0",
			WebhookAddress: free[0], Concurrent: 4, LeaseDuration: 15 * time.Second, GitHubTimeout: 10 * time.Second,
		})
	})
}, NodeTimeout(3*time.Minute))

// instance is the installation's name.
const instance = "test"

// goRun runs a part until the suite ends.
func goRun(ctx context.Context, stop context.CancelFunc, what string, run func(context.Context) error) {
	done := make(chan error, 1)
	go func() {
		defer GinkgoRecover()
		err := run(ctx)
		done <- err
		if ctx.Err() == nil {
			Fail(fmt.Sprintf("%s ended: %v", what, err))
		}
	}()
	DeferCleanup(func() {
		stop()
		Eventually(done).Should(Receive(Not(HaveOccurred())))
	})
}

// countingWrites counts the requests that change something, events among them. There are no leases: the operator runs alone.
func countingWrites(config *rest.Config) *rest.Config {
	config.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(request *http.Request) (*http.Response, error) {
			if request.Method != http.MethodGet {
				writes.Add(1)
			}
			return next.RoundTrip(request)
		})
	})
	return config
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }
