// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package render_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/fluxcd/pkg/apis/kustomize"
	"github.com/fluxcd/pkg/apis/meta"
	"pgregory.net/rapid"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/render"
)

func TestCheckTemplates(t *testing.T) {
	cases := []struct {
		name, reason string
		scope        render.Scope
		field        string
		variable     string
		mentions     []string
	}{
		{
			name: "path", reason: "a slip of the pen is guessed at, and all that exist are listed",
			scope: scopeFor(deploying(v1alpha1.KustomizeDeploy{Path: "./deploy/${environmant}"})),
			field: "spec.deploy.kustomize.path", variable: "environmant",
			mentions: []string{"${environmant}", "did you mean ${environment}?", "${app}", "${shortCommit}", "${version}"},
		},
		{
			name: "overridden path", reason: "the field that holds the mistake is named, not the one that it replaces",
			scope: scopeFor(deploying(v1alpha1.KustomizeDeploy{Path: "./ok"}), overriding(v1alpha1.KustomizeDeploy{Path: "./${Env}"})),
			field: "spec.environments[main].deploy.kustomize.path", variable: "Env",
			mentions: []string{"did you mean ${environment}?"},
		},
		{
			name: "target namespace", reason: "another tool's word is understood",
			scope: scopeFor(deploying(v1alpha1.KustomizeDeploy{TargetNamespace: "${name}"})),
			field: "spec.deploy.kustomize.targetNamespace", variable: "name", mentions: []string{"did you mean ${app}?"},
		},
		{
			name: "substitute of the entry", reason: "a key that only the entry has is the entry's",
			scope: scopeFor(deploying(v1alpha1.KustomizeDeploy{Substitute: map[string]string{"a": "${app}"}}),
				overriding(v1alpha1.KustomizeDeploy{Substitute: map[string]string{"b": "${sha}"}})),
			field: "spec.environments[main].deploy.kustomize.substitute.b", variable: "sha", mentions: []string{"did you mean ${commit}?"},
		},
		{
			name: "substitute of the application", reason: "a key that the entry leaves alone is the application's",
			scope: scopeFor(deploying(v1alpha1.KustomizeDeploy{Substitute: map[string]string{"a": "${zzzzzzzz}"}}),
				overriding(v1alpha1.KustomizeDeploy{Substitute: map[string]string{"b": "${app}"}})),
			field: "spec.deploy.kustomize.substitute.a", variable: "zzzzzzzz", mentions: []string{"known variables are ${app}"},
		},
		{
			name: "bash default", reason: "Flux's own substitution is for the repository's YAML",
			scope: scopeFor(deploying(v1alpha1.KustomizeDeploy{Substitute: map[string]string{"a": "${app:=x}"}})),
			field: "spec.deploy.kustomize.substitute.a", variable: "app:=x", mentions: []string{"did you mean ${app}?"},
		},
		{
			name: "image", reason: "every part of every image is looked at",
			scope: scopeFor(deploying(v1alpha1.KustomizeDeploy{Images: []kustomize.Image{{Name: "a"}, {Name: "b", Digest: "${digest}"}}})),
			field: "spec.deploy.kustomize.images[1].digest", variable: "digest", mentions: []string{"${digest}"},
		},
		{
			name: "not closed", reason: "half a variable is a mistake too",
			scope: scopeFor(deploying(v1alpha1.KustomizeDeploy{Path: "./deploy/${environment"})),
			field: "spec.deploy.kustomize.path", mentions: []string{"without its }"},
		},
		{
			name: "url", reason: "the platform's template is named as the platform's",
			scope: scopeFor(func(s *render.Scope) { s.Environment.Spec.URL = "https://${host}" }),
			field: "spec.url of Environment main", variable: "host", mentions: []string{"${host}"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			err := render.CheckTemplates(c.scope.Application, c.scope.Entry, c.scope.Environment)
			var template *render.TemplateError
			if !errors.As(err, &template) {
				t.Fatalf("error is %v, want a TemplateError: %s", err, c.reason)
			}
			if template.Field != c.field || template.Variable != c.variable {
				t.Errorf("error is about %s and %q, want %s and %q: %s", template.Field, template.Variable, c.field, c.variable, c.reason)
			}
			for _, part := range append(c.mentions, c.field) {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not say %q: %s", err, part, c.reason)
				}
			}
		})
	}
}

