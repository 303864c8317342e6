// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package render

import (
	"net/url"
	"strings"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

const (
	// sourceInterval is how often Flux looks at a source again. A commit never changes, so a day is often enough to make an
	// artifact again that was lost.
	sourceInterval = 24 * time.Hour
	// sourceTimeout is how long Flux may fetch. Pinning a commit fetches the whole history of its branch: Flux's own default
	// of 60 s is too short for big repositories.
	sourceTimeout = 5 * time.Minute
)

// Source is the GitRepository of a release in the Application's namespace. It is pinned to one commit and never changes:
// another commit is another GitRepository ([SourceName]), shared by all applications and environments of the namespace that
// run that commit. So it carries neither an application's label nor an owner.
//
// A release that no branch leads to is pinned by its tag, which Flux follows when somebody moves it: whoever uses the
// artifact compares its commit with the release's, and suspends a source whose tag was moved.
//
// Of the scope it needs Application, Release, Instance and Credential.
func Source(scope Scope) *sourcev1.GitRepository {
	app, release := scope.Application, scope.Release
	source := &sourcev1.GitRepository{
		TypeMeta: metav1.TypeMeta{
			APIVersion: sourcev1.GroupVersion.String(),
			Kind:       sourcev1.GitRepositoryKind,
		},
		ObjectMeta: metav1.ObjectMeta{
			Namespace: app.Namespace,
			Name:      SourceName(app, release),
			Labels:    generatedLabels(scope.Instance),
		},
		Spec: sourcev1.GitRepositorySpec{
			URL:       SourceURL(app.Spec.Repository.URL),
			Interval:  metav1.Duration{Duration: sourceInterval},
			Timeout:   &metav1.Duration{Duration: sourceTimeout},
			Reference: sourceReference(release),
		},
	}
	if secret := app.Spec.Repository.SecretRef; secret != nil {
		source.Spec.SecretRef = &meta.LocalObjectReference{Name: secret.Name}
		if scope.Credential == CredentialApp {
			// Flux refuses an App's key without this provider, and this provider without an App's key.
			source.Spec.Provider = sourcev1.GitProviderGitHub
		}
	}
	return source
}

// sourceReference pins a release. A branch with a commit is the only pin that never moves and that Flux fetches without
// all other branches; the commit must be on that branch.
func sourceReference(release *v1alpha1.Release) *sourcev1.GitRepositoryRef {
	switch {
	case release.Spec.Branch != "":
		return &sourcev1.GitRepositoryRef{Branch: release.Spec.Branch, Commit: release.Spec.Commit}
	case release.Spec.Tag != "":
		return &sourcev1.GitRepositoryRef{Tag: release.Spec.Tag}
	default:
		return &sourcev1.GitRepositoryRef{Commit: release.Spec.Commit}
	}
}

// SourceURL writes a repository's address as it stands in a GitRepository: scheme and host in lower case, no slash at the
// end, so that these spellings of one address share a source. The path is kept as it is: not every server takes another
// spelling of it.
func SourceURL(address string) string {
	trimmed := strings.TrimRight(address, "/")
	parsed, err := url.Parse(trimmed)
	if err != nil || parsed.Host == "" {
		return trimmed
	}
	parsed.Host = strings.ToLower(parsed.Host)
	return parsed.String()
}
