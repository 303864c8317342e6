package rig

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

const (
	// fieldOwner is the manager of the fields that the rig applies.
	fieldOwner = "mainstem-rig"
	// establishTimeout bounds how long a CustomResourceDefinition may take to be served.
	establishTimeout = 30 * time.Second
	// concurrentApplies is how many objects are applied at a time.
	concurrentApplies = 8
)

// Apply applies manifests by server-side apply, as the administrator. A path is
// a YAML file, a directory with a kustomization.yaml, which is built, or a
// directory of YAML files. CustomResourceDefinitions and namespaces go first,
// and Apply returns when the definitions are served.
func (r *Rig) Apply(ctx context.Context, paths ...string) error {
	var manifests [][]byte
	for _, path := range paths {
		read, err := r.read(ctx, path)
		if err != nil {
			return fmt.Errorf("applying %s: %w", path, err)
		}
		manifests = append(manifests, read...)
	}
	return r.ApplyYAML(ctx, manifests...)
}

// ApplyYAML applies manifests as Apply does. Each may hold several documents and Lists.
func (r *Rig) ApplyYAML(ctx context.Context, manifests ...[]byte) error {
	var objects []*unstructured.Unstructured
	for _, manifest := range manifests {
		parsed, err := parse(manifest)
		if err != nil {
			return err
		}
		objects = append(objects, parsed...)
	}
	isFirst := func(object *unstructured.Unstructured) bool {
		return isDefinition(object) || object.GroupVersionKind().GroupKind() == schema.GroupKind{Kind: "Namespace"}
	}
	first := slices.DeleteFunc(slices.Clone(objects), func(o *unstructured.Unstructured) bool { return !isFirst(o) })
	rest := slices.DeleteFunc(objects, isFirst)
	if err := r.applyObjects(ctx, first); err != nil {
		return err
	}
	for _, object := range first {
		if isDefinition(object) {
			if err := r.awaitEstablished(ctx, object.GetName()); err != nil {
				return err
			}
		}
	}
	return r.applyObjects(ctx, rest)
}

func isDefinition(object *unstructured.Unstructured) bool {
	return object.GroupVersionKind().GroupKind() == schema.GroupKind{Group: "apiextensions.k8s.io", Kind: "CustomResourceDefinition"}
}

// read returns the manifests at a path.
func (r *Rig) read(ctx context.Context, path string) ([][]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		content, err := os.ReadFile(filepath.Clean(path))
		return [][]byte{content}, err
	}
	if _, err := os.Stat(filepath.Join(path, "kustomization.yaml")); err == nil {
		return r.kustomize(ctx, path)
	}
	files, err := filepath.Glob(filepath.Join(path, "*.yaml"))
	if err != nil {
		return nil, err
	}
	if len(files) == 0 {
		return nil, errors.New("the directory holds no *.yaml")
	}
	var manifests [][]byte
	for _, file := range files {
		content, err := os.ReadFile(filepath.Clean(file))
		if err != nil {
			return nil, err
		}
		manifests = append(manifests, content)
	}
	return manifests, nil
}

// kustomize builds a directory with the kustomize of kubectl.
func (r *Rig) kustomize(ctx context.Context, dir string) ([][]byte, error) {
	cmd := exec.CommandContext(ctx, r.Kubectl(), "kustomize", dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("building it with kustomize: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	return [][]byte{stdout.Bytes()}, nil
}

// parse returns the objects of a manifest.
func parse(manifest []byte) ([]*unstructured.Unstructured, error) {
	const buffer = 4096 // of the first bytes, by which JSON is told from YAML
	decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(manifest), buffer)
	var objects []*unstructured.Unstructured
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(object)
		switch {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("parsing a manifest: %w", err)
		case len(object.Object) == 0: // an empty document, or only comments
		case object.IsList():
			list, err := object.ToList()
			if err != nil {
				return nil, fmt.Errorf("parsing a list in a manifest: %w", err)
			}
			for i := range list.Items {
				objects = append(objects, &list.Items[i])
			}
		default:
			objects = append(objects, object)
		}
	}
}

func (r *Rig) applyObjects(ctx context.Context, objects []*unstructured.Unstructured) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(concurrentApplies)
	for _, object := range objects {
		group.Go(func() error { return r.applyObject(ctx, object) })
	}
	return group.Wait()
}

func (r *Rig) applyObject(ctx context.Context, object *unstructured.Unstructured) error {
	what := object.GetKind() + " " + client.ObjectKeyFromObject(object).String()
	namespaced, err := r.client.IsObjectNamespaced(object)
	if err != nil {
		return fmt.Errorf("applying %s: %w", what, err)
	}
	if namespaced && object.GetNamespace() == "" {
		object.SetNamespace("default")
	}
	err = r.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(fieldOwner), client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("applying %s: %w", what, err)
	}
	return nil
}

// awaitEstablished waits until the API server serves a CustomResourceDefinition.
func (r *Rig) awaitEstablished(ctx context.Context, name string) error {
	definition := &unstructured.Unstructured{}
	definition.SetGroupVersionKind(schema.GroupVersionKind{
		Group: "apiextensions.k8s.io", Version: "v1", Kind: "CustomResourceDefinition",
	})
	err := wait.PollUntilContextTimeout(ctx, readyInterval, establishTimeout, true, func(ctx context.Context) (bool, error) {
		if err := r.client.Get(ctx, client.ObjectKey{Name: name}, definition); err != nil {
			return false, err
		}
		// The API server says "conditions: null" before it has looked at it.
		value, _, err := unstructured.NestedFieldNoCopy(definition.Object, "status", "conditions")
		conditions, _ := value.([]any)
		return slices.ContainsFunc(conditions, func(condition any) bool {
			fields, ok := condition.(map[string]any)
			return ok && fields["type"] == "Established" && fields["status"] == "True"
		}), err
	})
	if err != nil {
		return fmt.Errorf("waiting until the CustomResourceDefinition %s is served: %w", name, err)
	}
	return nil
}
