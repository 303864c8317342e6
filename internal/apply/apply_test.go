// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package apply_test

import (
	"context"
	"maps"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/apply"
)

// marks are the labels of a generated object of the installation "prod".
func marks() map[string]string {
	return map[string]string{
		mainstemv1.InstanceLabel:    "prod",
		mainstemv1.ApplicationLabel: "podinfo",
		mainstemv1.EnvironmentLabel: "main",
	}
}

func desiredKustomization() *kustomizev1.Kustomization {
	return &kustomizev1.Kustomization{
		ObjectMeta: metav1.ObjectMeta{Namespace: "default", Name: "podinfo-main", Labels: marks()},
		Spec: kustomizev1.KustomizationSpec{
			Interval:       metav1.Duration{Duration: 10 * time.Minute},
			Path:           "./deploy/main",
			Prune:          true,
			Wait:           true,
			SourceRef:      kustomizev1.CrossNamespaceSourceReference{Kind: "GitRepository", Name: "podinfo-0a1b2c"},
			CommonMetadata: &kustomizev1.CommonMetadata{Labels: map[string]string{"team": "a"}},
		},
	}
}

// writes counts the write requests that go through a client.
type writes struct{ apply, patch, remove int }

func (w *writes) total() int { return w.apply + w.patch + w.remove }

func (w *writes) count(inner client.WithWatch) client.WithWatch {
	return interceptor.NewClient(inner, interceptor.Funcs{
		Apply: func(ctx context.Context, c client.WithWatch, object runtime.ApplyConfiguration, options ...client.ApplyOption) error {
			w.apply++
			return c.Apply(ctx, object, options...)
		},
		Patch: func(ctx context.Context, c client.WithWatch, object client.Object, patch client.Patch, options ...client.PatchOption) error {
			w.patch++
			return c.Patch(ctx, object, patch, options...)
		},
		Delete: func(ctx context.Context, c client.WithWatch, object client.Object, options ...client.DeleteOption) error {
			w.remove++
			return c.Delete(ctx, object, options...)
		},
	})
}

func newScheme(t *testing.T) *runtime.Scheme {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{corev1.AddToScheme, kustomizev1.AddToScheme, mainstemv1.AddToScheme} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	return scheme
}

func newApplier(t *testing.T, objects ...client.Object) (*apply.Applier, *writes) {
	t.Helper()
	counted := &writes{}
	inner := fake.NewClientBuilder().WithScheme(newScheme(t)).WithObjects(objects...).WithReturnManagedFields().Build()
	return &apply.Applier{Client: counted.count(inner)}, counted
}

func mustApply(t *testing.T, applier *apply.Applier, desired client.Object, want apply.Result) {
	t.Helper()
	got, err := applier.Apply(t.Context(), desired)
	if err != nil {
		t.Fatalf("Apply: %v", err)
	}
	if got != want {
		t.Fatalf("Apply is %s, want %s", got, want)
	}
}

func read[T client.Object](t *testing.T, applier *apply.Applier, like T) T {
	t.Helper()
	if err := applier.Client.Get(t.Context(), client.ObjectKeyFromObject(like), like); err != nil {
		t.Fatal(err)
	}
	return like
}

func TestApplyWritesOnceAndThenNothing(t *testing.T) {
	applier, counted := newApplier(t)
	mustApply(t, applier, desiredKustomization(), apply.Created)
	for range 3 {
		mustApply(t, applier, desiredKustomization(), apply.Unchanged)
	}
	if counted.total() != 1 || counted.apply != 1 {
		t.Fatalf("writes: %+v, want one apply", *counted)
	}
	live := read(t, applier, desiredKustomization())
	if len(live.ManagedFields) != 1 || live.ManagedFields[0].Manager != apply.FieldOwner || live.ManagedFields[0].Operation != metav1.ManagedFieldsOperationApply {
		t.Fatalf("managed fields are %+v, want one applier named %s", live.ManagedFields, apply.FieldOwner)
	}
}

