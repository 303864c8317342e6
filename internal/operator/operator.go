// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package operator builds the operator from its parts.
package operator

import (
	"cmp"
	"context"
	"fmt"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller"
	"sigs.k8s.io/controller-runtime/pkg/healthz"
	"sigs.k8s.io/controller-runtime/pkg/metrics"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
	"sigs.k8s.io/controller-runtime/pkg/reconcile"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/apply"
	"github.com/mainstem-dev/mainstem/internal/controller/application"
	"github.com/mainstem-dev/mainstem/internal/controller/environment"
	"github.com/mainstem-dev/mainstem/internal/events"
	"github.com/mainstem-dev/mainstem/internal/github"
	"github.com/mainstem-dev/mainstem/internal/index"
	"github.com/mainstem-dev/mainstem/internal/observe"
)

// Options are what the operator is started with.
type Options struct {
	// Version is the program's.
	Version string
	// Instance is the installation's name.
	Instance string
	// SystemNamespace is Mainstem's own namespace.
	SystemNamespace string
	// MetricsAddress, HealthAddress and WebhookAddress are where these are served; "0" is nowhere.
	MetricsAddress, HealthAddress, WebhookAddress string
	// ProfilesAddress is where Go's profiles are served; empty is nowhere. They say much about what the process holds, so
	// this belongs on loopback.
	ProfilesAddress string
	// EventsAddress is that of Flux's notification-controller; it may be empty.
	EventsAddress string
	// LeaderElect makes it act only while holding the lease, which others take after LeaseDuration of silence.
	LeaderElect   bool
	LeaseDuration time.Duration
	// Concurrent is how many Applications are reconciled at the same time.
	Concurrent int
	// GitHubTimeout bounds one request to GitHub.
	GitHubTimeout time.Duration
}

// Run builds everything and runs until the context ends.
func Run(ctx context.Context, config *rest.Config, o Options) error {
	mgr, err := newManager(config, o)
	if err != nil {
		return err
	}
	for _, add := range []func(context.Context, client.FieldIndexer) error{index.Add, index.AddRecords, index.AddTargets} {
		if err := add(ctx, mgr.GetFieldIndexer()); err != nil {
			return err
		}
	}
	operator, err := whoAmI(ctx, mgr)
	if err != nil {
		return err
	}
	recorder, err := events.New(mgr, o.EventsAddress, "mainstem")
	if err != nil {
		return err
	}
	if err := mgr.Add(recorder); err != nil {
		return fmt.Errorf("setting the events up: %w", err)
	}
	clients := github.NewClients(github.Options{UserAgent: "mainstem/" + o.Version, Timeout: o.GitHubTimeout})
	if err := metrics.Registry.Register(clients); err != nil {
		return fmt.Errorf("registering the metrics of the GitHub client: %w", err)
	}
	if err := (&environment.Reconciler{Client: mgr.GetClient(), Recorder: recorder}).SetupWithManager(mgr, controller.Options{RateLimiter: retries()}); err != nil {
		return fmt.Errorf("setting the Environment controller up: %w", err)
	}
	applications := &application.Reconciler{
		Client: mgr.GetClient(),
		Live:   mgr.GetAPIReader(),
		Observer: observe.New(observe.Observer{
			Cache: mgr.GetCache(), Live: mgr.GetAPIReader(), Clients: clients, Looks: github.NewObserver(clients), Now: time.Now,
			Instance: o.Instance, Operator: operator, SystemNamespace: o.SystemNamespace,
		}),
		Applier: &apply.Applier{Client: mgr.GetClient(), Live: mgr.GetAPIReader()},
		GitHub:  clients,
		Events:  recorder,
		Now:     time.Now,
	}
	woken, err := addReceiver(ctx, mgr, o, clients)
	if err != nil {
		return err
	}
	if err := applications.SetupWithManager(mgr, woken, controller.Options{MaxConcurrentReconciles: o.Concurrent, RateLimiter: retries()}); err != nil {
		return fmt.Errorf("setting the Application controller up: %w", err)
	}
	ctrl.Log.Info("Starting", "version", o.Version, "instance", o.Instance, "user", operator)
	return mgr.Start(ctx)
}

