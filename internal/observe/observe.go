// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package observe reads everything that decisions about one Application depend on: the cluster from the cache, Secrets and
// targets by name from the API server, GitHub through one shared observation per repository. What could not be read is a
// Problem in the State, never a guess.
package observe

import (
	"context"
	"fmt"
	"strings"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	lru "github.com/hashicorp/golang-lru/v2"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/github"
	"github.com/mainstem-dev/mainstem/internal/policy"
	"github.com/mainstem-dev/mainstem/internal/render"
)

const (
	// conflictRetry is when an object that stands in the way is looked for again, though its going wakes the Application.
	conflictRetry = time.Minute
	// targets and credentials bound how many of them are remembered, or known to be there.
	targets     = 8192
	credentials = 2048
	// defaultInterval is how often GitHub is asked where the Application does not say.
	defaultInterval = 5 * time.Minute
	// lookTogether is how much later than the oldest part the others are asked for at most: a look that came when only the oldest
	// has had its time would be followed by another one for the rest.
	lookTogether = time.Second
	// beats is into how many beats an interval is cut: looks begin on a beat, so that one is later by at most this part of the interval.
	beats = 30
	// retryInterval is when an unreachable GitHub is asked again, unless GitHub says when, or the interval is shorter.
	retryInterval = 30 * time.Second
)

// Observer reads the State of Applications.
type Observer struct {
	// Cache reads from the manager's cache; the indexes of package index must be there.
	Cache client.Reader
	// Live reads by name from the API server: Secrets and targets are never cached.
	Live client.Reader
	// Clients talk to GitHub, and Looks shares what they see.
	Clients *github.Clients
	Looks   *github.Observer
	// Now is the clock.
	Now func() time.Time
	// Instance is the installation's name.
	Instance string
	// Operator is Mainstem's own user name, and SystemNamespace its namespace.
	Operator        string
	SystemNamespace string

	// present are the targets that were found there, and recent the credentials of Secrets that were read.
	present *readings[target, struct{}]
	recent  *readings[types.NamespacedName, github.Credential]
	// parsed are credentials by the version of their Secret: to make out a private key takes as long as all decisions of a look.
	parsed *lru.Cache[string, github.Credential]
}

// New makes an Observer of what is set in o.
func New(o Observer) *Observer {
	o.present = newReadings[target, struct{}](targets, o.Now)
	o.recent = newReadings[types.NamespacedName, github.Credential](credentials, o.Now)
	// New fails only for a size that is not positive.
	o.parsed, _ = lru.New[string, github.Credential](credentials)
	return &o
}

// Observation is what was read about one Application.
type Observation struct {
	// State is what decisions depend on.
	State policy.State
	// GitHub speaks to the Application's repository; nil where State.GitHub.Problem says why not.
	GitHub *github.Client
	// Credential says how Flux and Mainstem authenticate.
	Credential render.CredentialKind
	// Kustomizations are ours of this Application, by environment; also those of environments that it no longer lists.
	Kustomizations map[v1alpha1.EnvironmentName]*kustomizev1.Kustomization
	// Sources are all GitRepositories of this installation in the namespace, by name.
	Sources map[string]*sourcev1.GitRepository
	// Pulls are the pull requests as GitHub has them, by the name of their Promotion.
	Pulls map[string]github.PullRequest
	// defaultBranch is the repository's.
	defaultBranch string
	// FetchedAt is when the oldest part was asked of GitHub.
	FetchedAt time.Time

	interval time.Duration
	// remembered says that the credential was not read for this Observation.
	remembered bool
	// look is what was seen of the repository itself, and passing says that more was asked whose answer may change without it.
	look    *Look
	passing bool
}

// ForgetSecret lets the credential of an Application be read anew.
func (o *Observer) ForgetSecret(app *v1alpha1.Application) {
	if ref := app.Spec.Repository.SecretRef; ref != nil {
		o.recent.forget(types.NamespacedName{Namespace: app.Namespace, Name: ref.Name})
	}
}

// NextLook is when GitHub is to be asked again, if no webhook comes before.
func (o *Observation) NextLook() time.Time {
	if problem := o.State.GitHub.Problem; problem != nil {
		if !problem.RetryAt.IsZero() {
			return problem.RetryAt
		}
		return o.State.Now.Add(min(o.interval, retryInterval))
	}
	return nextLook(o.FetchedAt, o.interval)
}

