// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package bench

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

const (
	develop  v1alpha1.EnvironmentName = "develop"
	mainline v1alpha1.EnvironmentName = "main"

	owner          = "acme"
	appID          = 4711
	installationID = 815
	visitorToken   = "ghp_visitor"
	webhookSecret  = "a secret of the benchmarks"
	// generousLimit leaves GitHub's budget out of the figures: the calls are counted instead.
	generousLimit = 1_000_000
	// history is how many commits every repository has to give.
	history = 8
	// workers is how many at once prepare the world, and make the writes of baselines.
	workers = 16
)

// app is an Application with its repository.
type app struct {
	namespace, name string
	repository      *emulator.Repository
	fullName        string
	// head and main are which of the commits the branches develop and main are at.
	head, main int
}

func (a *app) place(env v1alpha1.EnvironmentName, commit string) place {
	return place{a.namespace, a.name, env, commit}
}

// plainPlaces are the places of a commit in an environment, for many Applications.
func plainPlaces(apps []*app, env v1alpha1.EnvironmentName, commit func(*app) string) []place {
	places := make([]place, 0, len(apps))
	for _, a := range apps {
		places = append(places, a.place(env, commit(a)))
	}
	return places
}

func (w *world) origin(a *app, commit string) origin {
	return origin{a.namespace, w.github.URL() + "/" + a.fullName, commit}
}

// startGitHub starts the emulated GitHub with an App that is installed for all repositories. They all begin with one history,
// whose commits GitHub has looked at before: what is measured is not how fast the emulator is.
func (w *world) startGitHub(ctx context.Context) error {
	var err error
	if w.github, err = emulator.Start(emulator.Options{Dir: filepath.Join(w.dir, "github"), TokenLifetime: w.tokenLife}); err != nil {
		return fmt.Errorf("starting the emulated GitHub: %w", err)
	}
	if w.relay, err = newRelay(ctx); err != nil {
		return err
	}
	if w.appKey, err = emulator.GenerateAppKey(); err != nil {
		return err
	}
	template, err := w.makeTemplate(ctx)
	if err != nil {
		return fmt.Errorf("preparing the history of the repositories: %w", err)
	}
	repositories := w.applications
	if w.sharing == monorepo {
		repositories = 1
	}
	for i := range w.applications {
		name := fmt.Sprintf("app%04d", i)
		a := &app{namespace: fmt.Sprintf("team%03d", i/w.perNamespace), name: name, fullName: fmt.Sprintf("%s/app%04d", owner, i%repositories)}
		if a.repository = w.github.Repository(a.fullName); a.repository == nil {
			if a.repository, err = w.github.CreateRepository(a.fullName, emulator.RepositoryOptions{Private: true, Template: template}); err != nil {
				return fmt.Errorf("preparing the repositories: %w", err)
			}
		}
		w.apps = append(w.apps, a)
	}
	return w.github.AddApp(emulator.App{
		ID: appID, InstallationID: installationID, Slug: "mainstem-bench", Owner: owner, PrivateKeyPEM: w.appKey, RateLimit: generousLimit,
		Permissions: map[string]string{"contents": emulator.Write, "pull_requests": emulator.Write, "statuses": emulator.Write, "checks": emulator.Read},
		WebhookURL:  w.relay.url(), WebhookSecret: webhookSecret, Events: []string{"push", "pull_request", "release", "check_run", "status"},
	})
}

// makeTemplate makes a repository whose branch "future" has all commits, and main and develop the first.
func (w *world) makeTemplate(ctx context.Context) (*emulator.Repository, error) {
	const user = "visitor"
	w.github.AddToken(emulator.Token{Value: visitorToken, Login: user, RateLimit: generousLimit})
	template, err := w.github.CreateRepository("templates/app", emulator.RepositoryOptions{})
	if err != nil {
		return nil, err
	}
	for i := range history {
		sha, err := template.Commit("main", fmt.Sprintf("Change %d", i), user, map[string]string{
			"deploy/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: \"${name}\"}\ndata: {change: \"" + strconv.Itoa(i) + "\"}\n",
		})
		if err != nil {
			return nil, err
		}
		w.commits = append(w.commits, sha)
	}
	if err := template.CreateBranch("future", w.commits[history-1]); err != nil {
		return nil, err
	}
	if err := template.CreateBranch("develop", w.commits[0]); err != nil {
		return nil, err
	}
	for _, commit := range w.commits {
		if err := template.ForcePush("develop", commit); err != nil {
			return nil, err
		}
	}
	for _, branch := range []string{"develop", "main"} {
		if err := template.ForcePush(branch, w.commits[0]); err != nil {
			return nil, err
		}
	}
	return template, w.lookAtHistory(ctx, template)
}

// lookAtHistory asks once for every commit and every comparison.
func (w *world) lookAtHistory(ctx context.Context, template *emulator.Repository) error {
	var paths []string
	for i, commit := range w.commits {
		paths = append(paths, "/commits/"+commit, "/commits/"+commit+"/pulls")
		for _, other := range w.commits[:i] {
			paths = append(paths, "/compare/"+other+"..."+commit, "/compare/"+commit+"..."+other)
		}
	}
	for _, path := range paths {
		if err := w.ask(ctx, "/repos/"+template.FullName()+path); err != nil {
			return err
		}
	}
	return nil
}

