// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package apply

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"reflect"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// normalise gives desired in the one form in which it is hashed, compared and sent: through its Go type where there is
// one, so that "5m" and "5m0s" are the same; without status, without what the API server sets, without nulls.
func (a *Applier) normalise(desired client.Object, gvk schema.GroupVersionKind) (*unstructured.Unstructured, error) {
	want, err := toUnstructured(desired, gvk)
	if err != nil {
		return nil, err
	}
	if _, untyped := desired.(runtime.Unstructured); untyped {
		if want, err = a.throughType(want); err != nil {
			return nil, err
		}
	}
	unstructured.RemoveNestedField(want.Object, "status")
	for _, field := range []string{"creationTimestamp", "deletionTimestamp", "generation", "managedFields", "resourceVersion", "selfLink", "uid"} {
		unstructured.RemoveNestedField(want.Object, "metadata", field)
	}
	for _, annotation := range []string{HashAnnotation, fluxmeta.ReconcileRequestAnnotation} {
		unstructured.RemoveNestedField(want.Object, "metadata", "annotations", annotation)
	}
	dropNulls(want.Object)
	for _, field := range []string{"annotations", "labels", "finalizers", "ownerReferences"} {
		// The API server stores no empty ones of these.
		if value, found, _ := unstructured.NestedFieldNoCopy(want.Object, "metadata", field); found && isEmpty(value) {
			unstructured.RemoveNestedField(want.Object, "metadata", field)
		}
	}
	return want, nil
}

// throughType converts to the Go type of its kind and back, if the scheme has one. A field that the type does not have
// is refused: it would be lost without a word.
func (a *Applier) throughType(object *unstructured.Unstructured) (*unstructured.Unstructured, error) {
	typed, err := a.emptyOf(object.GroupVersionKind())
	if err != nil {
		return nil, err
	}
	if _, untyped := typed.(runtime.Unstructured); untyped {
		return object, nil
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, typed, true); err != nil {
		return nil, fmt.Errorf("reading %s as its type: %w", describe(object), err)
	}
	return toUnstructured(typed, object.GroupVersionKind())
}

// toUnstructured converts by way of JSON, so that numbers have the same types whatever the object was made of.
func toUnstructured(object client.Object, gvk schema.GroupVersionKind) (*unstructured.Unstructured, error) {
	data, err := json.Marshal(object)
	if err != nil {
		return nil, fmt.Errorf("encoding %s %s/%s: %w", gvk.Kind, object.GetNamespace(), object.GetName(), err)
	}
	content := map[string]any{}
	if err := utiljson.Unmarshal(data, &content); err != nil {
		return nil, fmt.Errorf("decoding %s %s/%s: %w", gvk.Kind, object.GetNamespace(), object.GetName(), err)
	}
	result := &unstructured.Unstructured{Object: content}
	result.SetGroupVersionKind(gvk)
	return result, nil
}

// dropNulls removes nulls, which say nothing in a desired object, and which the API server does not store.
func dropNulls(value any) {
	switch value := value.(type) {
	case map[string]any:
		for key, inner := range value {
			if inner == nil {
				delete(value, key)
				continue
			}
			dropNulls(inner)
		}
	case []any:
		for _, inner := range value {
			dropNulls(inner)
		}
	}
}

// isEmpty says whether a value is an object or a list without anything in it.
func isEmpty(value any) bool {
	switch value := value.(type) {
	case map[string]any:
		return len(value) == 0
	case []any:
		return len(value) == 0
	default:
		return false
	}
}

// hashOf is the SHA-256 of the canonical JSON (object keys sorted, no spaces), in hexadecimal.
func hashOf(object *unstructured.Unstructured) (string, error) {
	data, err := json.Marshal(object.Object)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

func annotate(object *unstructured.Unstructured, key, value string) {
	annotations := object.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[key] = value
	object.SetAnnotations(annotations)
}

// sharedLists are the lists of metadata that several owners fill together: what others put there does not count as
// drift, because applying again would not remove it.
var sharedLists = []string{"finalizers", "ownerReferences"}

// contains says whether every field of want is in live with the same value. Lists must be equal in length and order
// except those of metadata that others add to; maps inside lists may have more fields in live (defaults of a CRD).
func contains(live, want *unstructured.Unstructured) bool {
	liveMetadata, _, _ := unstructured.NestedMap(live.Object, "metadata")
	wantMetadata, _, _ := unstructured.NestedMap(want.Object, "metadata")
	for _, field := range sharedLists {
		wanted, _ := wantMetadata[field].([]any)
		found, _ := liveMetadata[field].([]any)
		if !containsEach(found, wanted) {
			return false
		}
		delete(wantMetadata, field)
	}
	if !subset(liveMetadata, wantMetadata) {
		return false
	}
	for key, wanted := range want.Object {
		if key == "metadata" {
			continue
		}
		if !subset(live.Object[key], wanted) {
			return false
		}
	}
	return true
}

// containsEach says whether every element of wanted is somewhere in found.
func containsEach(found, wanted []any) bool {
	for _, element := range wanted {
		if !containsOne(found, element) {
			return false
		}
	}
	return true
}

func containsOne(found []any, element any) bool {
	for _, candidate := range found {
		if subset(candidate, element) {
			return true
		}
	}
	return false
}

// subset compares two JSON values as contains does. Nothing at all is not the same as an empty object: "emptyDir: {}"
// says something.
func subset(live, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		found, ok := live.(map[string]any)
		if !ok {
			return false
		}
		for key, wanted := range want {
			if !subset(found[key], wanted) {
				return false
			}
		}
		return true
	case []any:
		found, ok := live.([]any)
		if !ok || len(found) != len(want) {
			return false
		}
		for i := range want {
			if !subset(found[i], want[i]) {
				return false
			}
		}
		return true
	default:
		return reflect.DeepEqual(live, want)
	}
}
