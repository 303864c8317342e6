// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package render_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/render"
)

var update = flag.Bool("update", false, "write the golden files anew")

const (
	commit  = "a1b2c3d4e5f60718293a4b5c6d7e8f9001122334"
	commit2 = "ffeeddccbbaa99887766554433221100ffeeddcc"
)

// scopeFor is podinfo's release of main in the environment main, changed by the given functions.
func scopeFor(change ...func(*render.Scope)) render.Scope {
	scope := render.Scope{
		Application: &v1alpha1.Application{
			ObjectMeta: metav1.ObjectMeta{Name: "podinfo", Namespace: "team-a"},
			Spec: v1alpha1.ApplicationSpec{
				Repository: v1alpha1.Repository{
					URL:       "https://github.com/acme/podinfo",
					SecretRef: &meta.LocalObjectReference{Name: "github"},
				},
				Deploy: v1alpha1.Deploy{Kustomize: &v1alpha1.KustomizeDeploy{}},
			},
		},
		Environment: &v1alpha1.Environment{
			ObjectMeta: metav1.ObjectMeta{Name: "main"},
			Spec: v1alpha1.EnvironmentSpec{
				Target: v1alpha1.Target{ServiceAccountName: "mainstem-deployer"},
				URL:    "https://${app}.example.com",
			},
		},
		Entry: &v1alpha1.ApplicationEnvironment{Name: "main", DeletionPolicy: v1alpha1.DeletionOrphan},
		Release: &v1alpha1.Release{
			ObjectMeta: metav1.ObjectMeta{Name: "podinfo-a1b2c3d4e5f6", Namespace: "team-a"},
			Spec: v1alpha1.ReleaseSpec{
				Application: "podinfo", Commit: commit, Content: "tree", Branch: "main", Sequence: 1,
			},
		},
		Promotion:  "podinfo-main-3f9a1c0b2d",
		Instance:   "eu-west-1",
		Credential: render.CredentialToken,
	}
	for _, apply := range change {
		apply(&scope)
	}
	return scope
}

// deploying sets what the Application deploys.
func deploying(deploy v1alpha1.KustomizeDeploy) func(*render.Scope) {
	return func(s *render.Scope) { s.Application.Spec.Deploy.Kustomize = &deploy }
}

// overriding sets what the entry deploys in place of it.
func overriding(deploy v1alpha1.KustomizeDeploy) func(*render.Scope) {
	return func(s *render.Scope) { s.Entry.Deploy = &v1alpha1.Deploy{Kustomize: &deploy} }
}

// taggedOnly makes the release one that only a tag leads to.
func taggedOnly(s *render.Scope) {
	s.Release.Name = "podinfo-a1b2c3d4e5f6-v1.2.0"
	s.Release.Spec.Branch, s.Release.Spec.Tag, s.Release.Spec.Version = "", "v1.2.0", "1.2.0"
}

// golden compares with testdata/<name>, or writes it with -update.
func golden(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatalf("%v (write it with: go test ./internal/render -update)", err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s\nwant:\n%s", file, got, want)
	}
}

// asYAML is an object as a person would write it: without the status that it does not have.
func asYAML(t *testing.T, object any) string {
	t.Helper()
	out, err := yaml.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(string(out), "status: {}\n")
}

// goldenName makes a file's name out of a case's.
func goldenName(kind, name, extension string) string {
	return kind + "-" + strings.ReplaceAll(name, " ", "-") + ".golden." + extension
}
