// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package promotion

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/render"
	emulator "github.com/mainstem-dev/mainstem/test/github"
	"github.com/mainstem-dev/mainstem/test/tenant"
)

type clientScheme = runtime.Scheme

var worlds atomic.Int64

// world is what one spec has for itself: a namespace, a repository, and Environments whose names nobody else uses.
type world struct {
	tenant     *tenant.Tenant
	namespace  string
	repository *emulator.Repository
	suffix     string
	token      string
	// app is the name of the Application that is spoken of.
	app string
}

const webhookSecret = tenant.WebhookSecret

func newWorld(ctx context.Context) *world {
	GinkgoHelper()
	shared := &tenant.Cluster{Admin: admin, Config: server.Admin, GitHub: github, Webhooks: webhookURL}
	made, err := shared.New(ctx, worlds.Add(1))
	Expect(err).NotTo(HaveOccurred())
	return &world{tenant: made, namespace: made.Namespace, repository: made.Repository, suffix: made.Own(""), token: made.Token, app: "podinfo"}
}

// env is the name of an Environment of this world.
func (w *world) env(name string) v1alpha1.EnvironmentName { return w.tenant.Env(name) }

// environment declares an Environment; spec is YAML with what else it says.
func (w *world) environment(ctx context.Context, name, spec string, after ...string) {
	GinkgoHelper()
	environment, err := w.tenant.Environment(name, spec, after...)
	Expect(err).NotTo(HaveOccurred())
	create(ctx, environment)
	DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(admin.Delete(ctx, environment))).To(Succeed()) })
}

// application declares the Application of this world; environments is YAML in which NAME# stands for an Environment's name.
func (w *world) application(ctx context.Context, environments string) *v1alpha1.Application {
	GinkgoHelper()
	app := w.draft(environments)
	w.submit(ctx, app)
	return app
}

// submit creates an Application, which goes when the spec ends, so that later specs do not wake it.
func (w *world) submit(ctx context.Context, app *v1alpha1.Application) {
	GinkgoHelper()
	create(ctx, app)
	DeferCleanup(func(ctx SpecContext) { Expect(client.IgnoreNotFound(admin.Delete(ctx, app))).To(Succeed()) })
}

// called is this world, with another Application to speak of.
func (w *world) called(app string) *world {
	other := *w
	other.app = app
	return &other
}

func (w *world) draft(environments string) *v1alpha1.Application {
	GinkgoHelper()
	app, err := w.tenant.Application(w.app, `{kustomize: {path: "./deploy/${environment}"}}`, environments)
	Expect(err).NotTo(HaveOccurred())
	return app
}

// commit commits to a branch.
func (w *world) commit(branch, message string) string {
	GinkgoHelper()
	return w.write(branch, message, "VERSION")
}

// write commits a message, and a file with the message in it, to a branch.
func (w *world) write(branch, message, file string) string {
	GinkgoHelper()
	sha, err := w.repository.Commit(branch, message, "ada", map[string]string{file: message})
	Expect(err).NotTo(HaveOccurred())
	return sha
}

// firstCommit makes main and develop.
func (w *world) firstCommit() string {
	GinkgoHelper()
	sha := w.commit("main", "first")
	Expect(w.repository.CreateBranch("develop", sha)).To(Succeed())
	return sha
}

// pass lets CI pass on a commit.
func (w *world) pass(sha string, checks ...string) {
	GinkgoHelper()
	for _, name := range checks {
		Expect(w.repository.SetCheckRun(sha, emulator.CheckRun{Name: name, Status: "completed", Conclusion: "success"})).To(Succeed())
	}
}

// state is how the Application stands in an Environment now.
func (w *world) state(ctx context.Context, env string) v1alpha1.EnvironmentState {
	GinkgoHelper()
	app := w.read(ctx)
	for _, state := range app.Status.Environments {
		if state.Name == w.env(env) {
			return state
		}
	}
	return v1alpha1.EnvironmentState{}
}

func (w *world) read(ctx context.Context) *v1alpha1.Application {
	GinkgoHelper()
	app := &v1alpha1.Application{}
	Expect(client.IgnoreNotFound(admin.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: w.app}, app))).To(Succeed())
	return app
}

