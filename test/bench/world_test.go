// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/test/apiserver"
	"github.com/mainstem-dev/mainstem/test/flux"
	emulator "github.com/mainstem-dev/mainstem/test/github"
	"github.com/mainstem-dev/mainstem/test/rig"
	"github.com/mainstem-dev/mainstem/test/rig/binaries"
)

const (
	operatorName      = "mainstem"
	operatorNamespace = "mainstem-system"
	instance          = "bench"
	deployer          = "mainstem-deployer"

	// patience bounds every wait for something that is to happen.
	patience = 15 * time.Minute
	// lookInterval is how often it is looked whether it has.
	lookInterval = 20 * time.Millisecond
)

// appliers say who does what Flux does.
type appliers int

const (
	// stub sets Flux's statuses and applies nothing.
	stub appliers = iota
	// realFlux is source- and kustomize-controller.
	realFlux
)

// plan says what a world is made of.
type plan struct {
	// applications is how many there are, perNamespace how many of them share a namespace.
	applications, perNamespace int
	// sharing says how the Applications are spread over repositories.
	sharing sharing
	// interval is how often GitHub is asked; zero is Mainstem's default.
	interval time.Duration
	// tokenLife is how long GitHub's tokens live; zero is GitHub's hour.
	tokenLife time.Duration
	appliers  appliers
}

// sharing says whose the repositories are.
type sharing int

const (
	// ownRepository : one repository for each Application, main fed by a branch that people merge into.
	ownRepository sharing = iota
	// monorepo : one repository for all, main pinned to what develop has proven.
	monorepo
)

// world is an API server, GitHub and the operator with its Applications.
type world struct {
	plan
	rig      *rig.Rig
	github   *emulator.Server
	relay    *relay
	moments  *moments
	client   client.Client
	operator *rest.Config
	appKey   string
	// commits are the history of every repository, oldest first.
	commits []string
	apps    []*app

	dir        string
	metricsURL string
}

// newWorld brings everything up, but neither Applications nor the operator. It ends with the benchmark.
func newWorld(b *testing.B, p plan) *world {
	b.Helper()
	if b.N != 1 {
		b.Fatal("each benchmark is one long measurement: run it with -benchtime=1x")
	}
	ctrl.SetLogger(zap.New(zap.WriteTo(io.Discard)))
	w := &world{plan: p, dir: b.TempDir()}
	ctx, stop := context.WithCancel(b.Context())
	b.Cleanup(stop)
	steps := []func(context.Context) error{w.buildOperator, w.startRig, w.install, w.startGitHub, w.startAppliers, w.watch, w.declarePlatform, w.declareApplications}
	b.Cleanup(func() { w.close(b) })
	for _, step := range steps {
		if err := step(ctx); err != nil {
			b.Fatal(err)
		}
	}
	return w
}

func (w *world) close(b *testing.B) {
	b.Helper()
	if b.Failed() && w.rig != nil {
		w.rig.Tail(os.Stderr)
	}
	if w.rig != nil {
		w.rig.Stop()
	}
	var err error
	if w.relay != nil {
		err = w.relay.close()
	}
	if w.github != nil {
		err = errors.Join(err, w.github.Close())
	}
	if err != nil {
		b.Error(err)
	}
}

func (w *world) binary() string { return filepath.Join(w.dir, "mainstem") }

// buildOperator builds what ships, apart from what people have in bin.
func (w *world) buildOperator(ctx context.Context) error {
	return rig.BuildOperator(ctx, apiserver.Root(), w.binary())
}

func (w *world) startRig(ctx context.Context) error {
	// What the other parts of a control plane would do is not what is measured.
	options := rig.Options{Dir: filepath.Join(w.dir, "rig"), Without: []string{rig.KubeControllerManager, rig.KubeScheduler, rig.Kwok}}
	if w.appliers == stub {
		options.Without = append(options.Without, rig.SourceController, rig.KustomizeController)
	}
	var err error
	if w.rig, err = rig.Start(ctx, options); err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{clientgoscheme.AddToScheme, v1alpha1.AddToScheme, sourcev1.AddToScheme, kustomizev1.AddToScheme} {
		if err := add(scheme); err != nil {
			return fmt.Errorf("building the scheme: %w", err)
		}
	}
	if w.client, err = client.New(w.rig.Admin(), client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	return nil
}

// install installs Flux's kinds and Mainstem, but for the operator itself.
func (w *world) install(ctx context.Context) error {
	dir, err := binaries.Ensure(ctx, os.Stderr, rig.SourceController, rig.KustomizeController)
	if err != nil {
		return err
	}
	var paths []string
	for _, name := range []string{rig.SourceController, rig.KustomizeController} {
		files, err := binaries.Files(dir, name)
		if err != nil {
			return err
		}
		paths = append(paths, files...)
	}
	config := filepath.Join(apiserver.Root(), "config")
	paths = append(paths, filepath.Join(config, "crd"), filepath.Join(config, "policies"), filepath.Join(config, "manager", "namespace.yaml"),
		filepath.Join(config, "rbac"))
	if err := w.rig.Apply(ctx, paths...); err != nil {
		return fmt.Errorf("installing: %w", err)
	}
	w.operator, err = w.account(ctx, operatorNamespace, operatorName)
	return err
}

// account is a configuration that speaks as a ServiceAccount and does not wait for itself.
func (w *world) account(ctx context.Context, namespace, name string) (*rest.Config, error) {
	config, err := w.rig.ServiceAccountConfig(ctx, namespace, name)
	if err != nil {
		return nil, err
	}
	config.QPS = -1
	return config, nil
}

// startAppliers runs the stub where Flux itself does not run.
func (w *world) startAppliers(ctx context.Context) error {
	if w.appliers == realFlux {
		return nil
	}
	fetcher, err := w.account(ctx, rig.FluxNamespace, rig.SourceController)
	if err != nil {
		return err
	}
	applier, err := w.account(ctx, rig.FluxNamespace, rig.KustomizeController)
	if err != nil {
		return err
	}
	go func() {
		if err := flux.New().Run(ctx, fetcher, applier); err != nil && ctx.Err() == nil {
			fmt.Fprintln(os.Stderr, "the stub of Flux ended:", err)
		}
	}()
	return nil
}

func (w *world) watch(ctx context.Context) error {
	var err error
	w.moments, err = watchMoments(ctx, w.rig.Admin(), cache.Options{Scheme: w.client.Scheme()})
	return err
}

// await waits until something is so.
func (w *world) await(b *testing.B, what string, so func() bool) {
	b.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	ticker := time.NewTicker(lookInterval)
	defer ticker.Stop()
	for !so() {
		select {
		case <-deadline.C:
			b.Fatalf("waited %s, and still: %s", patience, what)
		case <-w.rig.Failed():
			b.Fatal(w.rig.Err())
		case <-ticker.C:
		}
	}
}