// nextLook is when what was asked at a moment is asked again: when other Applications ask, too, because to wake for a single look costs as
// much as the look.
func nextLook(fetchedAt time.Time, interval time.Duration) time.Time {
	beat := interval / beats
	at := fetchedAt.Add(interval + min(interval/10, lookTogether))
	// By Add alone, which keeps the clock that nobody sets: the age of what was fetched is told by that.
	return at.Add(at.Add(beat - 1).Truncate(beat).Sub(at.Round(0)))
}

// Observe reads the cluster, and from GitHub the branches and releases that the Application follows. Errors are about the
// cluster; what is wrong with GitHub is in State.GitHub.Problem.
func (o *Observer) Observe(ctx context.Context, app *v1alpha1.Application) (*Observation, error) {
	observation := &Observation{
		State: policy.State{
			Now:             o.Now().Truncate(time.Second),
			Operator:        o.Operator,
			SystemNamespace: o.SystemNamespace,
			Application:     app,
			GitHub: policy.GitHub{
				Branches:     map[string]policy.Branch{},
				Commits:      map[string]policy.Commit{},
				Merges:       map[string]policy.Merge{},
				Checks:       map[string]policy.Checks{},
				Homes:        map[string]string{},
				Distances:    map[policy.Span]policy.Distance{},
				Reaches:      map[policy.Span]bool{},
				PullRequests: map[string]policy.PullRequest{},
			},
		},
		Pulls:    map[string]github.PullRequest{},
		interval: intervalOf(app),
	}
	if err := o.cluster(ctx, observation); err != nil {
		return nil, err
	}
	if err := o.flux(ctx, observation); err != nil {
		return nil, err
	}
	if app.Spec.Suspend {
		return observation, nil
	}
	if err := o.repository(ctx, observation); err != nil {
		return nil, err
	}
	o.templates(observation)
	return observation, o.targetsOf(ctx, observation)
}

func intervalOf(app *v1alpha1.Application) time.Duration {
	if app.Spec.Repository.Interval == nil || app.Spec.Repository.Interval.Duration <= 0 {
		return defaultInterval
	}
	return app.Spec.Repository.Interval.Duration
}

// templates says what the templates of each entry need.
func (o *Observer) templates(observation *Observation) {
	state := &observation.State
	state.Templates = map[v1alpha1.EnvironmentName]policy.Templates{}
	for i := range state.Application.Spec.Environments {
		entry := &state.Application.Spec.Environments[i]
		environment := state.Environments[entry.Name]
		if environment == nil {
			continue
		}
		templates := policy.Templates{Needs: render.MissingVariables(state.Application, entry, environment, bareRelease())}
		if err := render.CheckTemplates(state.Application, entry, environment); err != nil {
			templates.Problem = &policy.Problem{Reason: v1alpha1.UnknownVariableReason, Message: err.Error()}
		} else if err := render.CheckNamespace(o.scope(observation, entry.Name, bareRelease())); err != nil {
			templates.Problem = &policy.Problem{Reason: v1alpha1.DeployInvalidReason, Message: err.Error()}
		}
		state.Templates[entry.Name] = templates
	}
}

// scope is what an environment's objects are rendered from.
func (o *Observer) scope(observation *Observation, env v1alpha1.EnvironmentName, release *v1alpha1.Release) render.Scope {
	return render.Scope{
		Application: observation.State.Application,
		Environment: observation.State.Environments[env],
		Entry:       observation.State.Entry(env),
		Release:     release,
		Instance:    o.Instance,
		Credential:  observation.Credential,
	}
}

// Scope is what an environment's objects are rendered from.
func (o *Observer) Scope(observation *Observation, env v1alpha1.EnvironmentName, release *v1alpha1.Release) render.Scope {
	return o.scope(observation, env, release)
}

func (o *Observer) read(ctx context.Context, key types.NamespacedName, into client.Object) error {
	if err := o.Live.Get(ctx, key, into); err != nil {
		return fmt.Errorf("reading %T %s: %w", into, key, err)
	}
	return nil
}

// bareRelease is a Release with what every Release has, a commit, and nothing else: what templates need besides depends on the
// candidate.
func bareRelease() *v1alpha1.Release {
	return &v1alpha1.Release{Spec: v1alpha1.ReleaseSpec{Commit: strings.Repeat("0", 40)}}
}
