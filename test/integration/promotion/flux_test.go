// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package promotion

import (
	"context"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/render"
	"github.com/mainstem-dev/mainstem/test/apiserver"
	"github.com/mainstem-dev/mainstem/test/flux"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

// found commits to the branch main what Flux is to find so.
func (w *world) found(ctx context.Context, message string, verdict flux.Verdict) string {
	GinkgoHelper()
	sha := w.drafts(w.repository.Head("main"), message)
	Expect(fluxStub.Find(ctx, sha, verdict)).To(Succeed())
	Expect(w.repository.ForcePush("main", sha)).To(Succeed())
	return sha
}

// drafts commits on top of another commit, to a branch that nobody follows.
func (w *world) drafts(onto, message string) string {
	GinkgoHelper()
	draft := "draft-of-" + message
	Expect(w.repository.CreateBranch(draft, onto)).To(Succeed())
	return w.commit(draft, message)
}

// account is a client of a part of the cluster.
func account(user string) client.Client {
	GinkgoHelper()
	c, err := client.New(server.AsServiceAccount(user), client.Options{Scheme: clientgoscheme.Scheme})
	Expect(err).NotTo(HaveOccurred())
	return c
}

// source is the GitRepository that a Kustomization refers to, or nil.
func (w *world) source(ctx context.Context, name string) *sourcev1.GitRepository {
	GinkgoHelper()
	source := &sourcev1.GitRepository{}
	err := admin.Get(ctx, client.ObjectKey{Namespace: w.namespace, Name: name}, source)
	if apierrors.IsNotFound(err) {
		return nil
	}
	Expect(err).NotTo(HaveOccurred())
	return source
}

// made is what was made for an environment.
func (w *world) made(ctx context.Context, env string) *kustomizev1.Kustomization {
	GinkgoHelper()
	k, err := w.kustomization(ctx, env)
	Expect(err).NotTo(HaveOccurred())
	return k
}

// withoutMarks matches an object that carries no label or annotation of Mainstem's.
func withoutMarks() OmegaMatcher {
	ours := HavePrefix(v1alpha1.Group + "/")
	return And(
		HaveField("Labels", Not(HaveKey(ours))),
		HaveField("Annotations", Not(HaveKey(ours))))
}

var _ = Describe("What Flux reports", func() {
	It("fails a promotion, keeps the release out of what comes after, and lets a newer one go on", func(ctx SpecContext) {
		w, first := twoStages(ctx, "")
		w.runs(ctx, "main", first)
		second := w.found(ctx, "second", flux.Unhealthy)
		failed := w.comesTo(ctx, "develop", w.release(second), v1alpha1.PromotionFailed, v1alpha1.FluxFailedReason)
		Expect(failed.Status.Message).To(And(ContainSubstring("HealthCheckFailed"), ContainSubstring("Deployment/podinfo status")))
		w.staysAt(ctx, "main", first)
		Expect(w.promotions(ctx, "develop")).To(HaveLen(2), "it is not tried again by itself")
		Expect(w.ledger(ctx, "develop", w.release(second))).To(And(
			HaveField("RejectedAt", Not(BeNil())), HaveField("ProvenAt", BeNil()), HaveField("Reason", v1alpha1.FluxFailedReason)))
		state := w.state(ctx, "develop")
		Expect(state.Phase).To(Equal(v1alpha1.EnvironmentFailed))
		Expect(state.WaitingFor).To(ContainSubstring("Deployment/podinfo status"))
		Expect(state.Current).To(HaveField("Commit", first), "what Flux last applied, not what it was told")
		ready := apimeta.FindStatusCondition(w.read(ctx).Status.Conditions, v1alpha1.ReadyCondition)
		Expect(ready).To(And(HaveField("Status", BeEquivalentTo("False")), HaveField("Reason", v1alpha1.PromotionFailedReason)))
		Expect(w.promotions(ctx, "main")).To(HaveLen(1))

		third := w.commit("main", "third")
		w.runs(ctx, "main", third)
		Expect(w.state(ctx, "develop").Phase).To(Equal(v1alpha1.EnvironmentIdle))
		Expect(w.attempt(ctx, "main", w.release(second)).Name).To(BeEmpty())
	}, SpecTimeout(specLimit))

	It("fails a promotion when it says nothing until the deadline, and does not prove it later", func(ctx SpecContext) {
		w := newWorld(ctx)
		first := w.commit("main", "first")
		w.environment(ctx, "develop", "timeouts: {deploy: 10s}")
		w.environment(ctx, "main", "", "develop")
		w.application(ctx, `
- {name: develop#, source: {branch: main}}
- {name: main#}
`)
		w.runs(ctx, "main", first)
		second := w.found(ctx, "second", flux.Busy)
		release := w.release(second)
		failed := w.comesTo(ctx, "develop", release, v1alpha1.PromotionFailed, v1alpha1.DeadlineExceededReason)
		Expect(failed.Status.FinishedAt.Sub(failed.Status.DeployStartedAt.Time)).To(BeNumerically(">=", 10*time.Second))
		Expect(failed.Status.Message).To(ContainSubstring("Flux said last: Reconciliation in progress"))

		By("showing what runs when Flux ends after all")
		Expect(fluxStub.Find(ctx, second, flux.Healthy)).To(Succeed())
		w.runs(ctx, "develop", second)
		w.staysAt(ctx, "main", first)
		Expect(w.ledger(ctx, "develop", release).RejectedAt).NotTo(BeNil())

		By("taking it when a person promotes it")
		_, err := w.person(ctx, "paula", "promote").promotes(ctx, "develop", release)
		Expect(err).NotTo(HaveOccurred())
		w.runs(ctx, "main", second)
		Eventually(func() v1alpha1.LedgerEntry { return w.ledger(ctx, "develop", release) }).WithContext(ctx).Should(HaveField("RejectedAt", BeNil()))
	}, SpecTimeout(specLimit))

	It("tells of a directory that a release does not have, and goes on once the path is corrected", func(ctx SpecContext) {
		w, first := twoStages(ctx, "")
		w.runs(ctx, "main", first)
		before := w.made(ctx, "main")
		second := w.found(ctx, "second", flux.PathMissing)
		w.waits(ctx, "develop", "Flux says: kustomization path not found: stat /deploy/"+string(w.env("develop"))+
			": no such file or directory: correct deploy.kustomize.path, or push the directory")
		promotion := w.comesTo(ctx, "develop", w.release(second), v1alpha1.PromotionDeploying, v1alpha1.DeployingReason)

		By("in the same words each time that Flux tries")
		tried := w.made(ctx, "develop").ResourceVersion
		Expect(fluxStub.Find(ctx, second, flux.PathMissing)).To(Succeed())
		Eventually(func() string { return w.made(ctx, "develop").ResourceVersion }).WithContext(ctx).ShouldNot(Equal(tried))
		w.looksAgain(ctx)
		Expect(w.attempt(ctx, "develop", promotion.Spec.Release).ResourceVersion).To(Equal(promotion.ResourceVersion))
		Expect(w.state(ctx, "develop").Current).To(HaveField("Commit", first))
		Expect(w.made(ctx, "main").ResourceVersion).To(Equal(before.ResourceVersion))

		w.changes(ctx, func(spec *v1alpha1.ApplicationSpec) { spec.Deploy.Kustomize.Path = flux.MendedPath })
		w.runs(ctx, "main", second)
		w.reaches(ctx, &promotion, v1alpha1.PromotionSucceeded, v1alpha1.SucceededReason)
	}, SpecTimeout(specLimit))

	It("begins the soak anew after an unhealthy spell", func(ctx SpecContext) {
		const soak = 3 * time.Second
		w, first := twoStages(ctx, "gates: [{name: soak, soak: {duration: 3s}}]")
		w.runs(ctx, "develop", first)
		w.waits(ctx, "main", "soak until ")
		Expect(fluxStub.Find(ctx, first, flux.Unhealthy)).To(Succeed())
		w.waits(ctx, "main", "soak, while "+string(w.env("develop"))+" is not healthy")
		proven := w.ledger(ctx, "develop", w.release(first)).ProvenAt.Time
		Eventually(time.Now).WithContext(ctx).Should(BeTemporally(">", proven.Add(soak)), "the soak would be over by now")
		w.staysEmpty(ctx, "main")

		recovered := time.Now().Truncate(time.Second)
		Expect(fluxStub.Find(ctx, first, flux.Healthy)).To(Succeed())
		w.waits(ctx, "main", "soak until ")
		w.runs(ctx, "main", first)
		promotion := w.comesTo(ctx, "main", w.release(first), v1alpha1.PromotionSucceeded, v1alpha1.SucceededReason)
		Expect(promotion.Status.DeployStartedAt.Time).NotTo(BeTemporally("<", recovered.Add(soak)))
	}, SpecTimeout(specLimit))
})

var _ = Describe("What Mainstem makes in Flux", func() {
	It("is put back when somebody who can deletes it, and changes with spec.deploy without a Promotion", func(ctx SpecContext) {
		w, first := twoStages(ctx, "")
		w.runs(ctx, "main", first)
		before := w.made(ctx, "main")
		Expect(admin.Delete(ctx, before)).To(MatchError(ContainSubstring("to remove what it deploys, set deletionPolicy: Delete")))
		Expect(account(apiserver.KustomizeController).Delete(ctx, before)).To(Succeed())
		Eventually(func(g Gomega) {
			k, err := w.kustomization(ctx, "main")
			g.Expect(err).NotTo(HaveOccurred())
			g.Expect(k.UID).NotTo(Equal(before.UID))
			g.Expect(k.Spec).To(Equal(before.Spec))
		}).WithContext(ctx).Should(Succeed())
		w.runs(ctx, "main", first)

		By("and so is what such a one edits")
		edited := w.made(ctx, "main")
		edited.Spec.Path = "./theirs"
		Expect(account(apiserver.KustomizeController).Update(ctx, edited)).To(Succeed())
		Eventually(func() kustomizev1.KustomizationSpec { return w.made(ctx, "main").Spec }).WithContext(ctx).Should(Equal(before.Spec))
		Expect(admin.Patch(ctx, edited, client.RawPatch("application/merge-patch+json", []byte(`{"spec": {"path": "./mine"}}`)))).To(
			MatchError(ContainSubstring("change spec.deploy of the Application, or create a Promotion")))

		By("a source as well")
		name := before.Spec.SourceRef.Name
		uid := w.source(ctx, name).UID
		Expect(account(apiserver.SourceController).Delete(ctx, w.source(ctx, name))).To(Succeed())
		Eventually(func() *sourcev1.GitRepository { return w.source(ctx, name) }).WithContext(ctx).Should(And(Not(BeNil()), HaveField("UID", Not(Equal(uid)))))
		w.runs(ctx, "main", first)

		By("changing with spec.deploy")
		w.changes(ctx, func(spec *v1alpha1.ApplicationSpec) { spec.Deploy.Kustomize.Path = "./elsewhere/${environment}" })
		Eventually(func() string { return w.made(ctx, "main").Spec.Path }).WithContext(ctx).Should(Equal("./elsewhere/" + string(w.env("main"))))
		w.runs(ctx, "main", first)
		w.looksAgain(ctx)
		Expect(w.promotions(ctx, "develop")).To(HaveLen(1))
		Expect(w.promotions(ctx, "main")).To(HaveLen(1))
	}, SpecTimeout(specLimit))

	It("goes from release to release in one write, once the source is at the commit", func(ctx SpecContext) {
		w := newWorld(ctx)
		watching, err := client.NewWithWatch(server.Admin, client.Options{Scheme: clientgoscheme.Scheme})
		Expect(err).NotTo(HaveOccurred())
		record := watchFlux(ctx, watching, w.namespace)
		first := w.commit("main", "first")
		w.environment(ctx, "develop", "")
		app := w.draft("- {name: develop#, source: {branch: main}}")
		app.Spec.Deploy.Kustomize.Substitute = map[string]string{"commit": "${commit}"}
		app.Spec.Deploy.Kustomize.Images = append(app.Spec.Deploy.Kustomize.Images, kustomizeImage("podinfo", "${commit}"))
		w.submit(ctx, app)
		w.runs(ctx, "develop", first)
		for _, message := range []string{"second", "third", "fourth"} {
			w.runs(ctx, "develop", w.commit("main", message))
		}
		flips := record.flips()
		Expect(flips).To(HaveLen(4))
		for _, flip := range flips {
			Expect(flip.substituted).To(Equal(flip.image), "everything changes in one write")
			ready, seen := record.fetched(flip.source)
			Expect(seen).To(BeTrue(), "%s was never fetched", flip.source)
			Expect(ready.commit).To(Equal(flip.image))
			Expect(flip.version).To(BeNumerically(">", ready.version), "the Kustomization refers to a source that has no artifact yet")
		}
	}, SpecTimeout(specLimit))

	It("is adopted where it is there already, untouched until the next release", func(ctx SpecContext) {
		w := newWorld(ctx)
		first := w.commit("main", "first")
		w.environment(ctx, "develop", "")
		w.environment(ctx, "main", "", "develop")
		app := w.draft("- {name: develop#, source: {branch: main}}\n- {name: main#}")
		w.installs(ctx, app, first)
		before := w.made(ctx, "develop")

		w.submit(ctx, app)
		w.runs(ctx, "main", first)
		w.staysAt(ctx, "develop", first)
		Expect(w.promotions(ctx, "develop")).To(BeEmpty(), "it runs already")
		after := w.made(ctx, "develop")
		Expect(after.Generation).To(Equal(before.Generation))
		Expect(after.Spec).To(Equal(before.Spec))
		Expect(after.Annotations).To(Equal(before.Annotations))
		Expect(w.ledger(ctx, "develop", w.release(first)).ProvenAt).NotTo(BeNil())

		second := w.commit("main", "second")
		w.runs(ctx, "main", second)
		Expect(w.made(ctx, "develop")).To(And(HaveField("UID", before.UID), HaveField("Spec.Path", "./deploy/"+string(w.env("develop")))))
	}, SpecTimeout(specLimit))

	It("stays as it is while the Application is suspended", func(ctx SpecContext) {
		w, first := twoStages(ctx, "")
		w.runs(ctx, "main", first)
		before := []*kustomizev1.Kustomization{w.made(ctx, "develop"), w.made(ctx, "main")}
		w.changes(ctx, func(spec *v1alpha1.ApplicationSpec) { spec.Suspend = true })
		Eventually(func() string { return w.read(ctx).Status.Summary }).WithContext(ctx).Should(ContainSubstring("suspended"))
		second := w.commit("main", "second")
		told := len(github.Effects().In(w.repository.FullName()).By(emulator.SourceAPI))
		w.looksAgain(ctx)
		Expect([]*kustomizev1.Kustomization{w.made(ctx, "develop"), w.made(ctx, "main")}).To(Equal(before))
		Expect(github.Effects().In(w.repository.FullName()).By(emulator.SourceAPI)).To(HaveLen(told))

		w.changes(ctx, func(spec *v1alpha1.ApplicationSpec) { spec.Suspend = false })
		w.runs(ctx, "main", second)
	}, SpecTimeout(specLimit))
})

var _ = Describe("What becomes of Flux's objects", func() {
	It("is as deletionPolicy says when an entry goes", func(ctx SpecContext) {
		w := newWorld(ctx)
		first := w.commit("main", "first")
		for _, env := range []string{"kept", "left", "deleted"} {
			w.environment(ctx, env, "")
		}
		w.application(ctx, `
- {name: kept#, source: {branch: main}}
- {name: left#, source: {branch: main}}
- {name: deleted#, source: {branch: main}, deletionPolicy: Delete}
`)
		for _, env := range []string{"kept", "left", "deleted"} {
			w.runs(ctx, env, first)
		}
		before := w.made(ctx, "left")
		Expect(before.Spec.DeletionPolicy).To(Equal(kustomizev1.DeletionPolicyOrphan))
		Expect(w.made(ctx, "deleted").Spec.DeletionPolicy).To(Equal(kustomizev1.DeletionPolicyDelete))
		w.changes(ctx, func(spec *v1alpha1.ApplicationSpec) { spec.Environments = spec.Environments[:1] })
		Eventually(func() bool { _, err := w.kustomization(ctx, "deleted"); return apierrors.IsNotFound(err) }).WithContext(ctx).Should(BeTrue())
		Eventually(func() *kustomizev1.Kustomization { return w.made(ctx, "left") }).WithContext(ctx).Should(withoutMarks())
		Expect(w.made(ctx, "left")).To(And(HaveField("UID", before.UID), HaveField("Spec", before.Spec)))
		w.looksAgain(ctx)
		Expect(w.source(ctx, before.Spec.SourceRef.Name)).To(HaveField("Labels", HaveKey(v1alpha1.InstanceLabel)), "what is kept uses it")
		Expect(w.read(ctx).Status.Environments).To(HaveLen(1))

		By("and is taken up again by an entry of that name, as it is")
		w.changes(ctx, func(spec *v1alpha1.ApplicationSpec) {
			again := *spec.Environments[0].DeepCopy()
			again.Name = w.env("left")
			spec.Environments = append(spec.Environments, again)
		})
		Eventually(func() map[string]string { return w.made(ctx, "left").Labels }).WithContext(ctx).Should(HaveKeyWithValue(v1alpha1.InstanceLabel, instance), w.told(ctx))
		Expect(w.made(ctx, "left")).To(And(HaveField("UID", before.UID), HaveField("Spec", before.Spec)))
		Eventually(func() string { return w.accepted(ctx, "left") }).WithContext(ctx).Should(Equal(v1alpha1.AcceptedReason), w.told(ctx))
	}, SpecTimeout(specLimit))

	It("is as deletionPolicy says when the Application goes, sources included", func(ctx SpecContext) {
		w := newWorld(ctx)
		first := w.firstCommit()
		second := w.commit("develop", "second")
		w.environment(ctx, "left", "")
		w.environment(ctx, "deleted", "")
		app := w.application(ctx, `
- {name: left#, source: {branch: main}}
- {name: deleted#, source: {branch: develop}, deletionPolicy: Delete}
`)
		w.runs(ctx, "left", first)
		w.runs(ctx, "deleted", second)
		left, deleted := w.made(ctx, "left"), w.made(ctx, "deleted")
		Expect(admin.Delete(ctx, app)).To(Succeed())
		Eventually(func() string { return w.read(ctx).Name }).WithContext(ctx).Should(BeEmpty())
		_, err := w.kustomization(ctx, "deleted")
		Expect(apierrors.IsNotFound(err)).To(BeTrue(), "%v", err)
		Expect(w.source(ctx, deleted.Spec.SourceRef.Name)).To(BeNil())
		Expect(w.made(ctx, "left")).To(And(withoutMarks(), HaveField("UID", left.UID), HaveField("Spec", left.Spec)))
		Expect(w.source(ctx, left.Spec.SourceRef.Name)).To(withoutMarks())
	}, SpecTimeout(specLimit))

	It("is the same for the sources of an address that was corrected", func(ctx SpecContext) {
		w := newWorld(ctx)
		first := w.commit("main", "first")
		w.environment(ctx, "develop", "")
		other := w.called("other")
		for _, each := range []*world{w, other} {
			each.application(ctx, "- {name: develop#, source: {branch: main}, deletionPolicy: Delete}")
			each.runs(ctx, "develop", first)
		}
		before := w.made(ctx, "develop").Spec.SourceRef.Name
		Expect(w.repository.Rename("renamed" + w.suffix)).To(Succeed())
		corrected := github.URL() + "/acme/renamed" + w.suffix
		for _, each := range []*world{w, other} {
			Expect(w.source(ctx, before)).NotTo(BeNil(), "an Application has its address still")
			each.changes(ctx, func(spec *v1alpha1.ApplicationSpec) { spec.Repository.URL = corrected })
			Eventually(func() string { return each.made(ctx, "develop").Spec.SourceRef.Name }).WithContext(ctx).ShouldNot(Equal(before))
			each.runs(ctx, "develop", first)
		}
		Expect(w.addresses(ctx)).To(ContainElement(corrected))

		By("with the next Application that goes")
		Expect(admin.Delete(ctx, other.read(ctx))).To(Succeed())
		Eventually(func() string { return other.read(ctx).Name }).WithContext(ctx).Should(BeEmpty())
		Expect(w.addresses(ctx)).To(Equal([]string{corrected}))
		w.staysAt(ctx, "develop", first)
	}, SpecTimeout(specLimit))

	It("is nothing while another Application uses them", func(ctx SpecContext) {
		w := newWorld(ctx)
		first := w.commit("main", "first")
		w.environment(ctx, "develop", "")
		other := w.called("other")
		for _, each := range []*world{w, other} {
			each.application(ctx, "- {name: develop#, source: {branch: main}, deletionPolicy: Delete}")
			each.runs(ctx, "develop", first)
		}
		name := w.made(ctx, "develop").Spec.SourceRef.Name
		Expect(other.made(ctx, "develop").Spec.SourceRef.Name).To(Equal(name))
		uid := w.source(ctx, name).UID
		Expect(admin.Delete(ctx, other.read(ctx))).To(Succeed())
		Eventually(func() string { return other.read(ctx).Name }).WithContext(ctx).Should(BeEmpty())
		w.staysAt(ctx, "develop", first)
		Expect(w.source(ctx, name)).To(HaveField("UID", uid))
		Expect(admin.Delete(ctx, w.read(ctx))).To(Succeed())
		Eventually(func() *sourcev1.GitRepository { return w.source(ctx, name) }).WithContext(ctx).Should(BeNil())
	}, SpecTimeout(specLimit))
})

// installs makes the objects of develop as an installation made them that has lost its records since, with something that a newer
// one would do otherwise, and waits for Flux to run them.
func (w *world) installs(ctx context.Context, app *v1alpha1.Application, commit string) {
	GinkgoHelper()
	environment := &v1alpha1.Environment{}
	Expect(admin.Get(ctx, client.ObjectKey{Name: string(w.env("develop"))}, environment)).To(Succeed())
	release := &v1alpha1.Release{Spec: v1alpha1.ReleaseSpec{Commit: commit, Branch: "main"}}
	release.Name = w.release(commit)
	scope := render.Scope{Application: app, Environment: environment, Entry: &app.Spec.Environments[0], Release: release,
		Instance: instance, Credential: render.CredentialToken}
	kustomization, err := render.Kustomization(scope)
	Expect(err).NotTo(HaveOccurred())
	kustomization.Spec.Path = "./as-it-was"
	operator := account(apiserver.Operator)
	Expect(operator.Create(ctx, render.Source(scope))).To(Succeed())
	Expect(operator.Create(ctx, kustomization)).To(Succeed())
	Eventually(func(g Gomega) {
		status := w.made(ctx, "develop").Status
		g.Expect(apimeta.IsStatusConditionTrue(status.Conditions, meta.ReadyCondition)).To(BeTrue())
		g.Expect(status.LastAppliedRevision).To(HaveSuffix(commit), "Flux writes it after the condition")
	}).WithContext(ctx).Should(Succeed())
}
