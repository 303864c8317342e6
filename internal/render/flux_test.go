// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package render_test

import (
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/apis/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/render"
)

func TestSource(t *testing.T) {
	cases := []struct {
		name, reason string
		scope        render.Scope
	}{
		{
			name:   "branch with token",
			reason: "branch and commit together are the pin that never moves; without an App there must be no provider",
			scope:  scopeFor(),
		},
		{
			name:   "app",
			reason: "Flux refuses an App's key without provider github",
			scope:  scopeFor(func(s *render.Scope) { s.Credential = render.CredentialApp }),
		},
		{
			name:   "tag without secret",
			reason: "no branch leads to the commit, so the tag is all that Flux can fetch; anonymous means no secretRef",
			scope: scopeFor(taggedOnly, func(s *render.Scope) {
				s.Application.Spec.Repository.SecretRef = nil
				s.Credential = render.CredentialAnonymous
			}),
		},
		{
			name:   "tag on a branch",
			reason: "a release whose branch is known is pinned by the commit even if it has a tag: tags move",
			scope:  scopeFor(taggedOnly, func(s *render.Scope) { s.Release.Spec.Branch = "release/1.x" }),
		},
		{
			name:   "address",
			reason: "slashes at the end and upper case in the host are other spellings of one address; .git is not ours to drop",
			scope: scopeFor(func(s *render.Scope) {
				s.Application.Spec.Repository.URL = "http://GHE.Example.com:8443/Acme/Pod_Info.git/"
			}),
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			golden(t, goldenName("source", c.name, "yaml"), asYAML(t, render.Source(c.scope)))
		})
	}
}

func TestSourceIsShared(t *testing.T) {
	cases := []struct {
		name, reason string
		change       func(*render.Scope)
		shared       bool
	}{
		{"another application", "one clone serves all applications of a monorepo", func(s *render.Scope) {
			s.Application.Name = "other"
		}, true},
		{"another environment", "a promotion must not fetch again what runs upstream", func(s *render.Scope) {
			s.Environment.Name, s.Entry.Name = "staging", "staging"
		}, true},
		{"a slash at the end", "it is the same address", func(s *render.Scope) {
			s.Application.Spec.Repository.URL += "/"
		}, true},
		{"another namespace", "a source is never used across namespaces", func(s *render.Scope) {
			s.Application.Namespace = "team-b"
		}, false},
		{"another secret", "nobody reads with the credential of somebody else", func(s *render.Scope) {
			s.Application.Spec.Repository.SecretRef.Name = "other"
		}, false},
		{"another repository", "equal names of forks are other repositories", func(s *render.Scope) {
			s.Application.Spec.Repository.URL = "https://github.com/fork/podinfo"
		}, false},
		{"another branch", "Flux reports another revision for it", func(s *render.Scope) {
			s.Release.Spec.Branch = "develop"
		}, false},
		{"a tag in place of a branch of that name", "branches and tags are different things", func(s *render.Scope) {
			s.Release.Spec.Branch, s.Release.Spec.Tag = "", "main"
		}, false},
		{"a commit that begins the same", "the hash covers the whole commit", func(s *render.Scope) {
			s.Release.Spec.Commit = commit[:39] + "f"
		}, false},
	}
	original := scopeFor()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			changed := scopeFor(c.change)
			same := render.SourceName(original.Application, original.Release) == render.SourceName(changed.Application, changed.Release)
			if same != c.shared {
				t.Errorf("shared is %v, want %v: %s", same, c.shared, c.reason)
			}
			a, b := render.Source(original).Spec, render.Source(changed).Spec
			if c.shared && !reflect.DeepEqual(a, b) {
				t.Errorf("one name for two specs: the applications would overwrite each other for ever\n%v\n%v", a, b)
			}
		})
	}
}

// fullDeploy uses every field.
func fullDeploy() v1alpha1.KustomizeDeploy {
	off := false
	return v1alpha1.KustomizeDeploy{
		Path:            "deploy//${environment}/../${environment}/",
		TargetNamespace: "${app}-${environment}",
		Substitute:      map[string]string{"replicas": "2", "version": "${branch}-${shortCommit}", "price": "$5 of ${namespace}"},
		Images: []kustomize.Image{
			{Name: "ghcr.io/acme/${app}", NewName: "registry.example.com/${namespace}/${app}", NewTag: "${commit}"},
		},
		Interval:   &metav1.Duration{Duration: time.Hour},
		Timeout:    &metav1.Duration{Duration: 90 * time.Second},
		Prune:      &off,
		Decryption: &kustomizev1.Decryption{Provider: "sops", SecretRef: &meta.LocalObjectReference{Name: "sops-age"}},
	}
}

