package rig

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/mainstem-dev/mainstem/test/rig/binaries"
)

//go:embed manifests/kwok.yaml
var kwokManifest []byte

//go:embed manifests/stages.yaml
var crashStages []byte

// nodeName is the name of the rig's one node, in manifests/kwok.yaml.
const nodeName = "rig"

// nodeTimeout bounds how long the node may take to be ready.
const nodeTimeout = 30 * time.Second

func (r *Rig) startKwok(ctx context.Context) error {
	stages := filepath.Join(r.dir, "stages.yaml")
	if err := r.writeStages(stages); err != nil {
		return err
	}
	kubeconfig, err := r.serviceAccountKubeconfig(ctx, "kube-system", "kwok-controller")
	if err != nil {
		return err
	}
	_, err = r.launch(ctx, component{name: Kwok, ports: 1, describe: func(addresses []string) Process {
		return Process{
			Name: Kwok,
			Path: binaries.Path(r.binaries, binaries.Kwok),
			Args: []string{
				"--kubeconfig=" + kubeconfig,
				"--config=" + stages,
				"--manage-all-nodes=true",
				"--node-ip=127.0.0.1",
				"--node-lease-duration-seconds=0",
				"--server-address=" + addresses[0],
			},
			ReadyURL: "http://" + addresses[0] + "/readyz",
		}
	}})
	return err
}

// writeStages writes what becomes of pods and nodes: kwok's own fast Stages, of
// which the one that makes pods ready leaves out those that crash, and ours.
func (r *Rig) writeStages(path string) error {
	files, err := binaries.Files(r.binaries, binaries.Kwok)
	if err != nil {
		return err
	}
	documents := make([][]byte, 0, len(files)+1)
	for _, file := range files {
		content, err := os.ReadFile(filepath.Clean(file))
		if err != nil {
			return fmt.Errorf("reading a Stage of kwok: %w", err)
		}
		if content, err = sparingCrashing(content); err != nil {
			return fmt.Errorf("reading the Stage %s of kwok: %w", filepath.Base(file), err)
		}
		documents = append(documents, content)
	}
	documents = append(documents, crashStages)
	if err := os.WriteFile(path, bytes.Join(documents, []byte("\n---\n")), 0o600); err != nil {
		return fmt.Errorf("writing the Stages: %w", err)
	}
	return nil
}

// sparingCrashing makes the Stage that makes pods ready pass over those with
// the crash label; it returns any other Stage as it is. Without this kwok would
// choose at random between that Stage and ours.
func sparingCrashing(stage []byte) ([]byte, error) {
	var object unstructured.Unstructured
	if err := yaml.Unmarshal(stage, &object.Object); err != nil {
		return nil, fmt.Errorf("parsing it: %w", err)
	}
	if object.GetName() != "pod-ready" {
		return stage, nil
	}
	path := []string{"spec", "selector", "matchExpressions"}
	expressions, found, err := unstructured.NestedSlice(object.Object, path...)
	if err != nil || !found {
		return nil, fmt.Errorf("it selects pods in a way that is not known: %w", errors.Join(err, errNoExpressions))
	}
	expressions = append(expressions, map[string]any{
		"key":      fmt.Sprintf(".metadata.labels[%q]", CrashLabel),
		"operator": "NotIn",
		"values":   []any{CrashValue},
	})
	if err := unstructured.SetNestedSlice(object.Object, expressions, path...); err != nil {
		return nil, fmt.Errorf("adding an expression: %w", err)
	}
	return yaml.Marshal(object.Object)
}

// errNoExpressions says that a Stage has no matchExpressions.
var errNoExpressions = errors.New("no spec.selector.matchExpressions")

// awaitNode waits until kwok has made the node ready.
func (r *Rig) awaitNode(ctx context.Context) error {
	var node corev1.Node
	err := wait.PollUntilContextTimeout(ctx, readyInterval, nodeTimeout, true, func(ctx context.Context) (bool, error) {
		if err := r.client.Get(ctx, client.ObjectKey{Name: nodeName}, &node); err != nil {
			return false, err
		}
		return slices.ContainsFunc(node.Status.Conditions, func(condition corev1.NodeCondition) bool {
			return condition.Type == corev1.NodeReady && condition.Status == corev1.ConditionTrue
		}), nil
	})
	if err != nil {
		return fmt.Errorf("waiting for the node to be ready (%v): %w", node.Status.Conditions, err)
	}
	return nil
}
