// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package apply

import (
	"errors"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

var errReplaced = errors.New("an object of the same name has taken the place of the one that was read")

// orReplaced makes a conflict of the answer to a patch that names another UID than the live object's. The API server
// says "invalid: metadata.uid is immutable", which reads like a mistake in the object and is none.
func orReplaced(err error, object client.Object) error {
	var status apierrors.APIStatus
	if !apierrors.IsInvalid(err) || !errors.As(err, &status) || status.Status().Details == nil {
		return err
	}
	details := status.Status().Details
	uid := func(cause metav1.StatusCause) bool { return cause.Field == "metadata.uid" }
	if !slices.ContainsFunc(details.Causes, uid) {
		return err
	}
	return apierrors.NewConflict(schema.GroupResource{Group: details.Group, Resource: details.Kind}, object.GetName(), errReplaced)
}
