// Package rig runs a real Kubernetes control plane and real Flux controllers on
// the local machine, without a cluster and without containers: etcd,
// kube-apiserver with RBAC, kube-controller-manager, kube-scheduler, one node on
// which kwok pretends to run pods, and Flux. Every component has the identity and
// the permissions that it has in a cluster.
//
// Pods become ready, and Jobs complete, as soon as they are scheduled; pods with
// the label mainstem.dev/rig: crash never do.
package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/test/rig/binaries"
	"github.com/mainstem-dev/mainstem/test/rig/internal/filelock"
)

// The components' names, for Options, Kill and Restart.
const (
	Etcd                   = binaries.Etcd
	KubeAPIServer          = binaries.KubeAPIServer
	KubeControllerManager  = binaries.KubeControllerManager
	KubeScheduler          = binaries.KubeScheduler
	Kwok                   = binaries.Kwok
	SourceController       = binaries.SourceController
	KustomizeController    = binaries.KustomizeController
	HelmController         = binaries.HelmController
	NotificationController = binaries.NotificationController
)

// FluxNamespace is where Flux's service accounts are.
const FluxNamespace = "flux-system"

// CrashLabel is the label, with the value CrashValue, that makes a pod crash.
const (
	CrashLabel = "mainstem.dev/rig"
	CrashValue = "crash"
)

// errStopped says that the rig has been stopped.
var errStopped = errors.New("the rig has been stopped")

// Options say what Start starts. The zero value is the whole control plane with
// Flux's source- and kustomize-controller.
type Options struct {
	// Dir is where state, kubeconfigs and logs go. What an earlier rig left in it
	// is removed first. Empty means a temporary directory, which Stop removes.
	Dir string
	// Out receives lines about the progress and about components that end
	// unexpectedly. Nil means that nobody reads them.
	Out io.Writer
	// With names components that run only when they are asked for:
	// HelmController, NotificationController.
	With []string
	// Without names components that are left out. etcd and kube-apiserver always run.
	Without []string
	// Args are additional arguments of a component, by its name.
	Args map[string][]string
}

// Rig is a running control plane with Flux. It must be stopped.
type Rig struct {
	options   Options
	dir       string
	temporary bool // dir is ours to remove
	lock      *filelock.Lock
	binaries  string
	health    *http.Client
	identity  *identities
	admin     *rest.Config
	client    client.Client

	mu      sync.Mutex
	entries []*entry // in the order of their start
	stopped bool
	failed  chan struct{}
	err     error
	outMu   sync.Mutex
}

// Start brings a rig up and returns when all of it is ready. Programs that are
// missing are fetched or built first, which takes minutes once.
func Start(ctx context.Context, options Options) (*Rig, error) {
	r := &Rig{options: options, failed: make(chan struct{})}
	if err := r.validate(); err != nil {
		return nil, fmt.Errorf("starting the rig: %w", err)
	}
	if r.options.Out == nil {
		r.options.Out = io.Discard
	}
	dir, err := binaries.Ensure(ctx, r.options.Out, append(r.components(), binaries.Kubectl)...)
	if err != nil {
		return nil, fmt.Errorf("starting the rig: %w", err)
	}
	r.binaries = dir
	if err := r.prepareDir(); err != nil {
		return nil, fmt.Errorf("starting the rig: %w", err)
	}
	started := time.Now()
	if err := r.bringUp(ctx); err != nil {
		r.Stop()
		return nil, fmt.Errorf("starting the rig: %w", err)
	}
	r.say("%-24s ready in %s", "the rig", time.Since(started).Round(10*time.Millisecond))
	return r, nil
}

// defaults are the components of a rig that nobody asks for anything else.
func defaults() []string {
	return []string{Etcd, KubeAPIServer, KubeControllerManager, KubeScheduler, Kwok, SourceController, KustomizeController}
}

// components returns the names of what this rig runs.
func (r *Rig) components() []string {
	all := slices.Concat(defaults(), r.options.With)
	return slices.DeleteFunc(all, func(name string) bool { return slices.Contains(r.options.Without, name) })
}

func (r *Rig) runs(component string) bool {
	return slices.Contains(r.components(), component)
}

