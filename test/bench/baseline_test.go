// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package bench

import (
	"context"
	"fmt"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/internal/apply"
)

// baselineNamespace holds what baselines write. Everything in it is suspended, so that nobody reacts to it.
const baselineNamespace = "baseline"

// writer writes what the operator writes, as the operator, and does nothing else.
type writer struct {
	client client.Client
	// source and kustomization are copies of what the operator has made.
	source, kustomization *unstructured.Unstructured
}

func (w *world) newWriter(b *testing.B) *writer {
	b.Helper()
	ctx := b.Context()
	err := w.client.Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: baselineNamespace}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { w.removeBaseline(b) })
	var sources sourcev1.GitRepositoryList
	var kustomizations kustomizev1.KustomizationList
	here := client.InNamespace(w.apps[0].namespace)
	for _, list := range []client.ObjectList{&sources, &kustomizations} {
		if err := w.client.List(ctx, list, here, client.Limit(1)); err != nil {
			b.Fatal(err)
		}
	}
	if len(sources.Items) == 0 || len(kustomizations.Items) == 0 {
		b.Fatal("the operator has made nothing that the baseline could be like")
	}
	result := &writer{}
	if result.client, err = client.New(w.operator, client.Options{Scheme: w.client.Scheme()}); err != nil {
		b.Fatal(err)
	}
	sources.Items[0].Spec.Suspend, kustomizations.Items[0].Spec.Suspend = true, true
	result.source = stripped(b, &sources.Items[0], sourcev1.GroupVersion.String(), sourcev1.GitRepositoryKind)
	result.kustomization = stripped(b, &kustomizations.Items[0], kustomizev1.GroupVersion.String(), kustomizev1.KustomizationKind)
	return result
}

// stripped is an object as it is sent, in the namespace of baselines. It belongs to no installation.
func stripped(b *testing.B, object client.Object, apiVersion, kind string) *unstructured.Unstructured {
	b.Helper()
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		b.Fatal(err)
	}
	result := &unstructured.Unstructured{Object: map[string]any{"spec": content["spec"]}}
	result.SetAPIVersion(apiVersion)
	result.SetKind(kind)
	result.SetNamespace(baselineNamespace)
	result.SetAnnotations(object.GetAnnotations())
	result.SetLabels(map[string]string{"app.kubernetes.io/part-of": instance, "app.kubernetes.io/name": "baseline", "app.kubernetes.io/component": kind})
	return result
}

// apply writes a copy of an object under a name, with another interval each time, so that every write changes something.
func (w *writer) apply(ctx context.Context, like *unstructured.Unstructured, name string, turn int) error {
	object := like.DeepCopy()
	object.SetName(name)
	if err := unstructured.SetNestedField(object.Object, fmt.Sprintf("%dm", 60+turn), "spec", "interval"); err != nil {
		return err
	}
	return w.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(object), client.FieldOwner(apply.FieldOwner), client.ForceOwnership)
}

// pairs makes pairs of a source and a Kustomization, one after the other, and returns how long each pair took.
func (w *writer) pairs(b *testing.B, count int) []time.Duration {
	b.Helper()
	var took []time.Duration
	for i := range count {
		name, started := fmt.Sprintf("pair%04d", i), time.Now()
		for _, like := range []*unstructured.Unstructured{w.source, w.kustomization} {
			if err := w.apply(b.Context(), like, name, i); err != nil {
				b.Fatalf("the baseline's write: %v", err)
			}
		}
		took = append(took, time.Since(started))
	}
	return took
}

// many makes so many writes by plain workers and returns how long that took. Each worker writes to objects of its own.
func (w *writer) many(b *testing.B, writes int) time.Duration {
	b.Helper()
	const objects = 20
	started := time.Now()
	group, ctx := errgroup.WithContext(b.Context())
	for worker := range workers {
		group.Go(func() error {
			for i := worker; i < writes; i += workers {
				turn := i / workers
				like := w.source
				if turn%2 == 1 {
					like = w.kustomization
				}
				if err := w.apply(ctx, like, fmt.Sprintf("many%02d-%02d", worker, turn%objects), turn); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatalf("the baseline's write: %v", err)
	}
	return time.Since(started)
}

func (w *world) removeBaseline(b *testing.B) {
	b.Helper()
	ctx := context.WithoutCancel(b.Context())
	for _, kind := range []client.Object{&sourcev1.GitRepository{}, &kustomizev1.Kustomization{}} {
		if err := w.client.DeleteAllOf(ctx, kind, client.InNamespace(baselineNamespace)); err != nil {
			b.Error(err)
		}
	}
}

// sameCalls asks GitHub so many times for what an observation asks for, by plain workers, and returns how long that took.
func (w *world) sameCalls(b *testing.B, calls int) time.Duration {
	b.Helper()
	pieces := []string{"", "/git/ref/heads/develop", "/git/ref/heads/main"}
	started := time.Now()
	group, ctx := errgroup.WithContext(b.Context())
	for worker := range workers {
		group.Go(func() error {
			for i := worker; i < calls; i += workers {
				if err := w.ask(ctx, "/repos/"+w.apps[i/len(pieces)%len(w.apps)].fullName+pieces[i%len(pieces)]); err != nil {
					return err
				}
			}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		b.Fatalf("the baseline's call: %v", err)
	}
	return time.Since(started)
}