// newManager makes the manager. Secrets, ServiceAccounts and ConfigMaps are read by name, never listed or cached.
func newManager(config *rest.Config, o Options) (ctrl.Manager, error) {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, sourcev1.AddToScheme, kustomizev1.AddToScheme} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("building the scheme: %w", err)
		}
	}
	config = rest.CopyConfig(config)
	config.UserAgent = "mainstem/" + o.Version
	// The API server's own priority and fairness bounds what is asked of it.
	config.QPS = -1
	lease, renew, retry := leaseTimes(o.LeaseDuration)
	mgr, err := ctrl.NewManager(config, ctrl.Options{
		Scheme:                        scheme,
		Metrics:                       metricsserver.Options{BindAddress: o.MetricsAddress},
		HealthProbeBindAddress:        o.HealthAddress,
		PprofBindAddress:              o.ProfilesAddress,
		LeaderElection:                o.LeaderElect,
		LeaderElectionID:              o.Instance + ".mainstem.dev",
		LeaderElectionNamespace:       o.SystemNamespace,
		LeaderElectionReleaseOnCancel: true,
		LeaseDuration:                 &lease,
		RenewDeadline:                 &renew,
		RetryPeriod:                   &retry,
		// Who owns which field is a good part of every object, and nobody here asks for it.
		Cache: cache.Options{DefaultTransform: cache.TransformStripManagedFields()},
		Client: client.Options{Cache: &client.CacheOptions{
			DisableFor: []client.Object{&corev1.Secret{}, &corev1.ConfigMap{}, &corev1.ServiceAccount{}},
		}},
	})
	if err != nil {
		return nil, fmt.Errorf("making the manager: %w", err)
	}
	if err := mgr.AddHealthzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("adding the health check: %w", err)
	}
	if err := mgr.AddReadyzCheck("ping", healthz.Ping); err != nil {
		return nil, fmt.Errorf("adding the readiness check: %w", err)
	}
	return mgr, nil
}

// Reconciliations that fail are tried again after firstRetry, then twice that, and so on, at most lastRetry: controller-runtime's
// own 17 minutes would be added to the time that the API server was away. It is away for all of them at once, and 1,000 of them
// come at 33/s then.
const (
	firstRetry = 5 * time.Millisecond
	lastRetry  = 30 * time.Second
)

func retries() workqueue.TypedRateLimiter[reconcile.Request] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[reconcile.Request](firstRetry, lastRetry)
}

// leaseTimes gives, for how long the others wait for a silent leader, until when a leader tries to renew its lease before it gives
// up, and how often it does: in the proportions of Kubernetes' own components, 15 s to 10 s to 2 s. A leader must have given up
// before another one takes over.
func leaseTimes(duration time.Duration) (lease, renew, retry time.Duration) {
	return duration, duration * 2 / 3, duration * 2 / 15
}

// whoAmI asks the API server for Mainstem's own user name: a Promotion that somebody else requested was made by hand.
func whoAmI(ctx context.Context, mgr ctrl.Manager) (string, error) {
	direct, err := client.New(mgr.GetConfig(), client.Options{Scheme: mgr.GetScheme()})
	if err != nil {
		return "", fmt.Errorf("connecting to the API server: %w", err)
	}
	var name string
	backoff := wait.Backoff{Duration: 500 * time.Millisecond, Factor: 2, Steps: 6}
	var last error
	err = wait.ExponentialBackoffWithContext(ctx, backoff, func(ctx context.Context) (bool, error) {
		review := &authenticationv1.SelfSubjectReview{}
		last = direct.Create(ctx, review)
		name = review.Status.UserInfo.Username
		return last == nil && name != "", nil
	})
	if err != nil {
		return "", fmt.Errorf("asking the API server who Mainstem is: %w", cmp.Or(last, err))
	}
	return name, nil
}