// TestFluxIsAskedWithAWriteAndNeverForItself : what a person asked of Flux meanwhile stands.
func TestFluxIsAskedWithAWriteAndNeverForItself(t *testing.T) {
	applier, counted := newApplier(t)
	asking := func(promotion, request string) *kustomizev1.Kustomization {
		desired := desiredKustomization()
		desired.Annotations = map[string]string{mainstemv1.PromotionAnnotation: promotion, fluxmeta.ReconcileRequestAnnotation: request}
		return desired
	}
	asked := func() string {
		return read(t, applier, desiredKustomization()).Annotations[fluxmeta.ReconcileRequestAnnotation]
	}
	mustApply(t, applier, asking("first", "first"), apply.Created)
	mustApply(t, applier, asking("first", "first"), apply.Unchanged)

	live := read(t, applier, desiredKustomization())
	live.Annotations[fluxmeta.ReconcileRequestAnnotation] = "2026-01-02T14:20:00Z"
	if err := applier.Client.Update(t.Context(), live, client.FieldOwner("flux")); err != nil {
		t.Fatal(err)
	}
	mustApply(t, applier, asking("first", "first"), apply.Unchanged)
	mustApply(t, applier, asking("first", "another"), apply.Unchanged)
	if got := asked(); got != "2026-01-02T14:20:00Z" {
		t.Errorf("what a person asked became %q", got)
	}
	mustApply(t, applier, asking("second", "second"), apply.Changed)
	mustApply(t, applier, asking("second", "second"), apply.Unchanged)
	if got := asked(); got != "second" || counted.apply != 2 {
		t.Errorf("asked %q with %d writes", got, counted.apply)
	}
}

func TestApplyDoesNotChangeWhatItIsGiven(t *testing.T) {
	applier, _ := newApplier(t)
	desired := desiredKustomization()
	mustApply(t, applier, desired, apply.Created)
	if desired.Annotations != nil || desired.ResourceVersion != "" || desired.UID != "" {
		t.Fatalf("desired was changed: %+v", desired.ObjectMeta)
	}
}

func TestApplySeesEveryWayToDiffer(t *testing.T) {
	tests := map[string]struct {
		// drift is what somebody does to the live object; change is what becomes of the desired one.
		drift, change func(*kustomizev1.Kustomization)
		check         func(*kustomizev1.Kustomization) bool
	}{
		"we change a value": {
			change: func(k *kustomizev1.Kustomization) { k.Spec.Path = "./other" },
			check:  func(k *kustomizev1.Kustomization) bool { return k.Spec.Path == "./other" },
		},
		"we drop a field": {
			change: func(k *kustomizev1.Kustomization) { k.Spec.CommonMetadata = nil },
			check:  func(k *kustomizev1.Kustomization) bool { return k.Spec.CommonMetadata == nil },
		},
		"we drop a label of the user's": {
			change: func(k *kustomizev1.Kustomization) { delete(k.Labels, "app") },
			check:  func(k *kustomizev1.Kustomization) bool { _, has := k.Labels["app"]; return !has },
		},
		"somebody changes our field": {
			drift: func(k *kustomizev1.Kustomization) { k.Spec.Path = "./hacked" },
			check: func(k *kustomizev1.Kustomization) bool { return k.Spec.Path == "./deploy/main" },
		},
		"somebody removes our field": {
			drift: func(k *kustomizev1.Kustomization) { k.Spec.CommonMetadata = nil },
			check: func(k *kustomizev1.Kustomization) bool { return k.Spec.CommonMetadata != nil },
		},
		"somebody removes the hash": {
			drift: func(k *kustomizev1.Kustomization) { k.Annotations = nil },
			check: func(k *kustomizev1.Kustomization) bool { return k.Annotations[apply.HashAnnotation] != "" },
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			applier, counted := newApplier(t)
			desired := desiredKustomization()
			desired.Labels["app"] = "podinfo"
			mustApply(t, applier, desired, apply.Created)
			if test.drift != nil {
				live := read(t, applier, desiredKustomization())
				test.drift(live)
				if err := applier.Client.Update(t.Context(), live, client.FieldOwner("kubectl-edit")); err != nil {
					t.Fatal(err)
				}
			}
			if test.change != nil {
				test.change(desired)
			}
			mustApply(t, applier, desired, apply.Changed)
			if live := read(t, applier, desiredKustomization()); !test.check(live) {
				t.Fatalf("it was not put right: labels %v, spec %+v", live.Labels, live.Spec)
			}
			mustApply(t, applier, desired, apply.Unchanged)
			if counted.total() != 2 {
				t.Fatalf("writes: %+v, want two", *counted)
			}
		})
	}
}