func (r *Rig) validate() error {
	for _, name := range r.options.With {
		if name != HelmController && name != NotificationController {
			return fmt.Errorf("options: With knows %s and %s, not %q", HelmController, NotificationController, name)
		}
	}
	for _, name := range r.options.Without {
		if !slices.Contains(defaults()[2:], name) {
			return fmt.Errorf("options: Without knows %v, not %q", defaults()[2:], name)
		}
	}
	for name := range r.options.Args {
		if !r.runs(name) {
			return fmt.Errorf("options: Args are given for %q, which does not run", name)
		}
	}
	return nil
}

// owned are the names below Dir that a rig writes.
func owned() []string {
	return []string{"etcd", "pki", "logs", "tmp", "source", "stages.yaml", "kubeconfig", "kubeconfigs"}
}

// prepareDir makes an empty directory for this rig alone.
func (r *Rig) prepareDir() error {
	if r.options.Dir == "" {
		dir, err := os.MkdirTemp("", "mainstem-rig-")
		if err != nil {
			return fmt.Errorf("making its directory: %w", err)
		}
		r.dir, r.temporary = dir, true
	} else {
		dir, err := filepath.Abs(r.options.Dir)
		if err != nil {
			return fmt.Errorf("finding its directory: %w", err)
		}
		r.dir = dir
	}
	lock, err := filelock.TryAcquire(filepath.Join(r.dir, "lock"))
	if err != nil {
		return fmt.Errorf("taking its directory, which serves one rig at a time: %w", err)
	}
	r.lock = lock
	for _, name := range owned() {
		if err := os.RemoveAll(filepath.Join(r.dir, name)); err != nil {
			return fmt.Errorf("emptying its directory: %w", err)
		}
	}
	for _, name := range []string{"etcd", "pki", "logs", "tmp", "source", "kubeconfigs"} {
		if err := os.MkdirAll(filepath.Join(r.dir, name), 0o700); err != nil {
			return fmt.Errorf("making its directory: %w", err)
		}
	}
	return nil
}

// bringUp starts the components in the order of their dependencies.
func (r *Rig) bringUp(ctx context.Context) error {
	steps := []func(context.Context) error{r.startAPI, r.installPrerequisites, r.startControllers}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			return err
		}
		if err := r.Err(); err != nil {
			return err
		}
	}
	return nil
}

// Stop ends all processes and removes a temporary directory. It may be called again.
func (r *Rig) Stop() {
	r.mu.Lock()
	if r.stopped {
		r.mu.Unlock()
		return
	}
	r.stopped = true
	entries := slices.Clone(r.entries)
	r.mu.Unlock()

	// The API server and etcd last, as what stops may still have something to
	// write, and at once, as nobody reads their state again.
	isBase := func(e *entry) bool { return e.process.Name == Etcd || e.process.Name == KubeAPIServer }
	var group sync.WaitGroup
	for _, e := range entries {
		if !isBase(e) {
			group.Go(func() { e.run.stop(stopGrace) })
		}
	}
	group.Wait()
	for _, e := range slices.Backward(entries) {
		if isBase(e) {
			e.run.kill()
		}
	}
	if err := r.lock.Release(); err != nil {
		r.say("stopping the rig: %v", err)
	}
	if r.temporary {
		if err := os.RemoveAll(r.dir); err != nil {
			r.say("stopping the rig: %v", err)
		}
	}
}

// Dir is where the rig keeps its state.
func (r *Rig) Dir() string { return r.dir }

// Logs is the directory of the processes' log files.
func (r *Rig) Logs() string { return filepath.Join(r.dir, "logs") }

// Kubectl is the path of a kubectl of the API server's version.
func (r *Rig) Kubectl() string { return binaries.Path(r.binaries, binaries.Kubectl) }

// Kubeconfig is the path of the administrator's kubeconfig.
func (r *Rig) Kubeconfig() string { return filepath.Join(r.dir, "kubeconfig") }

// Admin returns a copy of the administrator's configuration: an ordinary user in
// the group system:masters.
func (r *Rig) Admin() *rest.Config { return rest.CopyConfig(r.admin) }

// Client returns the administrator's client. It reads and applies any kind, as
// unstructured objects, and the types of client-go.
func (r *Rig) Client() client.Client { return r.client }

// say writes a line about the progress.
func (r *Rig) say(format string, args ...any) {
	r.outMu.Lock()
	defer r.outMu.Unlock()
	_, _ = fmt.Fprintf(r.options.Out, format+"\n", args...)
}
