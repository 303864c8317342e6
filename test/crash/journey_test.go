//go:build e2e

package crash_test

import (
	"fmt"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	. "github.com/onsi/gomega"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/render"
	"github.com/mainstem-dev/mainstem/test/apiserver"
	"github.com/mainstem-dev/mainstem/test/flux"
)

// journey is what a team does with an Application, from the day that it is declared until it is deleted. The commits are named
// after what becomes of them.
type journey struct {
	*world
	first, change, fix, merge         string
	unwanted, broken, late, unstarted string
}

const (
	releaseTag = "v1.0.0"
	// backAttempt is the number of the Promotion that goes back to what was there.
	backAttempt = 2
)

// travel brings a change into production: a first commit, which is in develop and main from the beginning; a change, for which the
// pull request is opened; another one, which takes its place; its checks, after which it is merged; and the release of what the
// merge made. Each step waits for the one before it, as people do.
func (w *world) travel() *journey {
	w.t.Helper()
	j := &journey{world: w}
	j.steps(j.begin, j.propose, j.replace, j.approve, j.release)
	return j
}

// travelToTheEnd goes on from there: a change that somebody does not want, one that does not work, the way back, environments that
// are not used any more, and the end.
func (w *world) travelToTheEnd() *journey {
	w.t.Helper()
	j := w.travel()
	j.steps(j.decline, j.fail, j.goBack, j.leave, j.end)
	return j
}

func (j *journey) steps(steps ...func()) {
	j.t.Helper()
	for _, step := range steps {
		step()
	}
}

// begin brings the first commit to develop and, as both branches hold the same, to main.
func (j *journey) begin() {
	j.t.Helper()
	j.first = j.commit("main", "first")
	j.expect().Expect(j.repository.CreateBranch("develop", j.first)).To(Succeed())
	j.pass(j.first)
	j.declare()
	j.runs("develop", j.first)
	j.runs("main", j.first)
}

// propose commits a change, and waits for the pull request.
func (j *journey) propose() {
	j.t.Helper()
	j.change = j.commit("develop", "change")
	j.runs("develop", j.change)
	j.opened(j.change)
}

// replace commits another change while the first one waits for its checks.
func (j *journey) replace() {
	j.t.Helper()
	j.fix = j.commit("develop", "fix")
	j.runs("develop", j.fix)
	j.opened(j.fix)
}

// approve lets the checks pass, and waits for the merge and its deploy.
func (j *journey) approve() {
	j.t.Helper()
	j.pass(j.fix)
	j.merge = j.merged()
	j.runs("main", j.merge)
}

// release publishes the merge as a GitHub release, signs it off, and waits for it in production.
func (j *journey) release() {
	j.t.Helper()
	_, err := j.repository.PublishRelease(releaseOf(j.merge))
	j.expect().Expect(err).NotTo(HaveOccurred())
	j.signOff("production", j.merge, releaseTag)
	j.runs("production", j.merge)
}

// decline closes the pull request of a change. Its branch goes.
func (j *journey) decline() {
	j.t.Helper()
	j.unwanted = j.commit("develop", "unwanted")
	j.runs("develop", j.unwanted)
	j.opened(j.unwanted)
	j.expect().Expect(j.repository.ClosePullRequest(j.number(), reviewer)).To(Succeed())
	j.ends("main", j.unwanted, v1alpha1.PromotionCancelled)
}

// fail commits what does not become healthy.
func (j *journey) fail() {
	j.t.Helper()
	j.broken = j.found("broken", flux.Unhealthy)
	j.ends("develop", j.broken, v1alpha1.PromotionFailed)
}

// goBack rolls develop back by hand.
func (j *journey) goBack() {
	j.t.Helper()
	name := nameOf(j.unwanted)
	j.create(&v1alpha1.Promotion{
		ObjectMeta: metav1.ObjectMeta{Namespace: j.namespace, Name: render.PromotionName(appName, j.env("develop"), name, backAttempt)},
		Spec: v1alpha1.PromotionSpec{
			Application: appName, Environment: j.env("develop"), Release: name, Attempt: backAttempt,
			Rollback: true, Reason: "it is broken", RequestedBy: shared.person,
		},
	})
	j.runs("develop", j.unwanted)
}

// leave takes main and production out of the Application, while a pull request into main is open, which goes. So do production's
// objects, and main's stay where they are.
func (j *journey) leave() {
	j.t.Helper()
	j.late = j.commit("develop", "late")
	j.runs("develop", j.late)
	j.opened(j.late)
	app := j.read()
	before := app.DeepCopy()
	app.Spec.Environments = app.Spec.Environments[:1]
	j.expect().Expect(shared.admin.Patch(j.t.Context(), app, client.MergeFrom(before))).To(Succeed())
	j.ends("main", j.late, v1alpha1.PromotionCancelled)
	j.expect().Eventually(func(g Gomega) {
		kustomizations := j.kustomizations()
		g.Expect(kustomizations).NotTo(HaveKey(j.kustomization("production")))
		g.Expect(kustomizations).To(HaveKeyWithValue(j.kustomization("main"), HaveField("Labels", Not(HaveKey(v1alpha1.InstanceLabel)))))
	}).Should(Succeed())
}

