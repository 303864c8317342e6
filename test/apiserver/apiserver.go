// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package apiserver starts a real API server with everything that config/default installs and with Flux's kinds, for tests that
// need no other part of a cluster.
package apiserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// AssetsVariable names the directory of kube-apiserver, etcd and kubectl, as envtest has it; make test sets it.
const AssetsVariable = "KUBEBUILDER_ASSETS"

// Users that have a part in a cluster.
const (
	Operator             = "system:serviceaccount:mainstem-system:mainstem"
	SourceController     = "system:serviceaccount:flux-system:source-controller"
	KustomizeController  = "system:serviceaccount:flux-system:kustomize-controller"
	serviceAccountsGroup = "system:serviceaccounts"
)

// Server is a running API server.
type Server struct {
	// Admin may do everything.
	Admin *rest.Config

	environment *envtest.Environment
}

// Root is the checkout.
func Root() string {
	_, file, _, _ := runtime.Caller(0)
	return filepath.Join(filepath.Dir(file), "..", "..")
}

// Start starts an API server and installs Flux's kinds and config/default.
func Start(ctx context.Context) (*Server, error) {
	if os.Getenv(AssetsVariable) == "" {
		return nil, fmt.Errorf("%s is not set: run the tests by make test", AssetsVariable)
	}
	s := &Server{environment: &envtest.Environment{}}
	// As some distributions do: whoever gives an object an owner must be allowed to delete the object, and to block the owner.
	s.environment.ControlPlane.GetAPIServer().Configure().Append("enable-admission-plugins", "OwnerReferencesPermissionEnforcement")
	admin, err := s.environment.Start()
	if err != nil {
		return nil, fmt.Errorf("starting the API server: %w", err)
	}
	admin.QPS = -1 // Tests are not to wait for themselves.
	s.Admin = admin
	if err := s.install(ctx); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// StartKinds starts an API server that has Flux's kinds and ours and nothing else, neither rights nor policies, until a test ends.
// Where there is none to start, the test is skipped.
func StartKinds(t *testing.T) *rest.Config {
	t.Helper()
	if os.Getenv(AssetsVariable) == "" {
		t.Skipf("%s is not set: `make test` sets it to where kube-apiserver and etcd are", AssetsVariable)
	}
	kinds, err := definitions(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	environment := &envtest.Environment{CRDDirectoryPaths: kinds, ErrorIfCRDPathMissing: true}
	config, err := environment.Start()
	if err != nil {
		t.Fatalf("starting the API server: %v", err)
	}
	t.Cleanup(func() {
		if err := environment.Stop(); err != nil {
			t.Errorf("stopping the API server: %v", err)
		}
	})
	return config
}

// Stop stops it.
func (s *Server) Stop() error {
	if err := s.environment.Stop(); err != nil {
		return fmt.Errorf("stopping the API server: %w", err)
	}
	return nil
}

// As is a configuration that speaks as somebody else.
func (s *Server) As(user string, groups ...string) *rest.Config {
	config := rest.CopyConfig(s.Admin)
	config.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: append([]string{"system:authenticated"}, groups...)}
	return config
}

// AsServiceAccount is a configuration that speaks as a ServiceAccount, given by its user name.
func (s *Server) AsServiceAccount(user string) *rest.Config { return s.As(user, serviceAccountsGroup) }

func (s *Server) install(ctx context.Context) error {
	kinds, err := definitions(ctx)
	if err != nil {
		return err
	}
	if _, err := envtest.InstallCRDs(s.Admin, envtest.CRDInstallOptions{Paths: kinds, ErrorIfPathMissing: true}); err != nil {
		return fmt.Errorf("installing the CRDs: %w", err)
	}
	manifests, err := Kustomize(ctx, filepath.Join(Root(), "config", "default"))
	if err != nil {
		return err
	}
	if err := s.Create(ctx, manifests); err != nil {
		return fmt.Errorf("installing config/default: %w", err)
	}
	return s.Create(ctx, []byte(fluxRights))
}

// Create creates every object of a YAML stream, CRDs apart, which are installed already. A misspelt field is an error.
func (s *Server) Create(ctx context.Context, manifests []byte) error {
	admin, err := client.New(s.Admin, client.Options{})
	if err != nil {
		return fmt.Errorf("making the administrator's client: %w", err)
	}
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifests), 4096)
	for {
		object := &unstructured.Unstructured{}
		if err := decoder.Decode(object); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return fmt.Errorf("reading the objects: %w", err)
		}
		if object.Object == nil || object.GetKind() == "CustomResourceDefinition" {
			continue
		}
		if err := admin.Create(ctx, object, client.FieldValidation("Strict")); err != nil {
			return fmt.Errorf("creating %s %s: %w", object.GetKind(), object.GetName(), err)
		}
	}
}

// fluxRights are what Flux's own installation gives its controllers on its own kinds.
const fluxRights = `
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: flux}
rules:
- {apiGroups: [source.toolkit.fluxcd.io, kustomize.toolkit.fluxcd.io], resources: ["*"], verbs: ["*"]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: flux}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: flux}
subjects:
- {kind: ServiceAccount, name: source-controller, namespace: flux-system}
- {kind: ServiceAccount, name: kustomize-controller, namespace: flux-system}
- {kind: ServiceAccount, name: notification-controller, namespace: flux-system}
`

// Kustomize builds a directory with the kubectl that belongs to the API server.
func Kustomize(ctx context.Context, dir string) ([]byte, error) {
	kubectl := filepath.Join(os.Getenv(AssetsVariable), "kubectl")
	manifests, err := exec.CommandContext(ctx, kubectl, "kustomize", dir).Output()
	if err != nil {
		return nil, fmt.Errorf("building %s: %w", dir, withStderr(err))
	}
	return manifests, nil
}

// definitions are the directories of CRDs: ours, and Flux's in the modules from which the rig builds Flux's controllers.
func definitions(ctx context.Context) ([]string, error) {
	dirs := []string{filepath.Join(Root(), "config", "crd", "bases")}
	for _, name := range []string{"source-controller", "kustomize-controller"} {
		download := exec.CommandContext(ctx, "go", "mod", "download", "-json", "github.com/fluxcd/"+name)
		download.Dir = filepath.Join(Root(), "hack", "rig")
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
