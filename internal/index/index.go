// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package index names the field indexes of the cache that several parts of Mainstem ask, and adds them.
package index

import (
	"context"
	"fmt"

	"sigs.k8s.io/controller-runtime/pkg/client"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/github"
)

const (
	// ApplicationsByEnvironment finds the Applications that list an Environment, by its name.
	ApplicationsByEnvironment = "spec.environments.name"
	// ApplicationsByRepository finds the Applications of a repository, by [github.Repository.Key] or [github.Event.Key]:
	// host/owner/name in lower case. An Application whose address cannot be read is not found by it.
	ApplicationsByRepository = "spec.repository.key"
)

// Add adds the indexes of Applications. It is called once, before the cache starts.
func Add(ctx context.Context, indexer client.FieldIndexer) error {
	indexes := map[string]client.IndexerFunc{
		ApplicationsByEnvironment: EnvironmentsOf,
		ApplicationsByRepository:  RepositoryOf,
	}
	for field, extract := range indexes {
		if err := indexer.IndexField(ctx, &mainstemv1.Application{}, field, extract); err != nil {
			return fmt.Errorf("adding the index %s of Applications: %w", field, err)
		}
	}
	return nil
}

// EnvironmentsOf gives the values of [ApplicationsByEnvironment].
func EnvironmentsOf(object client.Object) []string {
	application, ok := object.(*mainstemv1.Application)
	if !ok {
		return nil
	}
	names := make([]string, 0, len(application.Spec.Environments))
	for i := range application.Spec.Environments {
		names = append(names, string(application.Spec.Environments[i].Name))
	}
	return names
}

// RepositoryOf gives the value of [ApplicationsByRepository].
func RepositoryOf(object client.Object) []string {
	application, ok := object.(*mainstemv1.Application)
	if !ok {
		return nil
	}
	repository, err := github.ParseURL(application.Spec.Repository.URL, application.Spec.Repository.APIURL, "")
	if err != nil {
		return nil
	}
	return []string{repository.Key()}
}
