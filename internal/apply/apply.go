// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package apply

import (
	"context"
	"errors"
	"fmt"

	fluxmeta "github.com/fluxcd/pkg/apis/meta"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/render"
)

const (
	// FieldOwner is the one field manager under which generated objects are applied. Another name would leave the fields
	// of the old one behind for ever.
	FieldOwner = "mainstem"

	// HashAnnotation holds the hash of what was applied last. It is how a field is noticed that was applied once and is
	// no longer wanted: the live object alone does not tell it from a field that somebody else set.
	HashAnnotation = mainstemv1.Group + "/applied-hash"
)

// Result says what [Applier.Apply] did.
type Result string

const (
	// Unchanged : the live object is as desired; nothing was sent.
	Unchanged Result = "Unchanged"
	// Created : there was no such object.
	Created Result = "Created"
	// Changed : the live object differed and was written.
	Changed Result = "Changed"
)

// Applier applies, deletes and releases generated objects.
type Applier struct {
	// Client writes, and reads from the cache. Its scheme must know the kinds that are applied as Go types.
	Client client.Client
	// Live, when set, is asked once more before an object is created: a cache that lags must not make Mainstem write into
	// an object that a person has just made.
	Live client.Reader

	seen comparisons
}

// Apply makes the cluster's object be as desired: every field of desired has the value given there, a field that an
// earlier call had and this one has not is gone, and fields of other owners stay. It costs one write request, or none
// when the cached object is already so and carries the hash of the same desired object. desired is not changed.
//
// An object that exists must carry the same mainstem.dev labels as desired (instance, application, environment, as far
// as desired has them), or be one that [Applier.Release] let go, which is taken up again; else the error is a [*NotOursError] and nothing is written. desired must carry
// mainstem.dev/instance.
//
// The annotation with which Flux is asked to look at once goes along with a write and is no reason for one: people set it too
// (flux reconcile), and what they asked stands.
//
// The write names the UID of the object that was compared: when that one was replaced meanwhile, the error is a
// conflict ([apierrors.IsConflict]) and the next call decides anew.
func (a *Applier) Apply(ctx context.Context, desired client.Object) (Result, error) {
	gvk, err := apiutil.GVKForObject(desired, a.Client.Scheme())
	if err != nil {
		return "", fmt.Errorf("finding the kind of %s/%s: %w", desired.GetNamespace(), desired.GetName(), err)
	}
	cached, err := a.readFrom(ctx, a.Client, gvk, client.ObjectKeyFromObject(desired))
	if err != nil {
		return "", err
	}
	comparison, err := compared(desired, gvk, cached)
	if err != nil {
		return "", err
	}
	if a.seen.unchanged(comparison) {
		return Unchanged, nil
	}
	want, result, err := a.apply(ctx, desired, gvk, cached)
	switch {
	case err != nil:
		return "", err
	case result == Unchanged:
		a.seen.found(comparison)
	default:
		a.seen.wrote(comparison, want)
	}
	return result, nil
}

// apply compares in full, and writes where that finds a difference. It returns the object as it was sent, or as the API server stored it.
func (a *Applier) apply(ctx context.Context, desired client.Object, gvk schema.GroupVersionKind, cached client.Object) (*unstructured.Unstructured, Result, error) {
	want, err := a.normalise(desired, gvk)
	if err != nil {
		return nil, "", err
	}
	if want.GetLabels()[mainstemv1.InstanceLabel] == "" {
		return nil, "", fmt.Errorf("applying %s: it lacks the label %s, by which it would be recognised later", describe(want), mainstemv1.InstanceLabel)
	}
	hash, err := hashOf(want)
	if err != nil {
		return nil, "", fmt.Errorf("hashing %s: %w", describe(want), err)
	}
	annotate(want, HashAnnotation, hash)

	live, err := a.read(ctx, want, cached)
	if err != nil {
		return nil, "", err
	}
	if live != nil {
		if err := ours(want, live); err != nil {
			return nil, "", err
		}
		if live.GetAnnotations()[HashAnnotation] == hash && contains(live, want) {
			return want, Unchanged, nil
		}
	}
	if request := desired.GetAnnotations()[fluxmeta.ReconcileRequestAnnotation]; request != "" {
		annotate(want, fluxmeta.ReconcileRequestAnnotation, request)
	}
	if live == nil {
		// Without force, so that an object that somebody made in the last moment is not overwritten: the API server answers with a
		// conflict where it differs.
		return want, Created, a.send(ctx, want)
	}
	want.SetUID(live.GetUID())
	return want, Changed, a.send(ctx, want, client.ForceOwnership)
}

func (a *Applier) send(ctx context.Context, want *unstructured.Unstructured, options ...client.ApplyOption) error {
	options = append(options, client.FieldOwner(FieldOwner))
	name := describe(want)
	if err := a.Client.Apply(ctx, client.ApplyConfigurationFromUnstructured(want), options...); err != nil {
		return fmt.Errorf("applying %s: %w", name, orReplaced(err, want))
	}
	return nil
}