// ask asks GitHub as a visitor, and is content with any answer that is one.
func (w *world) ask(ctx context.Context, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, w.github.APIURL()+path, http.NoBody)
	if err != nil {
		return fmt.Errorf("asking GitHub: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+visitorToken)
	response, err := asking.Do(request)
	if err != nil {
		return fmt.Errorf("asking GitHub: %w", err)
	}
	_, _ = io.Copy(io.Discard, response.Body) // only that it was asked counts
	if err := response.Body.Close(); err != nil {
		return fmt.Errorf("asking GitHub: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("asking GitHub for %s: %s", path, response.Status)
	}
	return nil
}

// asking keeps a connection for each worker.
var asking = &http.Client{Timeout: metricsTimeout, Transport: &http.Transport{MaxIdleConnsPerHost: workers}}

// pushTo moves a branch to a commit, by force.
func (w *world) pushTo(a *app, branch, commit string) error {
	return a.repository.ForcePush(branch, commit)
}

// declarePlatform creates the Environments, and the namespaces with what the teams are given in them.
func (w *world) declarePlatform(ctx context.Context) error {
	objects := []client.Object{
		&v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Name: string(develop)}},
		&v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Name: string(mainline)}, Spec: v1alpha1.EnvironmentSpec{After: []v1alpha1.EnvironmentName{develop}}},
		&rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: deployer}, Rules: []rbacv1.PolicyRule{
			{APIGroups: []string{""}, Resources: []string{"configmaps"}, Verbs: []string{"*"}},
		}},
		&rbacv1.ClusterRoleBinding{ObjectMeta: metav1.ObjectMeta{Name: deployer}, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: deployer},
			Subjects: []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:serviceaccounts"}}},
	}
	for _, object := range objects[:2] {
		if environment, is := object.(*v1alpha1.Environment); is {
			environment.Spec.Target.ServiceAccountName = deployer
		}
	}
	seen := map[string]bool{}
	for _, a := range w.apps {
		if !seen[a.namespace] {
			seen[a.namespace] = true
			objects = append(objects, w.namespaceOf(a)...)
		}
	}
	for _, object := range objects { // one after the other: what is in a namespace comes after it
		if err := w.client.Create(ctx, object); err != nil {
			return fmt.Errorf("creating %T %s: %w", object, object.GetName(), err)
		}
	}
	return nil
}

func (w *world) namespaceOf(a *app) []client.Object {
	namespace := func(name string) client.Object { return &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: name}} }
	objects := []client.Object{
		namespace(a.namespace),
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: deployer}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: "github"}, StringData: map[string]string{
			"githubAppID": strconv.Itoa(appID), "githubAppInstallationID": strconv.Itoa(installationID), "githubAppPrivateKey": w.appKey,
			"githubAppBaseURL": w.github.APIURL(), "webhookSecret": webhookSecret,
		}},
	}
	if w.appliers == realFlux {
		for _, env := range []v1alpha1.EnvironmentName{develop, mainline} {
			objects = append(objects, namespace(a.namespace+"-"+string(env)))
		}
	}
	return objects
}

func (w *world) declareApplications(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(workers)
	for _, a := range w.apps {
		group.Go(func() error {
			declared, err := w.declaration(a)
			if err == nil {
				err = w.client.Create(ctx, declared)
			}
			if err != nil {
				return fmt.Errorf("creating Application %s: %w", a.name, err)
			}
			return nil
		})
	}
	return group.Wait()
}

func (w *world) declaration(a *app) (*v1alpha1.Application, error) {
	var spec strings.Builder
	fmt.Fprintf(&spec, "repository: {url: %q, secretRef: {name: github}", w.github.URL()+"/"+a.fullName)
	if w.interval > 0 {
		fmt.Fprintf(&spec, ", interval: %s", w.interval)
	}
	spec.WriteString("}\ndeploy: {kustomize: {path: ./deploy, targetNamespace: \"${namespace}-${environment}\", substitute: {name: \"${app}\"}}}\n")
	spec.WriteString("environments:\n- {name: develop, source: {branch: develop}}\n")
	switch w.sharing {
	case ownRepository:
		spec.WriteString("- {name: main, source: {branch: main}}\n")
	case monorepo:
		spec.WriteString("- {name: main}\n")
	}
	declared := &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Namespace: a.namespace, Name: a.name}}
	if err := yaml.UnmarshalStrict([]byte(spec.String()), &declared.Spec); err != nil {
		return nil, fmt.Errorf("reading the Application: %w", err)
	}
	return declared, nil
}

// calls are those to GitHub so far, from whoever.
func (w *world) calls() usage {
	var u usage
	for route, count := range w.github.Calls() {
		if !strings.HasPrefix(route, "GIT ") && !strings.HasSuffix(route, "/access_tokens") {
			u.calls += float64(count.Total)
			u.charged += float64(count.Charged)
		}
	}
	return u
}
