// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package admission

import (
	"context"
	"fmt"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// attempt asks the API server for something, as whoever the client acts for.
type attempt func(ctx context.Context, as client.Client) error

// creating creates what build returns, edited.
func creating[T client.Object](build func() T, edits ...func(T)) attempt {
	return func(ctx context.Context, as client.Client) error {
		return as.Create(ctx, edited(build, edits))
	}
}

// updating changes an object that is there, by a patch, as kubectl, flux and Mainstem do: an update would also write what
// Go's types spell in another way (60s, 1m0s).
func updating[T client.Object](build func() T, edits ...func(T)) attempt {
	return func(ctx context.Context, as client.Client) error {
		object, change, err := changed(ctx, build, edits)
		if err != nil {
			return err
		}
		return as.Patch(ctx, object, change)
	}
}

// updatingStatus changes the status subresource of an object that is there.
func updatingStatus[T client.Object](build func() T, edits ...func(T)) attempt {
	return func(ctx context.Context, as client.Client) error {
		object, change, err := changed(ctx, build, edits)
		if err != nil {
			return err
		}
		return as.Status().Patch(ctx, object, change)
	}
}

// patching changes an object that is there by a merge patch.
func patching[T client.Object](build func() T, patch string) attempt {
	return func(ctx context.Context, as client.Client) error {
		object, err := existing(ctx, build)
		if err != nil {
			return err
		}
		return as.Patch(ctx, object, client.RawPatch(types.MergePatchType, []byte(patch)))
	}
}

// deleting deletes an object that is there.
func deleting[T client.Object](build func() T) attempt {
	return func(ctx context.Context, as client.Client) error {
		object, err := existing(ctx, build)
		if err != nil {
			return err
		}
		return as.Delete(ctx, object)
	}
}

// deletingAll deletes all of the team's objects of a kind, one of which is there, in one request.
func deletingAll[T client.Object](build func() T) attempt {
	return func(ctx context.Context, as client.Client) error {
		object, err := existing(ctx, build)
		if err != nil {
			return err
		}
		return as.DeleteAllOf(ctx, object, client.InNamespace(team))
	}
}

func edited[T client.Object](build func() T, edits []func(T)) T {
	object := build()
	for _, edit := range edits {
		edit(object)
	}
	return object
}

// changed returns an object that is there, edited, and the patch that says how.
func changed[T client.Object](ctx context.Context, build func() T, edits []func(T)) (client.Object, client.Patch, error) {
	object, err := existing(ctx, build)
	if err != nil {
		return nil, nil, err
	}
	before, ok := object.DeepCopyObject().(client.Object)
	if !ok {
		return nil, nil, fmt.Errorf("copying %T: the copy is no object", object)
	}
	for _, edit := range edits {
		edit(object)
	}
	return object, client.MergeFrom(before), nil
}

// existing creates an object as whoever makes such objects. Its error never counts as a refusal of what is tried
// afterwards: it does not wrap the API server's.
func existing[T client.Object](ctx context.Context, build func() T) (T, error) {
	object := build()
	writer, err := writerOf(object).client()
	if err != nil {
		return object, err
	}
	if err := writer.Create(ctx, object); err != nil {
		return object, fmt.Errorf("preparing %T %s: %v", object, object.GetName(), err) //nolint:errorlint // see above
	}
	return object, nil
}
