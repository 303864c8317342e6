//go:build e2e

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/test/tenant"
)

// teams counts them.
var teams atomic.Int64

// team is what one journey has for itself, and what it does and waits for.
type team struct {
	*tenant.Tenant
	*WithT
	t *testing.T
	// app is the name of the Application that is spoken of.
	app string
}

// newTeam lets a journey run beside others, and gives it a team.
func newTeam(t *testing.T) *team {
	t.Helper()
	t.Parallel()
	shared := cluster(t)
	w := &team{WithT: NewWithT(t), t: t, app: "podinfo"}
	w.SetDefaultEventuallyTimeout(patience)
	w.SetDefaultEventuallyPollingInterval(pollingInterval)
	var err error
	w.Tenant, err = shared.New(t.Context(), teams.Add(1))
	w.Expect(err).NotTo(HaveOccurred())
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("the story of %s:\n%s", w.Namespace, w.story())
		}
	})
	return w
}

// called is this team, with another Application to speak of.
func (w *team) called(app string) *team {
	other := *w
	other.app = app
	return &other
}

// its is the Application that is spoken of.
func (w *team) its() tenant.App { return w.App(w.app) }

// environment declares an Environment, and prepares the namespace that deploys into it go to; spec is YAML with what else it says.
func (w *team) environment(name, spec string, after ...string) *v1alpha1.Environment {
	w.t.Helper()
	environment, err := w.Environment(name, spec, after...)
	w.Expect(err).NotTo(HaveOccurred())
	w.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.target(name)}})
	w.create(&rbacv1.RoleBinding{ObjectMeta: metav1.ObjectMeta{Namespace: w.target(name), Name: tenant.Deployer},
		RoleRef:  rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "edit"},
		Subjects: []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: w.Namespace, Name: tenant.Deployer}}})
	w.create(environment)
	return environment
}

// target is the namespace that what is deployed to an environment is in.
func (w *team) target(env string) string { return fmt.Sprintf("%s-%s", w.Namespace, w.Env(env)) }

// deploy is how every Application of a journey is deployed: what is applied names its commit (see configuration), and Flux waits for
// health as short as it can.
const deploy = `{kustomize: {path: ./deploy, targetNamespace: "${namespace}-${environment}", timeout: 30s,
  substitute: {app: "${app}", commit: "${commit}"}, images: [{name: ghcr.io/acme/podinfo, newTag: "${shortCommit}"}]}}`

// draft drafts the Application; environments is YAML in which NAME# stands for an Environment's name.
func (w *team) draft(environments string) *v1alpha1.Application {
	w.t.Helper()
	app, err := w.Application(w.app, deploy, environments)
	w.Expect(err).NotTo(HaveOccurred())
	return app
}

// application declares the Application; see draft.
func (w *team) application(environments string) *v1alpha1.Application {
	w.t.Helper()
	app := w.draft(environments)
	w.create(app)
	return app
}

func (w *team) create(object client.Object) {
	w.t.Helper()
	w.Expect(w.Admin.Create(w.t.Context(), object)).To(Succeed())
}

// edit changes the Application's spec.
func (w *team) edit(change func(*v1alpha1.ApplicationSpec)) {
	w.t.Helper()
	app := w.read()
	patch := client.MergeFrom(app.DeepCopy())
	change(&app.Spec)
	w.Expect(w.Admin.Patch(w.t.Context(), app, patch)).To(Succeed())
}

// read reads the Application; it is empty where there is none.
func (w *team) read() *v1alpha1.Application {
	w.t.Helper()
	app, err := w.its().Read(w.t.Context())
	w.Expect(err).NotTo(HaveOccurred())
	return app
}

// state is how the Application stands in an environment.
func (w *team) state(env string) v1alpha1.EnvironmentState {
	w.t.Helper()
	state, err := w.its().State(w.t.Context(), env)
	w.Expect(err).NotTo(HaveOccurred())
	return state
}

// gate is how a gate stands for what comes next in an environment.
func (w *team) gate(env, name string) v1alpha1.GateStatus {
	w.t.Helper()
	for _, gate := range w.state(env).Gates {
		if gate.Name == name {
			return gate
		}
	}
	return v1alpha1.GateStatus{}
}

// story tells what is so, for a journey that fails.
func (w *team) story() string {
	var text strings.Builder
	ctx := context.WithoutCancel(w.t.Context())
	var apps v1alpha1.ApplicationList
	var promotions v1alpha1.PromotionList
	var appliers kustomizev1.KustomizationList
	for _, list := range []client.ObjectList{&apps, &promotions, &appliers} {
		if err := w.Admin.List(ctx, list, client.InNamespace(w.Namespace)); err != nil {
			fmt.Fprintln(&text, err)
		}
	}
	for i := range apps.Items {
		status, _ := yaml.Marshal(apps.Items[i].Status) // made of what was read as YAML
		fmt.Fprintf(&text, "Application %s:\n%s", apps.Items[i].Name, status)
	}
	for i := range promotions.Items {
		p := &promotions.Items[i]
		fmt.Fprintf(&text, "Promotion %s of %s: %s %s: %s\n", p.Name, p.Spec.Release, p.Status.Phase, p.Status.Reason, p.Status.Message)
	}
	for i := range appliers.Items {
		k := &appliers.Items[i]
		conditions, _ := json.Marshal(k.Status.Conditions)
		fmt.Fprintf(&text, "Kustomization %s of %s: applied %s, attempted %s, %s\n",
			k.Name, k.Spec.SourceRef.Name, k.Status.LastAppliedRevision, k.Status.LastAttemptedRevision, conditions)
	}
	for _, pull := range w.Repository.PullRequests() {
		fmt.Fprintf(&text, "pull request #%d into %s is %s at %s, merged as %q\n", pull.Number, pull.BaseRef, pull.State, pull.HeadSHA, pull.MergeSHA)
	}
	return text.String()
}