// runs waits until Flux reports a commit as applied and healthy in an Environment, and the status says so.
func (w *world) runs(ctx context.Context, env, commit string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		current := w.state(ctx, env).Current
		g.Expect(current).NotTo(BeNil(), "%s", w.story(ctx))
		g.Expect(current.Commit).To(Equal(commit), "%s", w.story(ctx))
		g.Expect(current.Healthy).To(Equal(metav1.ConditionTrue), "%s", w.story(ctx))
	}).WithContext(ctx).Should(Succeed())
}

// story tells what the status says, for a failing expectation.
func (w *world) story(ctx context.Context) string {
	text, _ := yaml.Marshal(w.read(ctx).Status)
	return string(text)
}

// waits waits until the Application waits in an Environment for something.
func (w *world) waits(ctx context.Context, env, words string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		g.Expect(w.state(ctx, env).WaitingFor).To(ContainSubstring(words), "%s", w.story(ctx))
	}).WithContext(ctx).Should(Succeed())
}

// kustomization is what was made for an Environment.
func (w *world) kustomization(ctx context.Context, env string) (*kustomizev1.Kustomization, error) {
	k := &kustomizev1.Kustomization{}
	err := admin.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: render.KustomizationName(w.app, w.env(env))}, k)
	return k, err
}

// promotions are those into an Environment.
func (w *world) promotions(ctx context.Context, env string) []v1alpha1.Promotion {
	GinkgoHelper()
	var all v1alpha1.PromotionList
	Expect(admin.List(ctx, &all, client.InNamespace(w.namespace))).To(Succeed())
	var into []v1alpha1.Promotion
	for _, p := range all.Items {
		if p.Spec.Environment == w.env(env) && p.Spec.Application == w.app {
			into = append(into, p)
		}
	}
	return into
}

// release is the Release of a commit and tag.
func (w *world) release(ctx context.Context, commit, tag string) string {
	return render.ReleaseName(w.app, commit, tag)
}

// rounds numbers the reconciliations that specs ask for.
var rounds atomic.Int64