func TestApplyLeavesFieldsOfOthersAlone(t *testing.T) {
	applier, counted := newApplier(t)
	mustApply(t, applier, desiredKustomization(), apply.Created)
	live := read(t, applier, desiredKustomization())
	live.Spec.Suspend = true
	live.Finalizers = append(live.Finalizers, "finalizers.fluxcd.io")
	live.Annotations["reconcile.fluxcd.io/requestedAt"] = "now"
	if err := applier.Client.Update(t.Context(), live, client.FieldOwner("flux")); err != nil {
		t.Fatal(err)
	}
	mustApply(t, applier, desiredKustomization(), apply.Unchanged)
	if counted.total() != 1 {
		t.Fatalf("writes: %+v, want only the first", *counted)
	}

	desired := desiredKustomization()
	desired.Spec.Path = "./other"
	mustApply(t, applier, desired, apply.Changed)
	if live := read(t, applier, desiredKustomization()); !live.Spec.Suspend || len(live.Finalizers) != 1 {
		t.Fatalf("fields of others are gone: suspend %t, finalizers %v", live.Spec.Suspend, live.Finalizers)
	}
}

// A duration that a person would write differently is no difference, for typed and for untyped desired objects.
func TestApplyComparesDurationsByMeaning(t *testing.T) {
	untyped := func(interval string) *unstructured.Unstructured {
		labels := map[string]any{}
		for key, value := range marks() {
			labels[key] = value
		}
		return &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": kustomizev1.GroupVersion.String(), "kind": "Kustomization",
			"metadata": map[string]any{"namespace": "default", "name": "podinfo-main", "labels": labels},
			"spec": map[string]any{
				"interval": interval, "prune": true, "path": "./deploy",
				"sourceRef": map[string]any{"kind": "GitRepository", "name": "podinfo"},
			},
		}}
	}
	applier, counted := newApplier(t)
	mustApply(t, applier, untyped("5m"), apply.Created)
	mustApply(t, applier, untyped("5m0s"), apply.Unchanged)
	mustApply(t, applier, untyped("300s"), apply.Unchanged)
	mustApply(t, applier, untyped("6m"), apply.Changed)
	if counted.total() != 2 {
		t.Fatalf("writes: %+v, want two", *counted)
	}
}

func TestApplyRefusesFieldsThatItsTypesLack(t *testing.T) {
	applier, counted := newApplier(t)
	_, err := applier.Apply(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": map[string]any{"namespace": "default", "name": "x", "labels": map[string]any{mainstemv1.InstanceLabel: "prod"}},
		"datas":    map[string]any{"a": "b"},
	}})
	if err == nil || counted.total() != 0 {
		t.Fatalf("error %v and %d writes, want a refusal", err, counted.total())
	}
}

func TestApplyRefusesWhatIsNotOurs(t *testing.T) {
	with := func(change map[string]string) map[string]string {
		labels := marks()
		maps.Copy(labels, change)
		return labels
	}
	tests := map[string]map[string]string{
		"no labels":            nil,
		"another installation": with(map[string]string{mainstemv1.InstanceLabel: "staging"}),
		"another application":  with(map[string]string{mainstemv1.ApplicationLabel: "other"}),
		"another environment":  with(map[string]string{mainstemv1.EnvironmentLabel: "develop"}),
	}
	for name, labels := range tests {
		t.Run(name, func(t *testing.T) {
			theirs := desiredKustomization()
			theirs.Labels = labels
			theirs.Spec.Path = "./theirs"
			applier, counted := newApplier(t, theirs)
			_, err := applier.Apply(t.Context(), desiredKustomization())
			if !apply.IsNotOurs(err) {
				t.Fatalf("error is %v, want NotOurs", err)
			}
			if !strings.Contains(err.Error(), "Kustomization default/podinfo-main") {
				t.Errorf("the error does not name the object: %v", err)
			}
			if counted.total() != 0 {
				t.Errorf("writes: %+v, want none", *counted)
			}
		})
	}
}

