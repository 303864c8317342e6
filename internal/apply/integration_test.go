// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package apply_test

import (
	"context"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"

	corev1 "k8s.io/api/core/v1"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/apply"
	"github.com/mainstem-dev/mainstem/test/apiserver"
)

// directApplier reads what it wrote at once: without a cache.
func directApplier(t *testing.T, config *rest.Config) (*apply.Applier, *writes) {
	t.Helper()
	inner, err := client.NewWithWatch(config, client.Options{Scheme: newScheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	counted := &writes{}
	return &apply.Applier{Client: counted.count(inner), Live: inner}, counted
}

// desiredApplication stands for an object with durations, defaults of its CRD and defaults inside lists.
func desiredApplication() *mainstemv1.Application {
	return &mainstemv1.Application{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "podinfo", Labels: marks()},
		Spec: mainstemv1.ApplicationSpec{
			Repository: mainstemv1.Repository{URL: "https://github.com/acme/podinfo"},
			Deploy: mainstemv1.Deploy{Kustomize: &mainstemv1.KustomizeDeploy{
				Path: "./deploy", Timeout: &metav1.Duration{Duration: 5 * time.Minute},
			}},
			Environments: []mainstemv1.ApplicationEnvironment{{
				Name: "main", Source: &mainstemv1.Source{Branch: "main"}, PullRequest: &mainstemv1.PullRequestPolicy{},
			}},
		},
	}
}

func TestAgainstAPIServer(t *testing.T) {
	config := apiserver.StartKinds(t)

	t.Run("defaults and durations do not look like drift", func(t *testing.T) {
		applier, counted := directApplier(t, config)
		mustApply(t, applier, desiredApplication(), apply.Created)
		live := read(t, applier, desiredApplication())
		if live.Spec.Repository.Interval == nil || live.Spec.Environments[0].DeletionPolicy == "" {
			t.Fatal("the API server set no defaults: this test shows nothing")
		}
		version := live.ResourceVersion
		for range 3 {
			mustApply(t, applier, desiredApplication(), apply.Unchanged)
		}
		if got := read(t, applier, desiredApplication()).ResourceVersion; got != version || counted.total() != 1 {
			t.Fatalf("resource version went from %s to %s with %d writes", version, got, counted.total())
		}

		changed := desiredApplication()
		changed.Spec.Deploy.Kustomize.Timeout = nil
		mustApply(t, applier, changed, apply.Changed)
		if live := read(t, applier, desiredApplication()); live.Spec.Deploy.Kustomize.Timeout != nil {
			t.Fatalf("the dropped field is still there: %v", live.Spec.Deploy.Kustomize.Timeout)
		}
		mustApply(t, applier, changed, apply.Unchanged)
	})

	t.Run("drift by others is undone", func(t *testing.T) {
		applier, _ := directApplier(t, config)
		desired := configMap("drift", map[string]string{"a": "1", "b": "2"})
		mustApply(t, applier, desired, apply.Created)
		live := read(t, applier, configMap("drift", nil))
		live.Data = map[string]string{"a": "changed", "theirs": "stays"}
		if err := applier.Client.Update(t.Context(), live, client.FieldOwner("kubectl-edit")); err != nil {
			t.Fatal(err)
		}
		mustApply(t, applier, desired, apply.Changed)
		live = read(t, applier, configMap("drift", nil))
		if live.Data["a"] != "1" || live.Data["b"] != "2" || live.Data["theirs"] != "stays" {
			t.Fatalf("data is %v", live.Data)
		}
		mustApply(t, applier, desired, apply.Unchanged)
	})

	t.Run("an object that was replaced is not overwritten", func(t *testing.T) {
		applier, _ := directApplier(t, config)
		mustApply(t, applier, configMap("replaced", map[string]string{"a": "1"}), apply.Created)
		stale := read(t, applier, configMap("replaced", nil))
		if err := applier.Client.Delete(t.Context(), stale); err != nil {
			t.Fatal(err)
		}
		theirs := configMap("replaced", map[string]string{"a": "theirs"})
		theirs.Labels = nil
		if err := applier.Client.Create(t.Context(), theirs); err != nil {
			t.Fatal(err)
		}
		lagging := &apply.Applier{Client: frozen{Client: applier.Client, object: stale}}
		if _, err := lagging.Apply(t.Context(), configMap("replaced", map[string]string{"a": "2"})); !apierrors.IsConflict(err) {
			t.Errorf("applying over a replaced object: %v, want a conflict", err)
		}
		if err := lagging.Delete(t.Context(), stale); !apierrors.IsConflict(err) {
			t.Errorf("deleting a replaced object: %v, want a conflict", err)
		}
		if err := lagging.Release(t.Context(), stale); !apierrors.IsConflict(err) {
			t.Errorf("releasing a replaced object: %v, want a conflict", err)
		}
		lagging.Client = frozen{Client: applier.Client}
		if _, err := lagging.Apply(t.Context(), configMap("replaced", map[string]string{"a": "2"})); !apierrors.IsConflict(err) {
			t.Errorf("creating over an object of a person: %v, want a conflict", err)
		}
		if live := read(t, applier, configMap("replaced", nil)); live.Data["a"] != "theirs" {
			t.Fatalf("a person's object was overwritten: %v", live.Data)
		}
	})

	t.Run("a changed object is not deleted, a released one lives on", func(t *testing.T) {
		applier, _ := directApplier(t, config)
		mustApply(t, applier, configMap("ends", map[string]string{"a": "1"}), apply.Created)
		stale := read(t, applier, configMap("ends", nil))
		mustApply(t, applier, configMap("ends", map[string]string{"a": "2"}), apply.Changed)
		if err := applier.Delete(t.Context(), stale); !apierrors.IsConflict(err) {
			t.Errorf("deleting a changed object: %v, want a conflict", err)
		}
		live := read(t, applier, configMap("ends", nil))
		if err := applier.Release(t.Context(), live); err != nil {
			t.Fatal(err)
		}
		live = read(t, applier, configMap("ends", nil))
		if len(live.Labels)+len(live.Annotations) != 0 || live.Data["a"] != "2" {
			t.Fatalf("after the release: labels %v, annotations %v, data %v", live.Labels, live.Annotations, live.Data)
		}
		if _, err := applier.Apply(t.Context(), configMap("ends", nil)); !apply.IsNotOurs(err) {
			t.Fatalf("applying a released object: %v, want NotOurs", err)
		}
	})

	t.Run("reads come from the cache", func(t *testing.T) { testCachedReads(t, config) })

	t.Run("a Flux Kustomization", func(t *testing.T) {
		applier, counted := directApplier(t, config)
		mustApply(t, applier, desiredKustomization(), apply.Created)
		mustApply(t, applier, desiredKustomization(), apply.Unchanged)
		next := desiredKustomization()
		next.Spec.SourceRef.Name, next.Spec.CommonMetadata = "podinfo-other", nil
		mustApply(t, applier, next, apply.Changed)
		mustApply(t, applier, next, apply.Unchanged)
		live := &kustomizev1.Kustomization{}
		if err := applier.Client.Get(t.Context(), client.ObjectKeyFromObject(next), live); err != nil {
			t.Fatal(err)
		}
		if live.Spec.SourceRef.Name != "podinfo-other" || live.Spec.CommonMetadata != nil || counted.total() != 2 {
			t.Fatalf("spec %+v after %d writes", live.Spec, counted.total())
		}
	})
}

// testCachedReads shows that comparing asks the API server nothing: the typed cache answers, also for untyped objects.
func testCachedReads(t *testing.T, config *rest.Config) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	informers, err := cache.New(config, cache.Options{Scheme: newScheme(t)})
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = informers.Start(ctx) }()
	if _, err := informers.GetInformer(ctx, &corev1.ConfigMap{}); err != nil {
		t.Fatal(err)
	}
	if !informers.WaitForCacheSync(ctx) {
		t.Fatal("the cache did not sync")
	}
	direct, _ := directApplier(t, config)
	mustApply(t, direct, configMap("cached", map[string]string{"a": "1"}), apply.Created)

	var requests transportCounter
	counting := rest.CopyConfig(config)
	counting.Wrap(requests.wrap)
	cached, err := client.New(counting, client.Options{Scheme: newScheme(t), Cache: &client.CacheOptions{Reader: informers}})
	if err != nil {
		t.Fatal(err)
	}
	waitFor(t, func() bool {
		return cached.Get(ctx, client.ObjectKey{Namespace: "default", Name: "cached"}, &corev1.ConfigMap{}) == nil
	})
	applier := &apply.Applier{Client: cached, Live: cached}
	before := requests.count()
	mustApply(t, applier, configMap("cached", map[string]string{"a": "1"}), apply.Unchanged)
	if sent := requests.count() - before; sent != 0 {
		t.Fatalf("an unchanged object cost %d requests", sent)
	}
}

func configMap(name string, data map[string]string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: name, Labels: marks()}, Data: data}
}

// frozen is a client whose reads stopped following: it knows one ConfigMap, or none.
type frozen struct {
	client.Client
	object *corev1.ConfigMap
}

func (f frozen) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	target, ok := into.(*corev1.ConfigMap)
	if f.object == nil || !ok {
		return apierrors.NewNotFound(corev1.Resource("configmaps"), key.Name)
	}
	f.object.DeepCopyInto(target)
	return nil
}
