package rig

import (
	"context"
	_ "embed"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"

	"github.com/mainstem-dev/mainstem/test/rig/binaries"
)

//go:embed manifests/flux.yaml
var fluxManifest []byte

// fluxControllers returns the names of Flux's controllers that this rig runs.
func (r *Rig) fluxControllers() []string {
	var names []string
	for _, name := range []string{SourceController, KustomizeController, HelmController, NotificationController} {
		if r.runs(name) {
			names = append(names, name)
		}
	}
	return names
}

// installPrerequisites applies what the components need before they start:
// namespaces, service accounts, roles, the node and Flux's
// CustomResourceDefinitions.
func (r *Rig) installPrerequisites(ctx context.Context) error {
	manifests := [][]byte{fluxManifest, kwokManifest}
	for _, controller := range r.fluxControllers() {
		files, err := binaries.Files(r.binaries, controller)
		if err != nil {
			return err
		}
		for _, file := range files {
			content, err := os.ReadFile(filepath.Clean(file))
			if err != nil {
				return fmt.Errorf("reading a CustomResourceDefinition of %s: %w", controller, err)
			}
			manifests = append(manifests, content)
		}
	}
	if err := r.ApplyYAML(ctx, manifests...); err != nil {
		return fmt.Errorf("installing what Flux and kwok need: %w", err)
	}
	return nil
}

// startFlux starts Flux's controllers: first the one that takes the others' events.
func (r *Rig) startFlux(ctx context.Context) error {
	var events string
	if r.runs(NotificationController) {
		addresses, err := r.startFluxController(ctx, NotificationController, func(addresses []string) []string {
			return []string{"--events-addr=" + addresses[2], "--receiverAddr=" + addresses[3]}
		})
		if err != nil {
			return err
		}
		events = "http://" + addresses[2] + "/"
	}
	group, ctx := errgroup.WithContext(ctx)
	for _, name := range r.fluxControllers() {
		if name == NotificationController {
			continue
		}
		group.Go(func() error {
			_, err := r.startFluxController(ctx, name, func(addresses []string) []string {
				args := []string{"--events-addr=" + events}
				if name == SourceController {
					args = append(args,
						"--storage-path="+filepath.Join(r.dir, "source"),
						"--storage-addr="+addresses[2],
						// In a cluster the name of its service; here the others reach it by loopback.
						"--storage-adv-addr="+addresses[2])
				}
				return args
			})
			return err
		})
	}
	return group.Wait()
}

// startFluxController starts one controller as its service account. specific
// returns the arguments that only this one has, for addresses of which the first
// two serve metrics and health.
func (r *Rig) startFluxController(ctx context.Context, name string, specific func(addresses []string) []string) ([]string, error) {
	kubeconfig, err := r.serviceAccountKubeconfig(ctx, FluxNamespace, name)
	if err != nil {
		return nil, err
	}
	return r.launch(ctx, component{name: name, ports: 4, describe: func(addresses []string) Process {
		return Process{
			Name: name,
			Path: binaries.Path(r.binaries, name),
			Args: append([]string{
				"--watch-all-namespaces=true",
				"--enable-leader-election=false",
				"--log-level=info",
				"--log-encoding=json",
				"--metrics-addr=" + addresses[0],
				"--health-addr=" + addresses[1],
			}, specific(addresses)...),
			Env: []string{
				"KUBECONFIG=" + kubeconfig,
				"RUNTIME_NAMESPACE=" + FluxNamespace,
				"TUF_ROOT=" + filepath.Join(r.dir, "tmp", "sigstore"),
			},
			ReadyURL: "http://" + addresses[1] + "/readyz",
		}
	}})
}