func TestApplyWithoutInstanceLabelIsRefused(t *testing.T) {
	applier, counted := newApplier(t)
	desired := desiredKustomization()
	delete(desired.Labels, mainstemv1.InstanceLabel)
	if _, err := applier.Apply(t.Context(), desired); err == nil || counted.total() != 0 {
		t.Fatalf("error %v, %d writes, want a refusal", err, counted.total())
	}
}

// The cache has not heard of an object that a person has just made: the API server is asked before creating.
func TestApplyAsksTheAPIServerBeforeCreating(t *testing.T) {
	theirs := desiredKustomization()
	theirs.Labels = nil
	stored := fake.NewClientBuilder().WithScheme(newScheme(t)).WithObjects(theirs).Build()
	counted := &writes{}
	applier, _ := newApplier(t)
	applier.Client = counted.count(interceptor.NewClient(stored, interceptor.Funcs{
		Get: func(_ context.Context, _ client.WithWatch, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
			return apierrors.NewNotFound(kustomizev1.GroupVersion.WithResource("kustomizations").GroupResource(), key.Name)
		},
	}))
	applier.Live = stored
	if _, err := applier.Apply(t.Context(), desiredKustomization()); !apply.IsNotOurs(err) || counted.total() != 0 {
		t.Fatalf("error %v, %d writes, want NotOurs and none", err, counted.total())
	}
}

func TestDelete(t *testing.T) {
	stored := desiredKustomization()
	stored.UID = "11111111-0000-0000-0000-000000000000"
	applier, counted := newApplier(t, stored)
	live := read(t, applier, desiredKustomization())

	if err := applier.Delete(t.Context(), desiredKustomization()); err == nil {
		t.Error("an object that was never read was deleted")
	}
	stranger := live.DeepCopy()
	stranger.Labels = nil
	if err := applier.Delete(t.Context(), stranger); !apply.IsNotOurs(err) {
		t.Errorf("deleting an unmarked object: %v, want NotOurs", err)
	}
	if counted.remove != 0 {
		t.Fatalf("%d deletions were sent", counted.remove)
	}
	if err := applier.Delete(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	if err := applier.Delete(t.Context(), live); err != nil {
		t.Errorf("deleting what is gone: %v", err)
	}
	going := live.DeepCopy()
	going.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	sent := counted.remove
	if err := applier.Delete(t.Context(), going); err != nil || counted.remove != sent {
		t.Errorf("deleting what is on its way out: %v, %d requests", err, counted.remove-sent)
	}
}

func TestRelease(t *testing.T) {
	stored := desiredKustomization()
	stored.UID = "11111111-0000-0000-0000-000000000000"
	stored.Labels["app"] = "podinfo"
	stored.Annotations = map[string]string{apply.HashAnnotation: "00", mainstemv1.ReleaseAnnotation: "podinfo-0a1b2c", "note": "kept"}
	applier, counted := newApplier(t, stored)
	live := read(t, applier, desiredKustomization())
	spec := live.Spec.DeepCopy()

	if err := applier.Release(t.Context(), live); err != nil {
		t.Fatal(err)
	}
	released := read(t, applier, desiredKustomization())
	if got := released.Labels; !maps.Equal(got, map[string]string{"app": "podinfo"}) {
		t.Errorf("labels are %v", got)
	}
	if got := released.Annotations; !maps.Equal(got, map[string]string{"note": "kept"}) {
		t.Errorf("annotations are %v", got)
	}
	if released.Spec.Path != spec.Path || released.Spec.Interval != spec.Interval {
		t.Errorf("spec was changed: %+v", released.Spec)
	}
	if err := applier.Release(t.Context(), released); err != nil || counted.patch != 1 {
		t.Errorf("releasing again: %v, %d patches in all, want one", err, counted.patch)
	}
	if err := applier.Client.Delete(t.Context(), released); err != nil {
		t.Fatal(err)
	}
	if err := applier.Release(t.Context(), live); err != nil {
		t.Errorf("releasing what is gone: %v", err)
	}
}
