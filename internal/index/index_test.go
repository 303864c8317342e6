// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package index_test

import (
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/github"
	"github.com/mainstem-dev/mainstem/internal/index"
)

func application(name, url string, environments ...mainstemv1.EnvironmentName) *mainstemv1.Application {
	result := &mainstemv1.Application{}
	result.Namespace, result.Name = "team-a", name
	result.Spec.Repository.URL = url
	for _, environment := range environments {
		result.Spec.Environments = append(result.Spec.Environments, mainstemv1.ApplicationEnvironment{Name: environment})
	}
	return result
}

func TestIndexes(t *testing.T) {
	scheme := runtime.NewScheme()
	if err := mainstemv1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	indexed := fake.NewClientBuilder().WithScheme(scheme).
		WithIndex(&mainstemv1.Application{}, index.ApplicationsByEnvironment, index.EnvironmentsOf).
		WithIndex(&mainstemv1.Application{}, index.ApplicationsByRepository, index.RepositoryOf).
		WithObjects(
			application("a", "https://github.com/Acme/Podinfo", "develop", "main"),
			application("b", "https://github.com/acme/podinfo.git/", "develop"),
			application("c", "https://ghe.example.com/acme/podinfo", "main"),
			application("broken", "not an address", "develop"),
		).Build()

	tests := []struct {
		field, value string
		want         []string
	}{
		{index.ApplicationsByEnvironment, "develop", []string{"a", "b", "broken"}},
		{index.ApplicationsByEnvironment, "main", []string{"a", "c"}},
		{index.ApplicationsByEnvironment, "staging", nil},
		{index.ApplicationsByRepository, github.Event{Host: "github.com", Repository: "ACME/podinfo"}.Key(), []string{"a", "b"}},
		{index.ApplicationsByRepository, "ghe.example.com/acme/podinfo", []string{"c"}},
		{index.ApplicationsByRepository, "", nil},
	}
	for _, test := range tests {
		var found mainstemv1.ApplicationList
		if err := indexed.List(t.Context(), &found, client.MatchingFields{test.field: test.value}); err != nil {
			t.Fatal(err)
		}
		var names []string
		for i := range found.Items {
			names = append(names, found.Items[i].Name)
		}
		slices.Sort(names)
		if !slices.Equal(names, test.want) {
			t.Errorf("%s=%q finds %v, want %v", test.field, test.value, names, test.want)
		}
	}
}
