// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package render_test

import (
	"strings"
	"testing"

	"github.com/fluxcd/pkg/apis/meta"
	"k8s.io/apimachinery/pkg/util/validation"
	"pgregory.net/rapid"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/render"
)

func TestReleaseName(t *testing.T) {
	long := strings.Repeat("a", 63)
	cases := []struct {
		name, reason     string
		application, tag string
		want             string
		hashed           bool
	}{
		{"commit", "the plain case reads well", "podinfo", "", "podinfo-a1b2c3d4e5f6", false},
		{"version", "the usual tag stays as it is", "podinfo", "v1.2.0", "podinfo-a1b2c3d4e5f6-v1.2.0", false},
		{"prerelease", "dots and dashes are fine in a name", "podinfo", "v1.2.0-rc.1", "podinfo-a1b2c3d4e5f6-v1.2.0-rc.1", false},
		{"upper case", "V1 and v1 are two tags", "podinfo", "V1", "podinfo-a1b2c3d4e5f6-v1-", true},
		{"build metadata", "v1+2 and v1-2 are two tags", "podinfo", "v1+2", "podinfo-a1b2c3d4e5f6-v1-2-", true},
		{"monorepo", "a slash cannot be in a name", "podinfo", "charts/v1", "podinfo-a1b2c3d4e5f6-charts-v1-", true},
		{"unicode", "nothing readable is left, the hash tells it apart", "podinfo", "版本", "podinfo-a1b2c3d4e5f6-", true},
		{"dash after dot", "each part of a DNS name begins with a letter or digit", "podinfo", "v1.-2", "podinfo-a1b2c3d4e5f6-v1-2-", true},
		{"dash at the end", "and ends with one", "podinfo", "v1-", "podinfo-a1b2c3d4e5f6-v1-", true},
		{"like a hash", "another tag's hash must not be imitated", "podinfo", "v1-0123456789", "podinfo-a1b2c3d4e5f6-v1-0123456789-", true},
		{"like a commit", "podinfo-a1b2c3d4e5f6 could be an application, too", "podinfo", "0123456789ab", "podinfo-a1b2c3d4e5f6-0123456789ab-", true},
		{"long tag", "the tag is cut, the commit stays", "podinfo", strings.Repeat("9.", 100) + "9", "podinfo-a1b2c3d4e5f6-9.9.9", true},
		{"long application", "the application is cut, the commit stays", long, "", strings.Repeat("a", 39) + "-a1b2c3d4e5f6-", true},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := render.ReleaseName(c.application, commit, c.tag)
			matches := got == c.want
			if c.hashed {
				matches = strings.HasPrefix(got, c.want) && len(got) > len(c.want)
			}
			if !matches {
				t.Errorf("name is %s, want %s (hashed: %v): %s", got, c.want, c.hashed, c.reason)
			}
		})
	}
}

func TestKustomizationName(t *testing.T) {
	cases := []struct{ application, environment, want string }{
		{"podinfo", "main", "podinfo-main"},
		{"pod-info", "main", "pod-info-main"},
		{"podinfo", "eu-main", "podinfo-eu-main-"},
		{"podinfo", "deadbeef", "podinfo-deadbeef-"},
		{strings.Repeat("a", 63), "main", strings.Repeat("a", 54) + "-"},
	}
	for _, c := range cases {
		got := render.KustomizationName(c.application, v1alpha1.EnvironmentName(c.environment))
		hashed := strings.HasSuffix(c.want, "-")
		if (!hashed && got != c.want) || (hashed && (!strings.HasPrefix(got, c.want) || len(got) != len(c.want)+8)) {
			t.Errorf("%s in %s is called %s, want %s", c.application, c.environment, got, c.want)
		}
	}
}

// Names that are likely to be mistaken for one another: few words, often with dashes, and some that fill the whole length.
var (
	dnsNames = rapid.OneOf(
		rapid.StringMatching(`[ab](-?[ab1]){0,3}`),
		rapid.StringMatching(`a(-a){0,2}-(a1b2c3d4e5f6|0123456789ab|deadbeef)(-a)?`),
		rapid.StringMatching(`[a-z][a-z0-9-]{55,61}[ab]`),
	)
	commits = rapid.OneOf(rapid.SampledFrom([]string{commit, commit2}), rapid.StringMatching(`[0-9a-f]{40}`))
	tags    = rapid.OneOf(
		rapid.Just(""),
		rapid.SampledFrom([]string{"v1", "V1", "v1.", "v1+", "v1/", "ｖ1", "v1-0123456789", "a1b2c3d4e5f6", "ffeeddccbbaa-a", ".", "-", "\xff"}),
		rapid.StringMatching(`[vV]?[01](\.[01]){0,2}([-+](rc|RC)[./-]?[01])?`),
		rapid.String(),
		rapid.StringMatching(`[a-z0-9.-]{40,80}`),
	)
)

