// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package apply

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// marksPrefix begins every label and annotation of ours.
const marksPrefix = mainstemv1.Group + "/"

// Delete deletes the very object that was read: one of the same name that was made, or changed, since then stays, and
// the error is a conflict ([apierrors.IsConflict]). An object that is gone or on its way out is fine and costs no
// request. An object without the label mainstem.dev/instance is refused with a [*NotOursError].
func (a *Applier) Delete(ctx context.Context, object client.Object) error {
	if object.GetDeletionTimestamp() != nil {
		return nil
	}
	name := a.describe(object)
	if object.GetLabels()[mainstemv1.InstanceLabel] == "" {
		return &NotOursError{Object: name, Label: mainstemv1.InstanceLabel, Want: "the name of this installation"}
	}
	uid, version := object.GetUID(), object.GetResourceVersion()
	if uid == "" || version == "" {
		return fmt.Errorf("deleting %s: it was not read from the API server, so it cannot be told from another one of that name", name)
	}
	err := a.Client.Delete(ctx, object, client.Preconditions{UID: &uid, ResourceVersion: &version})
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("deleting %s: %w", name, err)
	}
	return nil
}

// Release takes every label and annotation that begins with mainstem.dev/ off the object and leaves the rest as it is,
// in one patch: it goes on running under nobody's care. An object without such marks costs no request; one that is gone
// is fine; one that was replaced since it was read is a conflict. object must have been read from the API server; it is not changed.
func (a *Applier) Release(ctx context.Context, object client.Object) error {
	metadata := map[string]any{}
	if labels := nulls(object.GetLabels()); len(labels) > 0 {
		metadata["labels"] = labels
	}
	if annotations := nulls(object.GetAnnotations()); len(annotations) > 0 {
		metadata["annotations"] = annotations
	}
	if len(metadata) == 0 {
		return nil
	}
	name := a.describe(object)
	if object.GetUID() == "" {
		return fmt.Errorf("releasing %s: it was not read from the API server, so it cannot be told from another one of that name", name)
	}
	// A patch that names another UID than the live object's is refused: that one is not the object that was read.
	metadata["uid"] = object.GetUID()
	data, err := json.Marshal(map[string]any{"metadata": metadata})
	if err != nil {
		return fmt.Errorf("encoding the patch that releases %s: %w", name, err)
	}
	gvk, err := apiutil.GVKForObject(object, a.Client.Scheme())
	if err != nil {
		return fmt.Errorf("finding the kind of %s: %w", name, err)
	}
	target := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Namespace: object.GetNamespace(), Name: object.GetName()}}
	target.SetGroupVersionKind(gvk)
	err = a.Client.Patch(ctx, target, client.RawPatch(types.MergePatchType, data), client.FieldOwner(FieldOwner))
	if client.IgnoreNotFound(err) != nil {
		return fmt.Errorf("releasing %s: %w", name, orReplaced(err, object))
	}
	return nil
}

// nulls gives a null for each key of ours, which is how a JSON merge patch removes it (RFC 7396).
func nulls(marks map[string]string) map[string]any {
	result := map[string]any{}
	for key := range marks {
		if strings.HasPrefix(key, marksPrefix) {
			result[key] = nil
		}
	}
	return result
}

// describe names an object whose kind may be known only by its Go type, for errors.
func (a *Applier) describe(object client.Object) string {
	gvk, err := apiutil.GVKForObject(object, a.Client.Scheme())
	if err != nil {
		return nameOf("object", object)
	}
	return nameOf(gvk.Kind, object)
}