// looksAgain has the operator look at everything anew, GitHub included, and waits until it has reported: what has not happened by
// then does not happen by itself. It asks twice, because what was done in one round is seen in the next.
func (w *world) looksAgain(ctx context.Context) {
	GinkgoHelper()
	Eventually(github.WebhooksIdle).WithContext(ctx).Should(BeTrue())
	for range 2 {
		value := fmt.Sprintf("round-%d", rounds.Add(1))
		patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"metadata":{"annotations":{%q:%q}}}`, meta.ReconcileRequestAnnotation, value))
		Expect(admin.Patch(ctx, w.read(ctx), patch)).To(Succeed())
		Eventually(func() string { return w.read(ctx).Status.LastHandledReconcileAt }).WithContext(ctx).Should(Equal(value), w.told(ctx))
	}
}

// told tells what the status says when an expectation has failed.
func (w *world) told(ctx context.Context) func() string {
	return func() string { return w.story(ctx) }
}

// staysAt looks again, and expects an environment to run a commit still.
func (w *world) staysAt(ctx context.Context, env, commit string) {
	GinkgoHelper()
	w.looksAgain(ctx)
	current := w.state(ctx, env).Current
	Expect(current).NotTo(BeNil(), w.told(ctx))
	Expect(current.Commit).To(Equal(commit), w.told(ctx))
}

// staysEmpty looks again, and expects nothing to be deployed to an environment.
func (w *world) staysEmpty(ctx context.Context, env string) {
	GinkgoHelper()
	w.looksAgain(ctx)
	Expect(w.state(ctx, env).Current).To(BeNil(), w.told(ctx))
	_, err := w.kustomization(ctx, env)
	Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
}

// accepted is the reason of the condition Accepted of an environment.
func (w *world) accepted(ctx context.Context, env string) string {
	GinkgoHelper()
	state := w.state(ctx, env)
	if condition := apimeta.FindStatusCondition(state.Conditions, v1alpha1.AcceptedCondition); condition != nil {
		return condition.Reason
	}
	return ""
}

// ends waits until the newest Promotion of a release into an environment is in a phase for a reason, and returns it.
func (w *world) ends(ctx context.Context, env, release string, phase v1alpha1.PromotionPhase, reason string) v1alpha1.Promotion {
	GinkgoHelper()
	var found v1alpha1.Promotion
	Eventually(func(g Gomega) {
		found = w.attempt(ctx, env, release)
		g.Expect(found.Status.Phase).To(Equal(phase), "%s\n%s", found.Status.Message, w.story(ctx))
		g.Expect(found.Status.Reason).To(Equal(reason), "%s\n%s", found.Status.Message, w.story(ctx))
	}).WithContext(ctx).Should(Succeed())
	return found
}

// attempt is the newest Promotion of a release into an environment, or one without a name.
func (w *world) attempt(ctx context.Context, env, release string) v1alpha1.Promotion {
	GinkgoHelper()
	var newest v1alpha1.Promotion
	for _, p := range w.promotions(ctx, env) {
		if p.Spec.Release == release && p.Spec.Attempt > newest.Spec.Attempt {
			newest = p
		}
	}
	return newest
}

// ledger is what the ledger of a Release says about an environment.
func (w *world) ledger(ctx context.Context, env, release string) v1alpha1.LedgerEntry {
	GinkgoHelper()
	var found v1alpha1.Release
	Expect(admin.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: release}, &found)).To(Succeed())
	for _, entry := range found.Status.Environments {
		if entry.Name == w.env(env) {
			return entry
		}
	}
	return v1alpha1.LedgerEntry{}
}

// hasRelease says whether there is a Release of a tag.
func (w *world) hasRelease(ctx context.Context, tag string) bool {
	GinkgoHelper()
	var all v1alpha1.ReleaseList
	Expect(admin.List(ctx, &all, client.InNamespace(w.namespace))).To(Succeed())
	return slices.ContainsFunc(all.Items, func(r v1alpha1.Release) bool { return r.Spec.Tag == tag })
}

// publish publishes a GitHub release.
func (w *world) publish(tag, target string) {
	GinkgoHelper()
	_, err := w.repository.PublishRelease(emulator.ReleaseSpec{Tag: tag, Target: target})
	Expect(err).NotTo(HaveOccurred())
}

// opens waits for the promotion pull request of a number to be open at a commit, and to be in the status.
func (w *world) opens(ctx context.Context, env string, number int, head string) emulator.PullRequest {
	GinkgoHelper()
	var pull emulator.PullRequest
	Eventually(func(g Gomega) {
		pull, _ = w.repository.PullRequest(number)
		g.Expect(pull.State).To(Equal("open"), "%s", w.story(ctx))
		g.Expect(pull.HeadSHA).To(Equal(head), "%s", w.story(ctx))
		status := w.state(ctx, env).PullRequest
		g.Expect(status).NotTo(BeNil(), "%s", w.story(ctx))
		g.Expect(status.Number).To(BeEquivalentTo(number), "%s", w.story(ctx))
		g.Expect(w.state(ctx, env).Next).To(HaveField("Commit", head), "%s", w.story(ctx))
	}).WithContext(ctx).Should(Succeed())
	return pull
}

// merges waits until a pull request is merged, and returns the merge commit.
func (w *world) merges(ctx context.Context, number int) string {
	GinkgoHelper()
	var sha string
	Eventually(func() string {
		pull, _ := w.repository.PullRequest(number)
		sha = pull.MergeSHA
		return sha
	}).WithContext(ctx).ShouldNot(BeEmpty(), w.told(ctx))
	return sha
}

// changes edits the Application's spec.
func (w *world) changes(ctx context.Context, edit func(*v1alpha1.ApplicationSpec)) {
	GinkgoHelper()
	app := w.read(ctx)
	patch := client.MergeFrom(app.DeepCopy())
	edit(&app.Spec)
	Expect(admin.Patch(ctx, app, patch)).To(Succeed())
}

func create(ctx context.Context, object client.Object) {
	GinkgoHelper()
	Expect(admin.Create(ctx, object)).To(Succeed())
}

// resolveTag finds a tag's commit for the Flux stub.
func resolveTag(url, tag string) string {
	name := strings.TrimSuffix(strings.TrimPrefix(url, github.URL()+"/"), ".git")
	if repository := github.Repository(name); repository != nil {
		if info, err := repository.CommitInfo("refs/tags/" + tag); err == nil {
			return info.SHA
		}
	}
	return ""
}