func TestCheckTemplatesAccepts(t *testing.T) {
	cases := []struct {
		name, reason string
		scope        render.Scope
	}{
		{"every field", "all that is documented is known", scopeFor(deploying(fullDeploy()))},
		{"a mistake that is overridden everywhere", "only what is deployed counts", scopeFor(
			deploying(v1alpha1.KustomizeDeploy{Path: "./${nonsense}"}), overriding(v1alpha1.KustomizeDeploy{Path: "./ok"}))},
		{"a variable that this release lacks", "it exists: the release is what does not go", scopeFor(
			deploying(v1alpha1.KustomizeDeploy{Path: "./${tag}"}))},
		{"a lone dollar", "only ${ begins a variable", scopeFor(
			deploying(v1alpha1.KustomizeDeploy{Substitute: map[string]string{"price": "$5 {x} $app $"}}))},
		{"no deploy at all", "what admission refuses must not crash us", scopeFor(
			func(s *render.Scope) { s.Application.Spec.Deploy.Kustomize = nil })},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if err := render.CheckTemplates(c.scope.Application, c.scope.Entry, c.scope.Environment); err != nil {
				t.Errorf("refused with %q: %s", err, c.reason)
			}
		})
	}
}

func TestMissingVariables(t *testing.T) {
	usesAll := deploying(v1alpha1.KustomizeDeploy{Path: "./${version}/${tag}", TargetNamespace: "x-${tag}", Substitute: map[string]string{"b": "${branch}"}})
	cases := []struct {
		name, reason string
		scope        render.Scope
		want         []string
	}{
		{"none used", "a commit is enough for templates that only use commits", scopeFor(deploying(fullDeploy())), nil},
		{"commit on a branch", "a commit has no tag; each is named once, in the order of the documentation", scopeFor(usesAll), []string{"tag", "version"}},
		{"tag only", "no branch leads to it", scopeFor(usesAll, taggedOnly), []string{"branch"}},
		{"tag that is no version", "the tag is there, its version is not", scopeFor(usesAll, taggedOnly,
			func(s *render.Scope) { s.Release.Spec.Version = "" }), []string{"branch", "version"}},
		{"health checks", "they name what the release deploys", scopeFor(func(s *render.Scope) {
			s.Application.Spec.Deploy.Kustomize.HealthChecks = []meta.NamespacedObjectKindReference{{APIVersion: "apps/v1", Kind: "Deployment", Name: "podinfo-${version}", Namespace: "podinfo-${environment}"}}
		}), []string{"version"}},
		{"url", "a link keeps nothing out", scopeFor(func(s *render.Scope) { s.Environment.Spec.URL = "https://${version}.example.com" }), nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := render.MissingVariables(c.scope.Application, c.scope.Entry, c.scope.Environment, c.scope.Release)
			if !slices.Equal(got, c.want) {
				t.Errorf("missing are %v, want %v: %s", got, c.want, c.reason)
			}
		})
	}
}

func TestEnvironmentURL(t *testing.T) {
	cases := []struct {
		name, reason string
		scope        render.Scope
		want         string
	}{
		{"variables", "they are replaced", scopeFor(), "https://podinfo.example.com"},
		{"nothing deployed yet", "the address of an application needs no release",
			scopeFor(func(s *render.Scope) { s.Release = nil }), "https://podinfo.example.com"},
		{"missing variable", "no link is better than one that leads nowhere",
			scopeFor(func(s *render.Scope) { s.Environment.Spec.URL = "https://${tag}.example.com" }), ""},
		{"none", "an environment needs no address", scopeFor(func(s *render.Scope) { s.Environment.Spec.URL = "" }), ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := render.EnvironmentURL(c.scope); got != c.want {
				t.Errorf("URL is %q, want %q: %s", got, c.want, c.reason)
			}
		})
	}
}