func TestKustomization(t *testing.T) {
	cases := []struct {
		name, reason string
		scope        render.Scope
	}{
		{
			name:   "defaults",
			reason: "an application that says nothing gets the root, pruning, waiting, and nothing set that it did not ask for",
			scope:  scopeFor(),
		},
		{
			name:   "everything",
			reason: "every field arrives, with its variables replaced; a path never leaves the repository",
			scope: scopeFor(deploying(fullDeploy()), func(s *render.Scope) {
				s.Environment.Spec.Target.KubeConfig = &meta.KubeConfigReference{ConfigMapRef: &meta.LocalObjectReference{Name: "eks-main"}}
				s.Entry.DeletionPolicy = v1alpha1.DeletionDelete
				s.Release.Spec.Origin = &v1alpha1.ReleaseOrigin{Release: "podinfo-ffeeddccbbaa", PullRequest: 42}
			}),
		},
		{
			name:   "overridden",
			reason: "what the entry sets replaces the application's, substitute is merged, what it leaves out stays",
			scope: scopeFor(deploying(fullDeploy()), overriding(v1alpha1.KustomizeDeploy{
				Path:       "/deploy/production",
				Substitute: map[string]string{"replicas": "10", "tier": "prod"},
				Images:     []kustomize.Image{{Name: "ghcr.io/acme/podinfo", Digest: "sha256:0123"}},
			})),
		},
		{
			name:   "health checks",
			reason: "Flux ignores healthChecks where wait is set",
			scope: scopeFor(deploying(v1alpha1.KustomizeDeploy{
				HealthChecks: []meta.NamespacedObjectKindReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "podinfo", Namespace: "podinfo"}},
			})),
		},
		{
			name:   "tag",
			reason: "a release by tag has tag and version",
			scope: scopeFor(taggedOnly, deploying(v1alpha1.KustomizeDeploy{
				Images: []kustomize.Image{{Name: "ghcr.io/acme/podinfo", NewTag: "${version}"}}, Substitute: map[string]string{"tag": "${tag}"},
			})),
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			before := []any{c.scope.Application.DeepCopy(), c.scope.Environment.DeepCopy(), c.scope.Entry.DeepCopy(), c.scope.Release.DeepCopy()}
			got, err := render.Kustomization(c.scope)
			if err != nil {
				t.Fatal(err)
			}
			golden(t, goldenName("kustomization", c.name, "yaml"), asYAML(t, got))
			after := []any{c.scope.Application, c.scope.Environment, c.scope.Entry, c.scope.Release}
			if !reflect.DeepEqual(before, after) {
				t.Error("rendering changed what it was given")
			}
			if want := render.Source(c.scope); got.Spec.SourceRef.Name != want.Name || got.Namespace != want.Namespace {
				t.Errorf("it refers to %s in %s, but the source is %s in %s", got.Spec.SourceRef.Name, got.Namespace, want.Name, want.Namespace)
			}
		})
	}
}

func TestKustomizationRefuses(t *testing.T) {
	cases := []struct {
		name, reason    string
		scope           render.Scope
		field, mentions string
	}{
		{
			"unknown variable", "nothing is deployed from a path that was never meant",
			scopeFor(deploying(v1alpha1.KustomizeDeploy{Path: "./deploy/${env}"})),
			"spec.deploy.kustomize.path", "${env}",
		},
		{
			"variable that the release lacks", "an empty tag would deploy some other image",
			scopeFor(deploying(v1alpha1.KustomizeDeploy{Images: []kustomize.Image{{Name: "podinfo", NewTag: "${tag}"}}})),
			"spec.deploy.kustomize.images[0].newTag", "${tag}",
		},
		{
			"not a namespace", "a branch has slashes, a namespace has none: Flux would say so only after the source is fetched",
			scopeFor(overriding(v1alpha1.KustomizeDeploy{TargetNamespace: "podinfo-${branch}"}),
				func(s *render.Scope) { s.Release.Spec.Branch = "feature/x" }),
			"spec.environments[main].deploy.kustomize.targetNamespace", "podinfo-feature/x",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := render.Kustomization(c.scope)
			var template *render.TemplateError
			if !errors.As(err, &template) {
				t.Fatalf("error is %v, want a TemplateError: %s", err, c.reason)
			}
			if template.Field != c.field || !strings.Contains(err.Error(), c.mentions) {
				t.Errorf("error is %q about %s, want it about %s and with %s: %s", err, template.Field, c.field, c.mentions, c.reason)
			}
		})
	}
}

// TestCheckNamespace : what no release can make right is refused before one is tried.
func TestCheckNamespace(t *testing.T) {
	long := "n-" + strings.Repeat("x", 60)
	tests := map[string]struct {
		namespace, says string
	}{
		"none":                             {"", ""},
		"plain":                            {"podinfo-${environment}", ""},
		"too long":                         {long + "-${environment}", "which no namespace"},
		"too long with a commit":           {"podinfo-${commit}-${environment}-and-so-on-and-on", "which no namespace"},
		"with capitals":                    {"Podinfo", `"Podinfo", which no namespace`},
		"of a variable that there is not":  {"podinfo-${stage}", ""},
		"of what only some releases have":  {"podinfo-${version}", ""},
		"of what only some have, too long": {long + "-${branch}", ""},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			scope := scopeFor(deploying(v1alpha1.KustomizeDeploy{TargetNamespace: test.namespace}))
			scope.Release.Spec.Branch = ""
			err := render.CheckNamespace(scope)
			if (err == nil) != (test.says == "") || (err != nil && !strings.Contains(err.Error(), test.says)) {
				t.Errorf("got %v, want %q", err, test.says)
			}
		})
	}
}
