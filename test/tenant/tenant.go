// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package tenant gives a test a part of a shared cluster for itself: a namespace, a repository on the emulated GitHub, Environments
// whose names nobody else uses, and people with rights. So many journeys share one API server, one GitHub and one operator.
//
// It makes objects and returns errors. What is to come of them, and how long to wait for it, is the test's to say.
package tenant

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

const (
	// Deployer is the service account as which Flux deploys.
	Deployer = "mainstem-deployer"
	// Login is as whom Mainstem speaks to GitHub.
	Login = "mainstem-bot"
	// WebhookSecret is what GitHub signs deliveries with.
	WebhookSecret = "it's a secret between us"
	// SecretName is the name of the Secret with the credential for GitHub.
	SecretName = "github"
)

// Cluster is what all tenants share.
type Cluster struct {
	// Admin may do everything.
	Admin client.Client
	// Config is the administrator's too: with it, one can speak as somebody else.
	Config *rest.Config
	// GitHub is the emulated GitHub.
	GitHub *emulator.Server
	// Webhooks is where the operator takes deliveries.
	Webhooks string
}

// Tenant is one test's part.
type Tenant struct {
	*Cluster
	// Namespace is where its Applications are.
	Namespace string
	// Repository is its repository on GitHub.
	Repository *emulator.Repository
	// Token is the credential of Mainstem and Flux for it.
	Token string

	suffix string
	asked  atomic.Int64
}

// New makes a tenant, whose number is nobody else's: its namespace with the deployer's account and the credential, and its
// repository, which is empty and sends its webhooks to the operator.
func (c *Cluster) New(ctx context.Context, number int64) (*Tenant, error) {
	t := &Tenant{Cluster: c, Namespace: fmt.Sprintf("team%d", number), Token: fmt.Sprintf("ghp_token%d", number), suffix: strconv.FormatInt(number, 10)}
	c.GitHub.AddToken(emulator.Token{Value: t.Token, Login: Login})
	var err error
	if t.Repository, err = c.GitHub.CreateRepository(fmt.Sprintf("acme/app%d", number), emulator.RepositoryOptions{DefaultBranch: "main", Private: true}); err != nil {
		return nil, fmt.Errorf("making %s: %w", t.Namespace, err)
	}
	t.Repository.AddWebhook(c.Webhooks, WebhookSecret)
	if err := t.Furnish(ctx, t.Namespace, TokenSecret(t.Token)); err != nil {
		return nil, err
	}
	return t, nil
}

// Furnish makes a namespace with the deployer's account, and with a Secret of this content as the credential.
func (t *Tenant) Furnish(ctx context.Context, namespace string, credential map[string]string) error {
	for _, object := range []client.Object{
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}},
		&corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: Deployer}},
		&corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: SecretName}, StringData: credential},
	} {
		if err := t.Admin.Create(ctx, object); err != nil {
			return fmt.Errorf("making %s: %w", namespace, err)
		}
	}
	return nil
}

// TokenSecret is the content of a Secret with a token.
func TokenSecret(token string) map[string]string {
	return map[string]string{"username": Login, "password": token, "webhookSecret": WebhookSecret}
}

// Own makes a name this tenant's own: no other tenant has it.
func (t *Tenant) Own(name string) string { return name + t.suffix }

// Env is the name of an Environment of this tenant.
func (t *Tenant) Env(name string) v1alpha1.EnvironmentName {
	return v1alpha1.EnvironmentName(t.Own(name))
}

// Numbered replaces # by what makes names this tenant's own.
func (t *Tenant) Numbered(text string) string { return strings.ReplaceAll(text, "#", t.suffix) }

// Environment drafts an Environment that deploys as the deployer and comes after others of this tenant; spec is YAML with what else
// it says.
func (t *Tenant) Environment(name, spec string, after ...string) (*v1alpha1.Environment, error) {
	environment := &v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Name: string(t.Env(name))}}
	if err := yaml.UnmarshalStrict([]byte(t.Numbered(spec)), &environment.Spec); err != nil {
		return nil, fmt.Errorf("reading the spec of Environment %s: %w", environment.Name, err)
	}
	if environment.Spec.Target.ServiceAccountName == "" {
		environment.Spec.Target.ServiceAccountName = Deployer
	}
	for _, up := range after {
		environment.Spec.After = append(environment.Spec.After, t.Env(up))
	}
	return environment, nil
}

// Application drafts an Application of the tenant's repository, which GitHub is asked about once an hour: what is not found by
// webhooks is not found. Deploy and environments are YAML, in which NAME# stands for an Environment's name.
func (t *Tenant) Application(name, deploy, environments string) (*v1alpha1.Application, error) {
	app := &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Name: name}}
	spec := fmt.Sprintf("repository: {url: %q, secretRef: {name: %s}, interval: 1h}\ndeploy: %s\nenvironments:\n%s",
		t.URL(), SecretName, deploy, t.Numbered(environments))
	if err := yaml.UnmarshalStrict([]byte(spec), &app.Spec); err != nil {
		return nil, fmt.Errorf("reading the spec of Application %s: %w", name, err)
	}
	return app, nil
}

// AsksAgain asks whoever reconciles an object of the tenant's, Mainstem or Flux, to look at everything anew. It returns what
// status.lastHandledReconcileAt says once they have.
func (t *Tenant) AsksAgain(ctx context.Context, object client.Object) (round string, err error) {
	round = fmt.Sprintf("round-%d", t.asked.Add(1))
	patch := fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, meta.ReconcileRequestAnnotation, round)
	if err := t.Admin.Patch(ctx, object, client.RawPatch(types.MergePatchType, patch)); err != nil {
		return "", fmt.Errorf("asking to look at %s again: %w", object.GetName(), err)
	}
	return round, nil
}

// URL is the repository's address, as an Application says it.
func (t *Tenant) URL() string { return strings.TrimSuffix(t.Repository.CloneURL(), ".git") }