// TestTemplatesRoundTrip : what is accepted, and of which the release lacks nothing, is rendered to exactly the literal
// text and the values in between, whatever the values hold.
func TestTemplatesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		branch := rapid.SampledFrom([]string{"main", "feature/x", "${app}", "a$", "{b}", "${tag", "$"}).Draw(t, "branch")
		tag := rapid.SampledFrom([]string{"v1.0.0", "${commit}", "${nonsense}", "${"}).Draw(t, "tag")
		meant := map[string]string{
			"app": "podinfo", "namespace": "team-a", "environment": "main", "commit": commit,
			"shortCommit": commit[:12], "branch": branch, "tag": tag, "version": "1.0.0",
		}
		var template, want strings.Builder
		for range rapid.IntRange(0, 6).Draw(t, "pieces") {
			literal := rapid.
				StringMatching(`[a-z${} ]{0,5}`).
				Filter(func(s string) bool { return !strings.Contains(s, "${") }).
				Draw(t, "literal")
			variable := rapid.SampledFrom(render.Variables()).Draw(t, "variable")
			template.WriteString(literal + "${" + variable + "}")
			want.WriteString(literal + meant[variable])
		}
		scope := scopeFor(deploying(v1alpha1.KustomizeDeploy{Substitute: map[string]string{"key": template.String()}}), func(s *render.Scope) {
			s.Release.Spec.Branch, s.Release.Spec.Tag, s.Release.Spec.Version = branch, tag, "1.0.0"
		})
		if err := render.CheckTemplates(scope.Application, scope.Entry, scope.Environment); err != nil {
			t.Fatalf("%q is refused: %v", template.String(), err)
		}
		if missing := render.MissingVariables(scope.Application, scope.Entry, scope.Environment, scope.Release); missing != nil {
			t.Fatalf("%q lacks %v", template.String(), missing)
		}
		got, err := render.Kustomization(scope)
		if err != nil {
			t.Fatal(err)
		}
		if value := got.Spec.PostBuild.Substitute["key"]; value != want.String() {
			t.Fatalf("%q became %q, want %q", template.String(), value, want.String())
		}
	})
}

// TestTemplatesNeverSurprise : any text is either refused by CheckTemplates, or known to lack a variable, or rendered with
// no variable left in it.
func TestTemplatesNeverSurprise(t *testing.T) {
	part := rapid.OneOf(
		rapid.StringMatching(`[a-z./-]{0,6}`),
		rapid.SampledFrom([]string{"${", "}", "$", "{", "${}", "$${app}", "${app", "${unknown}", "${ app }"}),
		rapid.Custom(func(t *rapid.T) string { return "${" + rapid.SampledFrom(render.Variables()).Draw(t, "variable") + "}" }),
	)
	rapid.Check(t, func(t *rapid.T) {
		text := strings.Join(rapid.SliceOfN(part, 0, 5).Draw(t, "parts"), "")
		scope := scopeFor(deploying(v1alpha1.KustomizeDeploy{Substitute: map[string]string{"key": text}}))
		refused := render.CheckTemplates(scope.Application, scope.Entry, scope.Environment) != nil
		missing := render.MissingVariables(scope.Application, scope.Entry, scope.Environment, scope.Release)
		got, err := render.Kustomization(scope)
		if (err != nil) != (refused || len(missing) > 0) {
			t.Fatalf("%q: refused %v, missing %v, but rendering says %v", text, refused, missing, err)
		}
		if err == nil && strings.Contains(got.Spec.PostBuild.Substitute["key"], "${") {
			t.Fatalf("%q became %q", text, got.Spec.PostBuild.Substitute["key"])
		}
	})
}
