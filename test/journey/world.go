package journey

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
	"github.com/mainstem-dev/mainstem/test/rig"
)

// What the samples in config/samples are called.
const (
	// Namespace is the team's, with its Application.
	Namespace = "team-a"
	// ApplicationName is the Application's name.
	ApplicationName = "podinfo"
	// RepositoryName is the repository's full name on GitHub.
	RepositoryName = "acme/podinfo"

	develop    v1alpha1.EnvironmentName = "develop"
	mainline   v1alpha1.EnvironmentName = "main"
	production v1alpha1.EnvironmentName = "production"
)

// Options say how the world is made. The zero value is good.
type Options struct {
	// Sink takes what there is to tell. Nil: nobody listens.
	Sink Sink
	// Soak is the duration of the soak gate before main, instead of the sample's, so that it can be watched.
	// Zero: 10 s.
	Soak time.Duration
	// ValidateGitHub compares all that is said to GitHub, and its answers, with GitHub's OpenAPI description; see
	// World.GitHub and its Mismatches.
	ValidateGitHub bool
}

// World is where the journey happens. It must be closed.
type World struct {
	// Rig is the control plane with Flux.
	Rig *rig.Rig
	// GitHub is the emulated GitHub.
	GitHub *emulator.Server
	// Team is the team with its repository.
	Team *Team
	// Client reads as the administrator.
	Client client.WithWatch

	options  Options
	root     string // the checkout
	dir      string // what lives as long as the world
	webhooks string // where the operator takes deliveries
	secrets  []string
}

// Start brings the world up, up to the operator: nothing is declared yet.
func Start(ctx context.Context, options Options) (*World, error) {
	if options.Sink == nil {
		options.Sink = func(Event) {}
	}
	if options.Soak == 0 {
		options.Soak = 10 * time.Second
	}
	w := &World{options: options}
	if err := w.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("starting: %w", err), w.Close())
	}
	return w, nil
}

func (w *World) start(ctx context.Context) error {
	var err error
	if w.root, err = checkout(); err != nil {
		return err
	}
	if w.dir, err = os.MkdirTemp("", "mainstem-"); err != nil {
		return fmt.Errorf("making a directory: %w", err)
	}
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return w.buildOperator(groupCtx) })
	group.Go(func() error { return w.startRig(groupCtx) })
	group.Go(func() error { return w.startGitHub(groupCtx) })
	if err := group.Wait(); err != nil {
		return err
	}
	if err := w.install(ctx); err != nil {
		return err
	}
	return w.startOperator(ctx)
}

func (w *World) startRig(ctx context.Context) error {
	policy, err := w.writeAuditPolicy()
	if err != nil {
		return err
	}
	w.Rig, err = rig.Start(ctx, rig.Options{
		Dir: filepath.Join(w.dir, "rig"),
		Out: &progressWriter{sink: w.options.Sink},
		Args: map[string][]string{rig.KubeAPIServer: {
			"--audit-policy-file=" + policy, "--audit-log-path=" + w.auditLog(),
		}},
	})
	if err != nil {
		return err
	}
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, v1alpha1.AddToScheme, sourcev1.AddToScheme, kustomizev1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return fmt.Errorf("registering types: %w", err)
		}
	}
	if w.Client, err = client.NewWithWatch(w.Rig.Admin(), client.Options{Scheme: scheme}); err != nil {
		return fmt.Errorf("making a client: %w", err)
	}
	return nil
}

// Close ends everything and removes what it has left.
func (w *World) Close() error {
	var err error
	if w.Rig != nil {
		w.Rig.Stop()
	}
	if w.GitHub != nil {
		err = w.GitHub.Close()
	}
	if w.dir != "" {
		err = errors.Join(err, os.RemoveAll(w.dir))
	}
	return err
}

// checkout finds the directory of the checkout that the working directory lies in.
func checkout() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the checkout: %w", err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "hack", "rig", "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("finding the checkout: run this inside a checkout of Mainstem")
		}
		dir = parent
	}
}
