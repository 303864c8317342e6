// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package observe

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/github"
	"github.com/mainstem-dev/mainstem/internal/policy"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// Look is a look at a repository, which can be taken again.
type Look struct {
	repository github.Repository
	credential github.Credential
	request    github.Request
	seen       github.Observation
}

// Look is what was seen of the repository, where nothing else of what GitHub was asked can have another answer as long as that stays so;
// else it is nil.
func (o *Observation) Look() *Look {
	if o.passing || o.State.GitHub.Problem != nil {
		return nil
	}
	return o.look
}

// SameAs says whether a repository is as it was seen, and when it is to be looked at again. Nothing is the same that could not be seen.
func (o *Observer) SameAs(ctx context.Context, before *Look) (again time.Time, same bool) {
	seen, err := o.Looks.Observe(ctx, before.repository, before.credential, before.request)
	if err != nil {
		return time.Time{}, false
	}
	again = nextLook(seen.FetchedAt, before.request.MaxAge)
	seen.FetchedAt = before.seen.FetchedAt
	return again, reflect.DeepEqual(seen, before.seen)
}

// repository reads the Application's credential, and from GitHub the heads of its branches and its releases. A credential that GitHub
// refuses may have been rotated a moment ago: it is read anew and tried once more.
func (o *Observer) repository(ctx context.Context, observation *Observation) error {
	if err := o.look(ctx, observation); err != nil || !refusesCredential(observation.State.GitHub.Problem) {
		return err
	}
	o.ForgetSecret(observation.State.Application)
	if !observation.remembered {
		return nil
	}
	observation.State.GitHub.Problem = nil
	return o.look(ctx, observation)
}

// refusesCredential says that a problem may be one of the credential.
func refusesCredential(problem *policy.Problem) bool {
	return problem != nil && (problem.Reason == v1alpha1.UnauthorizedReason || problem.Reason == v1alpha1.PermissionDeniedReason ||
		problem.Reason == v1alpha1.RepositoryNotFoundReason)
}

// look reads the repository once, with the credential as it is known. What is wrong is State.GitHub.Problem.
func (o *Observer) look(ctx context.Context, observation *Observation) error {
	state := &observation.State
	app := state.Application
	credential, problem, err := o.credential(ctx, observation)
	if err != nil {
		return err
	}
	observation.Credential = kindOf(app, credential)
	if problem != nil {
		state.GitHub.Problem = problem
		return nil
	}
	repository, invalid := github.ParseURL(app.Spec.Repository.URL, app.Spec.Repository.APIURL, credential.APIURL())
	if invalid != nil {
		state.GitHub.Problem = &policy.Problem{Reason: v1alpha1.RepositoryInvalidReason, Message: "spec.repository." + invalid.Error()}
		return nil //nolint:nilerr // It is a Problem of the State, which says how to mend it.
	}
	needs := policy.BranchNeeds(app)
	request := github.Request{Branches: needs.Branches, Releases: needs.Published, MaxAge: observation.interval}
	seen, err := o.Looks.Observe(ctx, repository, credential, request)
	if err != nil {
		state.GitHub.Problem = problemOf(err)
		return ctx.Err()
	}
	observation.FetchedAt = seen.FetchedAt
	observation.look = &Look{repository: repository, credential: credential, request: request, seen: seen}
	state.GitHub.Archived = seen.Repository.Archived
	if seen.Repository.Moved {
		state.GitHub.MovedTo = seen.Repository.FullName
		owner, _, _ := strings.Cut(seen.Repository.FullName, "/")
		state.GitHub.Transferred = !strings.EqualFold(owner, repository.Owner)
	}
	observation.defaultBranch = seen.Repository.DefaultBranch
	if observation.GitHub, err = o.Clients.For(repository, credential); err != nil {
		state.GitHub.Problem = problemOf(err)
		return nil
	}
	for name, head := range seen.Branches {
		state.GitHub.Branches[name] = policy.Branch{Found: head.Found, Head: commitOf(head.Commit)}
	}
	for i := range seen.Releases {
		if release := &seen.Releases[i]; release.TagFound {
			state.GitHub.Published = append(state.GitHub.Published, policy.Published{
				Tag: release.Tag, URL: release.URL, Prerelease: release.Prerelease, Target: release.Target, Commit: commitOf(release.Commit),
			})
		}
	}
	return nil
}

// credential reads the Secret that the Application names, unless that was read lately. One that GitHub refuses is read again at once.
func (o *Observer) credential(ctx context.Context, observation *Observation) (github.Credential, *policy.Problem, error) {
	app := observation.State.Application
	observation.remembered = false
	if app.Spec.Repository.SecretRef == nil {
		return github.Credential{}, nil, nil
	}
	name := app.Spec.Repository.SecretRef.Name
	key := types.NamespacedName{Namespace: app.Namespace, Name: name}
	if known, is := o.recent.get(key, observation.interval); is {
		observation.remembered = true
		return known, nil, nil
	}
	var secret corev1.Secret
	switch err := o.read(ctx, key, &secret); {
	case apierrors.IsNotFound(err):
		return github.Credential{}, &policy.Problem{Reason: v1alpha1.SecretNotFoundReason, Message: fmt.Sprintf(
			"spec.repository.secretRef names Secret %s, which is not in namespace %s: create it there with a GitHub App's keys or with username and password", name, app.Namespace)}, nil
	case err != nil:
		return github.Credential{}, nil, err
	}
	version := string(secret.UID) + "/" + secret.ResourceVersion
	credential, known := o.parsed.Get(version)
	if !known {
		var err error
		if credential, err = github.CredentialFromSecret(secret.Data); err != nil {
			return github.Credential{}, &policy.Problem{Reason: v1alpha1.SecretInvalidReason, Message: fmt.Sprintf("Secret %s: %v", name, err)}, nil
		}
		o.parsed.Add(version, credential)
	}
	o.recent.keep(key, credential)
	return credential, nil, nil
}

func kindOf(app *v1alpha1.Application, credential github.Credential) render.CredentialKind {
	switch {
	case app.Spec.Repository.SecretRef == nil:
		return render.CredentialAnonymous
	case credential.Kind() == github.App:
		return render.CredentialApp
	}
	return render.CredentialToken
}

// problemOf is what an error of GitHub means for an Application.
func problemOf(err error) *policy.Problem {
	problem := &policy.Problem{Reason: ReasonOf(err), Message: err.Error()}
	if at, known := github.RetryAt(err); known {
		problem.RetryAt = at
	}
	return problem
}

// ReasonOf names what an error of GitHub means, as the condition RepositoryReachable does.
func ReasonOf(err error) string {
	var notFound *github.NotFoundError
	var unauthorized *github.UnauthorizedError
	var denied *github.PermissionDeniedError
	var limited *github.RateLimitedError
	var archived *github.ArchivedError
	switch {
	case errors.As(err, &notFound):
		return v1alpha1.RepositoryNotFoundReason
	case errors.As(err, &unauthorized):
		return v1alpha1.UnauthorizedReason
	case errors.As(err, &denied):
		return v1alpha1.PermissionDeniedReason
	case errors.As(err, &archived):
		return v1alpha1.RepositoryArchivedReason
	case errors.As(err, &limited):
		return v1alpha1.RateLimitedReason
	}
	return v1alpha1.UnreachableReason
}

func commitOf(commit github.Commit) policy.Commit {
	return policy.Commit{SHA: commit.SHA, Tree: commit.Tree, Parents: commit.Parents, Author: commit.Author, URL: commit.URL,
		AuthoredAt: commit.AuthoredAt, Message: commit.Message}
}
