//go:build e2e

package crash_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
	"github.com/mainstem-dev/mainstem/test/tenant"
)

type clientScheme = runtime.Scheme

const (
	appName = "podinfo"
	// reviewer is who is asked to review pull requests.
	reviewer = "grace"
	// pollingInterval is how often a condition is looked at.
	pollingInterval = 50 * time.Millisecond
)

var worlds atomic.Int64

// world is what one journey has for itself: a namespace, a repository and three Environments.
type world struct {
	t          *testing.T
	tenant     *tenant.Tenant
	namespace  string
	repository *emulator.Repository
	// patience bounds every wait: an operator that is killed all the time takes longer.
	patience time.Duration
	// since is when the story begins: what was written before is about a time before it.
	since time.Time
}

// environmentsOf are the Environments of every world; # stands for the world's number.
const environmentsOf = `
- metadata: {name: develop#}
  spec: {target: {serviceAccountName: mainstem-deployer}}
- metadata: {name: main#}
  spec:
    after: [develop#]
    target: {serviceAccountName: mainstem-deployer}
    gates: [{name: ci, checks: {required: [build]}}, {name: soak, soak: {duration: 1s}}]
- metadata: {name: production#}
  spec:
    after: [main#]
    target: {serviceAccountName: mainstem-deployer}
    gates: [{name: sign-off, approval: {required: 1}}]
`

// The Application of every world.
const (
	deploy  = `{kustomize: {path: "./deploy/${environment}"}}`
	entries = `
- {name: develop#, source: {branch: develop}}
- {name: main#, source: {branch: main}, pullRequest: {labels: [promotion], reviewers: [grace]}}
- {name: production#, source: {release: {}}, deletionPolicy: Delete}
`
)

// newWorld makes a world whose repository sends its webhooks to an address, without an Application. It goes when the test ends,
// while there is still an operator.
func newWorld(t *testing.T, webhooks string, patience time.Duration) *world {
	t.Helper()
	w := &world{t: t, patience: patience}
	g := w.expect()
	cluster := &tenant.Cluster{Admin: shared.admin, Config: shared.server.Admin, GitHub: shared.github, Webhooks: webhooks}
	made, err := cluster.New(t.Context(), worlds.Add(1))
	g.Expect(err).NotTo(HaveOccurred())
	w.tenant, w.namespace, w.repository = made, made.Namespace, made.Repository
	var environments []v1alpha1.Environment
	g.Expect(yaml.Unmarshal([]byte(made.Numbered(environmentsOf)), &environments)).To(Succeed())
	for i := range environments {
		w.create(&environments[i])
	}
	t.Cleanup(func() { w.remove(environments) })
	return w
}

// declare makes the Application, which speaks to GitHub through the wire.
func (w *world) declare() {
	w.t.Helper()
	app, err := w.tenant.Application(appName, deploy, entries)
	w.expect().Expect(err).NotTo(HaveOccurred())
	app.Spec.Repository.APIURL = "http://" + shared.wire.address + "/api/v3"
	w.create(app)
}

// remove deletes the Application and the Environments, so that later worlds are not slowed down.
func (w *world) remove(environments []v1alpha1.Environment) {
	ctx, g := context.WithoutCancel(w.t.Context()), w.expect()
	if w.t.Failed() {
		w.t.Logf("the story of %s:\n%s", w.namespace, w.story())
	}
	app := &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: appName}}
	g.Expect(client.IgnoreNotFound(shared.admin.Delete(ctx, app))).To(Succeed())
	g.Eventually(func() error {
		return shared.admin.Get(ctx, client.ObjectKeyFromObject(app), app)
	}).Should(MatchError(ContainSubstring("not found")), "the Application is let go")
	for i := range environments {
		g.Expect(shared.admin.Delete(ctx, &environments[i])).To(Succeed())
	}
}

// expect is Gomega with this world's patience.
func (w *world) expect() *WithT {
	g := NewWithT(w.t)
	g.SetDefaultEventuallyTimeout(w.patience)
	g.SetDefaultEventuallyPollingInterval(pollingInterval)
	return g
}

func (w *world) create(object client.Object) {
	w.t.Helper()
	w.expect().Expect(shared.admin.Create(w.t.Context(), object)).To(Succeed())
}