// read gives the live object in the same form as want, or nil where there is none. cached is what the cache has.
func (a *Applier) read(ctx context.Context, want *unstructured.Unstructured, cached client.Object) (*unstructured.Unstructured, error) {
	gvk, live := want.GroupVersionKind(), cached
	if live == nil && a.Live != nil {
		var err error
		if live, err = a.readFrom(ctx, a.Live, gvk, client.ObjectKeyFromObject(want)); err != nil {
			return nil, err
		}
	}
	if live == nil {
		return nil, nil
	}
	return toUnstructured(live, gvk)
}

// readFrom reads an object, which may be the cache's own and must not be changed, or nil where there is none.
func (a *Applier) readFrom(ctx context.Context, reader client.Reader, gvk schema.GroupVersionKind, key client.ObjectKey) (client.Object, error) {
	object, err := a.emptyOf(gvk)
	if err != nil {
		return nil, err
	}
	err = reader.Get(ctx, key, object, client.UnsafeDisableDeepCopy)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading %s %s: %w", gvk.Kind, key, err)
	}
	return object, nil
}

// emptyOf gives an object to read into. A Go type is taken where the scheme has one, because that is what the cache
// holds: an unstructured read would go to the API server each time.
func (a *Applier) emptyOf(gvk schema.GroupVersionKind) (client.Object, error) {
	typed, err := a.Client.Scheme().New(gvk)
	if runtime.IsNotRegisteredError(err) {
		object := &unstructured.Unstructured{}
		object.SetGroupVersionKind(gvk)
		return object, nil
	}
	if err != nil {
		return nil, fmt.Errorf("making an empty %s: %w", gvk.Kind, err)
	}
	object, ok := typed.(client.Object)
	if !ok {
		return nil, fmt.Errorf("%s is not a kind of object that can be applied", gvk)
	}
	return object, nil
}

// ownershipLabels say whose an object is.
var ownershipLabels = []string{mainstemv1.InstanceLabel, mainstemv1.ApplicationLabel, mainstemv1.EnvironmentLabel}

// letGo says that Mainstem made an object and let it go later, so that it may be taken up again: [Applier.Release] leaves the label
// managed-by, and takes every other mark.
func letGo(wanted, found map[string]string) bool {
	for _, label := range ownershipLabels {
		if _, has := found[label]; has {
			return false
		}
	}
	return wanted[render.ManagedByLabel] != "" && found[render.ManagedByLabel] == wanted[render.ManagedByLabel]
}

// stranger is the first ownership label by which an object is not what is wanted, or empty where it is, or was let go.
func stranger(wanted, found map[string]string) string {
	if letGo(wanted, found) {
		return ""
	}
	for _, label := range ownershipLabels {
		if value, asked := wanted[label]; asked && found[label] != value {
			return label
		}
	}
	return ""
}

// Ours says whether an object with the labels found may be made what is wanted with its labels: it is that already, or was let go.
func Ours(wanted, found map[string]string) bool { return stranger(wanted, found) == "" }

// ours checks that live may be made what is wanted.
func ours(want, live *unstructured.Unstructured) error {
	wanted, found := want.GetLabels(), live.GetLabels()
	if label := stranger(wanted, found); label != "" {
		return &NotOursError{Object: describe(live), Label: label, Want: wanted[label], Found: found[label]}
	}
	return nil
}

// NotOursError means that an object of the desired name exists which this installation did not make for this purpose.
// It was not touched.
type NotOursError struct {
	// Object is its kind, namespace and name.
	Object string
	// Label is the label that differs, Want the value it would have, Found what is there (empty: no such label).
	Label, Want, Found string
}

// Error is one sentence for a condition.
func (e *NotOursError) Error() string {
	found := "it has no such label"
	if e.Found != "" {
		found = fmt.Sprintf("it says %q", e.Found)
	}
	return fmt.Sprintf("%s exists and is not Mainstem's to change (label %s should be %q, but %s): rename or delete that object",
		e.Object, e.Label, e.Want, found)
}

// IsNotOurs says whether the error is, or wraps, a [NotOursError].
func IsNotOurs(err error) bool {
	var notOurs *NotOursError
	return errors.As(err, &notOurs)
}

// describe names an object that knows its kind, for errors.
func describe(object client.Object) string {
	return nameOf(object.GetObjectKind().GroupVersionKind().Kind, object)
}

// nameOf is kind, namespace and name as people read them.
func nameOf(kind string, object client.Object) string {
	if object.GetNamespace() == "" {
		return kind + " " + object.GetName()
	}
	return kind + " " + object.GetNamespace() + "/" + object.GetName()
}
