// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package promotion

import (
	"context"
	"slices"
	"sync/atomic"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
	"github.com/mainstem-dev/mainstem/test/tenant"
)

type clientScheme = runtime.Scheme

var worlds atomic.Int64

// world is what one spec has for itself: a namespace, a repository, and Environments whose names nobody else uses.
type world struct {
	// app is the Application that is spoken of.
	app        tenant.App
	namespace  string
	repository *emulator.Repository
	suffix     string
	token      string
}

const webhookSecret = tenant.WebhookSecret

func newWorld(ctx context.Context) *world {
	GinkgoHelper()
	shared := &tenant.Cluster{Admin: admin, Config: server.Admin, GitHub: github, Webhooks: webhookURL}
	made, err := shared.New(ctx, worlds.Add(1))
	Expect(err).NotTo(HaveOccurred())
	return &world{app: made.App("podinfo"), namespace: made.Namespace, repository: made.Repository, suffix: made.Own(""), token: made.Token}
}

// env is the name of an Environment of this world.
func (w *world) env(name string) v1alpha1.EnvironmentName { return w.app.Env(name) }

// environment declares an Environment; spec is YAML with what else it says, # as in world.application.
func (w *world) environment(ctx context.Context, name, spec string, after ...string) {
	GinkgoHelper()
	environment, err := w.app.Environment(name, spec, after...)
	Expect(err).NotTo(HaveOccurred())
	create(ctx, environment)
	DeferCleanup(remove, client.Object(environment))
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
	DeferCleanup(remove, client.Object(app))
}

// called is this world, with another Application to speak of.
func (w *world) called(app string) *world {
	other := *w
	other.app = w.app.App(app)
	return &other
}

func (w *world) draft(environments string) *v1alpha1.Application {
	GinkgoHelper()
	app, err := w.app.Application(w.app.Name, `{kustomize: {path: "./deploy/${environment}"}}`, environments)
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
	state, err := w.app.State(ctx, env)
	Expect(err).NotTo(HaveOccurred())
	return state
}

func (w *world) read(ctx context.Context) *v1alpha1.Application {
	GinkgoHelper()
	app, err := w.app.Read(ctx)
	Expect(err).NotTo(HaveOccurred())
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
	return w.app.Kustomization(ctx, env)
}

// promotions are those into an Environment.
func (w *world) promotions(ctx context.Context, env string) []v1alpha1.Promotion {
	GinkgoHelper()
	into, err := w.app.Promotions(ctx, env)
	Expect(err).NotTo(HaveOccurred())
	return into
}

// release is the name of the Release of a commit, and of a tag where there is one.
func (w *world) release(commit string, tag ...string) string { return w.app.Release(commit, tag...) }

// looksAgain has the operator look at everything anew, GitHub included, and waits until it has reported: what has not happened by
// then does not happen by itself. It asks twice, because what was done in one round is seen in the next.
func (w *world) looksAgain(ctx context.Context) {
	GinkgoHelper()
	Eventually(github.WebhooksIdle).WithContext(ctx).Should(BeTrue())
	for range 2 {
		w.kick(ctx)
	}
}

// kick asks for a look in Flux's way and waits until it is over.
func (w *world) kick(ctx context.Context) {
	GinkgoHelper()
	round, err := w.app.AsksAgain(ctx, w.read(ctx))
	Expect(err).NotTo(HaveOccurred())
	Eventually(func() string { return w.read(ctx).Status.LastHandledReconcileAt }).WithContext(ctx).Should(Equal(round), w.told(ctx))
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

// comesTo waits until the newest Promotion of a release into an environment is in a phase for a reason, and returns it.
func (w *world) comesTo(ctx context.Context, env, release string, phase v1alpha1.PromotionPhase, reason string) v1alpha1.Promotion {
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
	newest, err := w.app.Attempt(ctx, env, release)
	Expect(err).NotTo(HaveOccurred())
	return *newest
}

// ledger is what the ledger of a Release says about an environment.
func (w *world) ledger(ctx context.Context, env, release string) v1alpha1.LedgerEntry {
	GinkgoHelper()
	entry, err := w.app.Ledger(ctx, env, release)
	Expect(err).NotTo(HaveOccurred())
	return entry
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

// remove deletes an object when a spec ends, unless the spec did.
func remove(ctx SpecContext, object client.Object) error {
	return client.IgnoreNotFound(admin.Delete(ctx, object))
}