// env is the name of an Environment of this world.
func (w *world) env(name string) v1alpha1.EnvironmentName { return w.tenant.Env(name) }

// commit commits to a branch.
func (w *world) commit(branch, message string) string {
	w.t.Helper()
	sha, err := w.repository.Commit(branch, message, "ada", map[string]string{"VERSION": message})
	w.expect().Expect(err).NotTo(HaveOccurred())
	return sha
}

// pass lets CI pass on a commit.
func (w *world) pass(sha string) {
	w.t.Helper()
	w.expect().Expect(w.repository.SetCheckRun(sha, emulator.CheckRun{Name: "build", Status: "completed", Conclusion: "success"})).To(Succeed())
}

func (w *world) read() *v1alpha1.Application {
	w.t.Helper()
	app, err := w.tenant.App(appName).Read(w.t.Context())
	w.expect().Expect(err).NotTo(HaveOccurred())
	return app
}

// state is how the Application stands in an Environment now.
func (w *world) state(env string) v1alpha1.EnvironmentState {
	w.t.Helper()
	state, err := w.tenant.App(appName).State(w.t.Context(), env)
	w.expect().Expect(err).NotTo(HaveOccurred())
	return state
}

// runs waits until Flux reports a commit as applied and healthy in an Environment, and the status and GitHub say so.
func (w *world) runs(env, commit string) {
	w.t.Helper()
	w.expect().Eventually(func(g Gomega) {
		current := w.state(env).Current
		g.Expect(current).NotTo(BeNil())
		g.Expect(current.Commit).To(Equal(commit))
		g.Expect(current.Healthy).To(Equal(metav1.ConditionTrue))
		g.Expect(w.repository.Statuses(commit)).To(ContainElement(And(
			HaveField("Context", "mainstem/"+string(w.env(env))), HaveField("State", "success"))))
	}).Should(Succeed(), "%s runs %s", env, commit)
}

// opened waits for the one pull request to be open at a commit, and to be in the status.
func (w *world) opened(head string) {
	w.t.Helper()
	w.expect().Eventually(func(g Gomega) {
		pull, _ := w.repository.PullRequest(w.number())
		g.Expect(pull.State).To(Equal("open"))
		g.Expect(pull.HeadSHA).To(Equal(head))
		g.Expect(w.state("main").PullRequest).NotTo(BeNil())
		g.Expect(w.state("main").Next).To(HaveField("Commit", head))
	}).Should(Succeed(), "a pull request at %s", head)
}

// number is that of the newest pull request, 0 where there is none.
func (w *world) number() int {
	pulls := w.repository.PullRequests()
	if len(pulls) == 0 {
		return 0
	}
	return pulls[len(pulls)-1].Number
}

// merged waits until the pull request is merged, and returns the merge commit.
func (w *world) merged() string {
	w.t.Helper()
	var sha string
	w.expect().Eventually(func() string {
		pull, _ := w.repository.PullRequest(w.number())
		sha = pull.MergeSHA
		return sha
	}).ShouldNot(BeEmpty(), "the pull request is merged")
	return sha
}

func (w *world) promotions() []v1alpha1.Promotion {
	w.t.Helper()
	var all v1alpha1.PromotionList
	w.expect().Expect(shared.admin.List(w.t.Context(), &all, client.InNamespace(w.namespace))).To(Succeed())
	return all.Items
}

// story tells what is so, for a test that fails.
func (w *world) story() string {
	var text strings.Builder
	ctx := context.WithoutCancel(w.t.Context())
	app := &v1alpha1.Application{}
	err := shared.admin.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: appName}, app)
	status, _ := yaml.Marshal(app.Status) // made of what was read as YAML
	fmt.Fprintf(&text, "%s\n%v\n", status, err)
	var promotions v1alpha1.PromotionList
	err = shared.admin.List(ctx, &promotions, client.InNamespace(w.namespace))
	for i := range promotions.Items {
		p := &promotions.Items[i]
		fmt.Fprintf(&text, "%s of %s: %s %s: %s\n", p.Name, p.Spec.Release, p.Status.Phase, p.Status.Reason, p.Status.Message)
	}
	fmt.Fprintf(&text, "%v\n", err)
	return text.String()
}