func TestReleaseNamesAreUnique(t *testing.T) {
	type release struct{ application, commit, tag string }
	draw := rapid.Custom(func(t *rapid.T) release {
		return release{dnsNames.Draw(t, "application"), commits.Draw(t, "commit"), tags.Draw(t, "tag")}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		nameA, nameB := render.ReleaseName(a.application, a.commit, a.tag), render.ReleaseName(b.application, b.commit, b.tag)
		for _, name := range []string{nameA, nameB} {
			if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 || len(name) > 63 {
				t.Fatalf("%q is not a name: %v", name, problems)
			}
			if problems := validation.IsValidLabelValue(name); len(problems) > 0 {
				t.Fatalf("%q cannot be a label's value: %v", name, problems)
			}
		}
		if (a.application == b.application && a.tag == b.tag && a.commit[:12] == b.commit[:12]) != (nameA == nameB) {
			t.Fatalf("%+v is %s, and %+v is %s", a, nameA, b, nameB)
		}
	})
}

// TestReleaseNamesSplitOneWay looks at exactly the texts that can be split into application, commit and tag in two ways.
func TestReleaseNamesSplitOneWay(t *testing.T) {
	c1, c2 := commit[:12], commit2[:12]
	cases := []struct{ a, b [3]string }{
		{[3]string{"a-" + c1, commit2, ""}, [3]string{"a", commit, c2}},
		{[3]string{"a-" + c1 + "-x", commit2, "v1"}, [3]string{"a", commit, "x-" + c2 + "-v1"}},
		{[3]string{"a", commit, "V1"}, [3]string{"a", commit, strings.TrimPrefix(render.ReleaseName("a", commit, "V1"), "a-"+c1+"-")}},
	}
	for _, c := range cases {
		a, b := render.ReleaseName(c.a[0], c.a[1], c.a[2]), render.ReleaseName(c.b[0], c.b[1], c.b[2])
		if a == b {
			t.Errorf("%v and %v are both called %s", c.a, c.b, a)
		}
	}
}

func TestKustomizationNamesAreUnique(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		appA, appB := dnsNames.Draw(t, "application a"), dnsNames.Draw(t, "application b")
		envA, envB := dnsNames.Draw(t, "environment a"), dnsNames.Draw(t, "environment b")
		if rapid.Bool().Draw(t, "split in another way") {
			joined := appA + "-" + envA
			cut := strings.LastIndexByte(joined, '-')
			appB, envB = joined[:cut], joined[cut+1:]
		}
		a, b := render.KustomizationName(appA, v1alpha1.EnvironmentName(envA)), render.KustomizationName(appB, v1alpha1.EnvironmentName(envB))
		for _, name := range []string{a, b} {
			if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
				t.Fatalf("%q is not a name: %v", name, problems)
			}
		}
		if (appA == appB && envA == envB) != (a == b) {
			t.Fatalf("%s in %s is %s, and %s in %s is %s", appA, envA, a, appB, envB, b)
		}
	})
}

func TestPromotionNamesAreUnique(t *testing.T) {
	type promotion struct {
		application, environment, release string
		attempt                           int32
	}
	draw := rapid.Custom(func(t *rapid.T) promotion {
		return promotion{
			dnsNames.Draw(t, "application"), dnsNames.Draw(t, "environment"),
			dnsNames.Draw(t, "release"), rapid.Int32Range(1, 3).Draw(t, "attempt"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw.Draw(t, "a"), draw.Draw(t, "b")
		name := func(p promotion) string {
			return render.PromotionName(p.application, v1alpha1.EnvironmentName(p.environment), p.release, p.attempt)
		}
		if problems := validation.IsDNS1123Label(name(a)); len(problems) > 0 {
			t.Fatalf("%q is not a name: %v", name(a), problems)
		}
		if (a == b) != (name(a) == name(b)) {
			t.Fatalf("%+v is %s, and %+v is %s", a, name(a), b, name(b))
		}
	})
}

func TestSourceNamesAreValid(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		// What the API lets through as a repository's address.
		url := "https://" + rapid.StringMatching(`[a-zA-Z0-9.:-]{1,10}`).Draw(t, "host") + "/o/" +
			rapid.StringMatching(`[A-Za-z0-9_.-]{1,120}/?`).Draw(t, "repository")
		scope := scopeFor(func(s *render.Scope) {
			s.Application.Spec.Repository.URL = url
			s.Application.Spec.Repository.SecretRef = rapid.SampledFrom([]*meta.LocalObjectReference{nil, {Name: "x"}}).Draw(t, "secret")
			s.Release.Spec.Branch, s.Release.Spec.Tag = rapid.SampledFrom([]string{"", "main"}).Draw(t, "branch"), tags.Draw(t, "tag")
		})
		name := render.SourceName(scope.Application, scope.Release)
		if problems := validation.IsDNS1123Label(name); len(problems) > 0 {
			t.Fatalf("%q for %s is not a name: %v", name, url, problems)
		}
		if source := render.Source(scope); source.Name != name || strings.HasSuffix(source.Spec.URL, "/") {
			t.Fatalf("the source is %s with URL %s, want %s", source.Name, source.Spec.URL, name)
		}
	})
}