// end deletes the Application while something is on its way.
func (j *journey) end() {
	j.t.Helper()
	j.unstarted = j.found("unstarted", flux.Busy)
	j.expect().Eventually(j.kustomizations).Should(HaveKeyWithValue(j.kustomization("develop"),
		HaveField("Annotations", HaveKeyWithValue(v1alpha1.ReleaseAnnotation, nameOf(j.unstarted)))))
	app := j.read()
	j.expect().Expect(shared.admin.Delete(j.t.Context(), app)).To(Succeed())
	j.expect().Eventually(func() error {
		return shared.admin.Get(j.t.Context(), client.ObjectKeyFromObject(app), app)
	}).Should(MatchError(ContainSubstring("not found")))
	j.ends("develop", j.unstarted, v1alpha1.PromotionCancelled)
	kustomizations := j.kustomizations()
	j.expect().Expect(kustomizations).To(HaveKeyWithValue(j.kustomization("develop"), HaveField("Labels", Not(HaveKey(v1alpha1.InstanceLabel)))))
}

// found commits to develop what Flux has a verdict about before anybody deploys it.
func (j *journey) found(message string, verdict flux.Verdict) string {
	j.t.Helper()
	g := j.expect()
	g.Expect(j.repository.CreateBranch(message, j.repository.Head("develop"))).To(Succeed())
	sha := j.commit(message, message)
	g.Expect(shared.flux.Find(j.t.Context(), sha, verdict)).To(Succeed())
	g.Expect(j.repository.ForcePush("develop", sha)).To(Succeed())
	return sha
}

// signOff approves a release in an environment.
func (j *journey) signOff(env, commit, tag string) {
	j.t.Helper()
	name := render.PromotionName(appName, j.env(env), render.ReleaseName(appName, commit, tag), 1)
	var promotion v1alpha1.Promotion
	j.expect().Eventually(func() error {
		return shared.admin.Get(j.t.Context(), client.ObjectKey{Namespace: j.namespace, Name: name}, &promotion)
	}).Should(Succeed())
	j.create(&v1alpha1.Approval{
		ObjectMeta: metav1.ObjectMeta{Namespace: j.namespace, Name: "sign-off"},
		Spec: v1alpha1.ApprovalSpec{Promotion: name, PromotionUID: string(promotion.UID), Environment: j.env(env),
			Approver: shared.person, Decision: v1alpha1.DecisionApprove},
	})
}

// ends waits until the first Promotion of a commit into an environment has ended as it should.
func (j *journey) ends(env, commit string, phase v1alpha1.PromotionPhase) {
	j.t.Helper()
	name := render.PromotionName(appName, j.env(env), nameOf(commit), 1)
	j.expect().Eventually(func(g Gomega) {
		var promotion v1alpha1.Promotion
		g.Expect(shared.admin.Get(j.t.Context(), client.ObjectKey{Namespace: j.namespace, Name: name}, &promotion)).To(Succeed())
		g.Expect(promotion.Status.Phase).To(Equal(phase), promotion.Status.Message)
	}).Should(Succeed())
}

// kustomization is the name of an environment's.
func (w *world) kustomization(env string) string {
	return render.KustomizationName(appName, w.env(env))
}

func (w *world) kustomizations() map[string]kustomizev1.Kustomization {
	w.t.Helper()
	var all kustomizev1.KustomizationList
	w.expect().Expect(shared.admin.List(w.t.Context(), &all, client.InNamespace(w.namespace))).To(Succeed())
	found := map[string]kustomizev1.Kustomization{}
	for i := range all.Items {
		found[all.Items[i].Name] = all.Items[i]
	}
	return found
}

// How many records there are of the time before: of Releases a few less than are kept, of Promotions a few more.
const (
	oldReleases   = 48
	oldPromotions = 22
	oldEnv        = "old"
)

// remember makes the records of a long past, so that some have had their time. The operator ends the Promotions: there is no
// Application yet.
func (w *world) remember() {
	w.t.Helper()
	g, labels := w.expect(), map[string]string{v1alpha1.ApplicationLabel: appName}
	for n := range oldReleases {
		commit := fmt.Sprintf("%040x", n+1)
		g.Expect(shared.operator.Create(w.t.Context(), &v1alpha1.Release{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: fmt.Sprintf("%s-old-%d", appName, n), Labels: labels},
			Spec:       v1alpha1.ReleaseSpec{Application: appName, Commit: commit, Content: commit, Branch: oldEnv, Sequence: int64(n + 1)},
		})).To(Succeed())
	}
	gone := metav1.OwnerReference{APIVersion: v1alpha1.GroupVersion.String(), Kind: "Application", Name: appName, UID: "of-another-time"}
	for n := range oldPromotions {
		g.Expect(shared.operator.Create(w.t.Context(), &v1alpha1.Promotion{
			ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: fmt.Sprintf("%s-%s-%d", appName, w.env(oldEnv), n), Labels: labels,
				OwnerReferences: []metav1.OwnerReference{gone}},
			Spec: v1alpha1.PromotionSpec{Application: appName, Environment: w.env(oldEnv), Release: appName + "-old-0",
				Attempt: int32(n + 1), RequestedBy: apiserver.Operator},
		})).To(Succeed())
	}
	g.Eventually(w.promotions).Should(HaveEach(HaveField("Status.Phase", v1alpha1.PromotionCancelled)))
	w.since = time.Now()
}
