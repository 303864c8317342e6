// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package index

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// ByApplication indexes Releases and Promotions by the name of their Application.
const ByApplication = "spec.application"

// AddRecords adds the indexes of Releases and Promotions.
func AddRecords(ctx context.Context, indexer client.FieldIndexer) error {
	for _, kind := range []client.Object{&mainstemv1.Release{}, &mainstemv1.Promotion{}} {
		if err := indexer.IndexField(ctx, kind, ByApplication, ApplicationOf); err != nil {
			return fmt.Errorf("adding the index %s of %T: %w", ByApplication, kind, err)
		}
	}
	return nil
}

// ApplicationOf extracts [ByApplication].
func ApplicationOf(object client.Object) []string {
	switch record := object.(type) {
	case *mainstemv1.Release:
		return []string{record.Spec.Application}
	case *mainstemv1.Promotion:
		return []string{record.Spec.Application}
	}
	return nil
}
