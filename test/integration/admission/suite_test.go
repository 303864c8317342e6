// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package admission sees the shipped CRDs, policies and roles refuse and accept, on a real API server, as the people and
// accounts that would ask.
package admission

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// assetsVariable names the directory of kube-apiserver, etcd and kubectl, as envtest has it.
const assetsVariable = "KUBEBUILDER_ASSETS"

// root is the checkout.
var root = filepath.Join("..", "..", "..")

// admin is the API server's administrator, as whom the tests impersonate everybody else.
var admin *rest.Config

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "admission tests:", err)
		code = 1
	}
	os.Exit(code)
}

// run starts an API server with everything that config/default has, runs the tests, and stops it.
func run(m *testing.M) (code int, err error) {
	if os.Getenv(assetsVariable) == "" {
		return 0, fmt.Errorf("%s is not set: run the tests by make test", assetsVariable)
	}
	ctx := context.Background()
	server := &envtest.Environment{}
	if admin, err = server.Start(); err != nil {
		return 0, fmt.Errorf("starting the API server: %w", err)
	}
	defer func() {
		if stopErr := server.Stop(); stopErr != nil {
			err = errors.Join(err, fmt.Errorf("stopping the API server: %w", stopErr))
		}
	}()
	admin.QPS = -1 // tests are not to wait for themselves
	if err := install(ctx); err != nil {
		return 0, err
	}
	if err := awaitPolicies(ctx); err != nil {
		return 0, err
	}
	return m.Run(), nil
}

// install creates Flux's CRDs, config/default, and the people of the tests.
func install(ctx context.Context) error {
	flux, err := fluxDefinitions(ctx)
	if err != nil {
		return err
	}
	if _, err := envtest.InstallCRDs(admin, envtest.CRDInstallOptions{Paths: flux}); err != nil {
		return fmt.Errorf("installing Flux's kinds: %w", err)
	}
	manifests, err := kustomize(ctx, filepath.Join(root, "config", "default"))
	if err != nil {
		return err
	}
	objects, err := parse(manifests)
	if err != nil {
		return fmt.Errorf("reading config/default: %w", err)
	}
	definitions, others, err := splitDefinitions(objects)
	if err != nil {
		return err
	}
	if _, err := envtest.InstallCRDs(admin, envtest.CRDInstallOptions{CRDs: definitions}); err != nil {
		return fmt.Errorf("installing Mainstem's kinds: %w", err)
	}
	people, err := os.ReadFile(filepath.Join("testdata", "people.yaml"))
	if err != nil {
		return fmt.Errorf("reading who there is: %w", err)
	}
	more, err := parse(people)
	if err != nil {
		return fmt.Errorf("reading who there is: %w", err)
	}
	return createAll(ctx, append(others, more...))
}

func createAll(ctx context.Context, objects []*unstructured.Unstructured) error {
	c, err := client.New(admin, client.Options{})
	if err != nil {
		return fmt.Errorf("making the administrator's client: %w", err)
	}
	for _, object := range objects {
		// Field validation is strict: a misspelt field in config is not dropped in silence.
		if err := c.Create(ctx, object, client.FieldValidation("Strict")); err != nil {
			return fmt.Errorf("creating %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
	return nil
}

func splitDefinitions(objects []*unstructured.Unstructured) ([]*apiextensionsv1.CustomResourceDefinition, []*unstructured.Unstructured, error) {
	var definitions []*apiextensionsv1.CustomResourceDefinition
	var others []*unstructured.Unstructured
	for _, object := range objects {
		if object.GetKind() != "CustomResourceDefinition" {
			others = append(others, object)
			continue
		}
		definition := &apiextensionsv1.CustomResourceDefinition{}
		if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, definition); err != nil {
			return nil, nil, fmt.Errorf("reading the CRD %s: %w", object.GetName(), err)
		}
		definitions = append(definitions, definition)
	}
	return definitions, others, nil
}

// kustomize builds a directory with the kubectl that belongs to the API server.
func kustomize(ctx context.Context, dir string) ([]byte, error) {
	kubectl := filepath.Join(os.Getenv(assetsVariable), "kubectl")
	manifests, err := exec.CommandContext(ctx, kubectl, "kustomize", dir).Output()
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", dir, withStderr(err))
	}
	return manifests, nil
}

// fluxDefinitions returns the directories of Flux's CRDs, in the modules from which the rig builds Flux's controllers.
func fluxDefinitions(ctx context.Context) ([]string, error) {
	var dirs []string
	for _, name := range []string{"source-controller", "kustomize-controller"} {
		download := exec.CommandContext(ctx, "go", "mod", "download", "-json", "github.com/fluxcd/"+name)
		download.Dir = filepath.Join(root, "hack", "rig")
		out, err := download.Output()
		if err != nil {
			return nil, fmt.Errorf("finding the module of %s: %w", name, withStderr(err))
		}
		var module struct{ Dir string }
		if err := json.Unmarshal(out, &module); err != nil {
			return nil, fmt.Errorf("finding the module of %s: %w", name, err)
		}
		dirs = append(dirs, filepath.Join(module.Dir, "config", "crd", "bases"))
	}
	return dirs, nil
}

func withStderr(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return fmt.Errorf("%w: %s", err, exit.Stderr)
	}
	return err
}
