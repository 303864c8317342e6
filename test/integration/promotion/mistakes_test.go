// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package promotion

import (
	"context"
	"strings"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// mistake is one that a newcomer makes when adding an environment main to an Application that runs in develop.
type mistake struct {
	// platform makes what the platform engineer does; nil is nothing.
	platform func(context.Context, *running)
	// entries are added to the Application's environments, in YAML.
	entries string
	// reason and words are those of the condition: what is wrong, and how to mend it.
	reason string
	words  []string
	// mend mends it.
	mend func(context.Context, *running)
}

// lists mends by writing other entries.
func lists(entries string) func(context.Context, *running) {
	return func(ctx context.Context, r *running) { r.list(ctx, developOnly+entries) }
}

// has is a platform with an Environment main that says this.
func has(spec string) func(context.Context, *running) {
	return func(ctx context.Context, r *running) { r.environment(ctx, "main", spec) }
}

var _ = Describe("A mistake", func() {
	DescribeTable("in one environment is told there, touches nothing that runs, and is over once it is mended",
		func(ctx SpecContext, m mistake) {
			r := newRunning(ctx)
			before := r.objects(ctx)
			if m.platform != nil {
				m.platform(ctx, r)
			}
			r.list(ctx, developOnly+m.entries)
			r.refused(ctx, m.reason, m.words...)
			Expect(r.promotions(ctx, "main")).To(BeEmpty())
			Expect(r.objects(ctx)).To(Equal(before))

			By("going on in the other environment meanwhile")
			next := r.commit("develop", "second")
			r.runs(ctx, "develop", next)
			r.refused(ctx, m.reason, m.words...)
			Expect(r.promotions(ctx, "main")).To(BeEmpty())

			By("going on once it is mended")
			m.mend(ctx, r)
			Eventually(func() *v1alpha1.CurrentRelease { return r.state(ctx, "main").Current }).WithContext(ctx).ShouldNot(BeNil(), r.told(ctx))
			r.runs(ctx, "main", r.state(ctx, "main").Current.Commit)
		},
		func(m mistake) string { return m.reason + ": " + strings.TrimSpace(m.entries) },
		Entry(nil, SpecTimeout(specLimit), mistake{
			entries: `- {name: main#}`,
			reason:  v1alpha1.EnvironmentNotFoundReason, words: []string{"main#", "create it", "develop#"},
			mend: has(`after: [develop#]`),
		}),
		Entry(nil, SpecTimeout(specLimit), mistake{
			platform: func(ctx context.Context, r *running) {
				r.environment(ctx, "staging", `after: [develop#]`)
				r.environment(ctx, "main", `after: [staging#]`)
			},
			entries: `- {name: main#}`,
			reason:  v1alpha1.UpstreamMissingReason, words: []string{"main#", "staging#", "add staging#"},
			mend: lists("- {name: main#}\n- {name: staging#}"),
		}),
		Entry(nil, SpecTimeout(specLimit), mistake{
			platform: has(`after: [staging#]`),
			entries:  `- {name: main#}`,
			reason:   v1alpha1.UpstreamNotFoundReason, words: []string{"main#", "create Environment staging#", "spec.after"},
			mend: func(ctx context.Context, r *running) { r.follow(ctx, "main", "develop") },
		}),
		Entry(nil, SpecTimeout(specLimit), mistake{
			platform: func(ctx context.Context, r *running) {
				r.environment(ctx, "main", `after: [staging#]`)
				r.environment(ctx, "staging", `after: [main#]`)
			},
			entries: "- {name: main#}\n- {name: staging#}",
			reason:  v1alpha1.CycleReason, words: []string{"main# → staging# → main#", "take one of them out"},
			mend: func(ctx context.Context, r *running) { r.follow(ctx, "staging", "develop") },
		}),
		Entry(nil, SpecTimeout(specLimit), mistake{
			platform: has(`{after: [develop#], allowedNamespaces: {from: Selector, selector: {matchLabels: {tier: prod}}}}`),
			entries:  `- {name: main#}`,
			reason:   v1alpha1.NamespaceNotAllowedReason, words: []string{"main#", "team#", "label the namespace", "tier=prod"},
			mend: func(ctx context.Context, r *running) { r.tier(ctx, "prod") },
		}),
		Entry(nil, SpecTimeout(specLimit), mistake{
			platform: has(`{after: [develop#], target: {serviceAccountName: robot}}`),
			entries:  `- {name: main#}`,
			reason:   v1alpha1.TargetMissingReason, words: []string{"main#", "ServiceAccount robot", "namespace team#", "create it"},
			mend: func(ctx context.Context, r *running) {
				create(ctx, &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "robot"}})
			},
		}),
		Entry(nil, SpecTimeout(specLimit), mistake{
			platform: has(`{after: [develop#], target: {serviceAccountName: mainstem-deployer, kubeConfig: {secretRef: {name: cluster}}}}`),
			entries:  `- {name: main#}`,
			reason:   v1alpha1.TargetMissingReason, words: []string{"main#", "Secret cluster", "namespace team#", "create it"},
			mend: func(ctx context.Context, r *running) {
				create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "cluster"}})
			},
		}),
		Entry(nil, SpecTimeout(specLimit), mistake{
			platform: has(`after: [develop#]`),
			entries:  `- {name: main#, deploy: {kustomize: {path: "./deploy/${environmint}"}}}`,
			reason:   v1alpha1.UnknownVariableReason, words: []string{"spec.environments[main#].deploy.kustomize.path", "${environmint}", "did you mean ${environment}?"},
			mend: lists(`- {name: main#, deploy: {kustomize: {path: "./deploy/${environment}"}}}`),
		}),
		Entry(nil, SpecTimeout(specLimit), mistake{
			platform: has(`after: [develop#]`),
			entries:  `- {name: main#, deploy: {kustomize: {targetNamespace: "${app}-of-a-team-that-likes-its-names-long-and-ever-longer-in-${environment}"}}}`,
			reason:   v1alpha1.DeployInvalidReason, words: []string{"spec.environments[main#].deploy.kustomize.targetNamespace", "which no namespace can be called", "at most 63"},
			mend: lists(`- {name: main#, deploy: {kustomize: {targetNamespace: "${app}-${environment}"}}}`),
		}),
		Entry(nil, SpecTimeout(specLimit), mistake{
			platform: has(`{after: [develop#], url: "https://${application}.example.com"}`),
			entries:  `- {name: main#}`,
			reason:   v1alpha1.UnknownVariableReason, words: []string{"spec.url of Environment main#", "${application}", "${app}"},
			mend: func(ctx context.Context, r *running) {
				environment := &v1alpha1.Environment{}
				Expect(admin.Get(ctx, client.ObjectKey{Name: string(r.env("main"))}, environment)).To(Succeed())
				environment.Spec.URL = "https://${app}.example.com"
				Expect(admin.Update(ctx, environment)).To(Succeed())
			},
		}),
		Entry(nil, SpecTimeout(specLimit), mistake{
			platform: has(`after: [develop#]`),
			entries:  `- {name: main#, source: {branch: main}, deploy: {kustomize: {images: [{name: podinfo, newTag: "${version}"}]}}}`,
			reason:   v1alpha1.VersionMissingReason, words: []string{"${version} in environment main#", "commits of branch main", "source.release", "${shortCommit}"},
			mend: func(ctx context.Context, r *running) {
				r.publish("v1.0.0", r.repository.Head("develop"))
				r.list(ctx, developOnly+`- {name: main#, source: {release: {}}, deploy: {kustomize: {images: [{name: podinfo, newTag: "${version}"}]}}}`)
			},
		}),
		Entry(nil, SpecTimeout(specLimit), mistake{
			platform: has(`{}`),
			entries:  `- {name: main#, source: {release: {semver: "newest, please"}}}`,
			reason:   v1alpha1.InvalidSemverReason, words: []string{"source.release.semver", "newest, please", "write one such as"},
			mend: func(ctx context.Context, r *running) {
				r.publish("v1.0.0", r.repository.Head("develop"))
				r.list(ctx, developOnly+`- {name: main#, source: {release: {semver: ">=1.0.0"}}}`)
			},
		}),
		Entry(nil, SpecTimeout(specLimit), mistake{
			platform: has(`{}`),
			entries:  `- {name: main#, source: {branch: main}, pullRequest: {}}`,
			reason:   v1alpha1.InvalidSourceReason, words: []string{"main#", "has no upstream", "take pullRequest away"},
			mend: lists(`- {name: main#, source: {branch: main}}`),
		}),
		Entry(nil, SpecTimeout(specLimit), mistake{
			platform: has(`{}`),
			entries:  `- {name: main#}`,
			reason:   v1alpha1.InvalidSourceReason, words: []string{"main#", "has no upstream", "set source.branch or source.release"},
			mend: lists(`- {name: main#, source: {branch: main}}`),
		}),
		Entry(nil, SpecTimeout(specLimit), mistake{
			platform: has(`{}`),
			entries:  `- {name: main#, source: {branch: main}, gates: [{name: rest, soak: {duration: 1s}}]}`,
			reason:   v1alpha1.InvalidGateReason, words: []string{"gate rest", "main#", "take the gate away"},
			mend: lists(`- {name: main#, source: {branch: main}}`),
		}),
		Entry(nil, SpecTimeout(specLimit), mistake{
			platform: has(`after: [develop#]`),
			entries:  `- {name: main#, source: {branch: stable}}`,
			reason:   v1alpha1.BranchNotFoundReason, words: []string{"branch stable", "acme/app#", "push it", "main#"},
			mend: func(_ context.Context, r *running) {
				Expect(r.repository.CreateBranch("stable", r.repository.Head("develop"))).To(Succeed())
			},
		}),
		Entry(nil, SpecTimeout(specLimit), mistake{
			platform: func(ctx context.Context, r *running) {
				r.environment(ctx, "staging", `{after: [develop#], gates: [{name: ask, approval: {}}]}`)
				r.environment(ctx, "main", `after: [develop#]`)
			},
			entries: "- {name: staging#, source: {branch: main}, pullRequest: {}}\n- {name: main#, source: {branch: main}, pullRequest: {}}",
			reason:  v1alpha1.PromotionBranchSharedReason, words: []string{"branch main", "staging#", "use another branch"},
			mend: lists("- {name: staging#, source: {branch: main}, pullRequest: {}}\n- {name: main#}"),
		}),
	)

	It("that stands where a Kustomization is to be is left alone, and told", func(ctx SpecContext) {
		r := newRunning(ctx)
		name := render.KustomizationName("podinfo", r.env("main"))
		theirs := &kustomizev1.Kustomization{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: name}, Spec: kustomizev1.KustomizationSpec{
			Interval: *everySecond(), Prune: true, Path: "./mine", SourceRef: kustomizev1.CrossNamespaceSourceReference{Kind: "GitRepository", Name: "mine"},
		}}
		create(ctx, theirs)
		r.environment(ctx, "main", `after: [develop#]`)
		r.list(ctx, developOnly+`- {name: main#}`)
		r.refused(ctx, v1alpha1.TargetConflictReason, "Kustomization "+name, r.namespace, "rename or delete")

		By("leaving it as it is, and its own report as it is")
		told := r.read(ctx).ResourceVersion
		r.polls(ctx, 2)
		Expect(r.read(ctx).ResourceVersion).To(Equal(told), "%s", r.story(ctx))
		now := &kustomizev1.Kustomization{}
		Expect(admin.Get(ctx, client.ObjectKeyFromObject(theirs), now)).To(Succeed())
		Expect(now.Spec).To(Equal(theirs.Spec))
		Expect(now.Labels).To(BeEmpty())

		By("deploying once it is out of the way")
		Expect(admin.Delete(ctx, now)).To(Succeed())
		r.runs(ctx, "main", r.sha)
	}, SpecTimeout(specLimit))

	It("by which two Applications deploy the same object is told to the younger one, and mended by its spec.deploy", func(ctx SpecContext) {
		w := newWorld(ctx)
		first := w.firstCommit()
		w.environment(ctx, "develop", "")
		w.environment(ctx, "main", "")
		other := w.called("second") // Of two that are made in the same second, the first by name is the first.
		const web = "shop_web_apps_Deployment"
		w.applies("develop", "_shop__Namespace", web)
		other.applies("main", "_shop__Namespace", web, "shop_web__Service")
		w.declare(ctx, developOnly)
		w.runs(ctx, "develop", first)
		other.declare(ctx, "- {name: main#, source: {branch: develop}}")
		other.refused(ctx, v1alpha1.TargetConflictReason, "Deployment web in namespace shop", "Application team#/podinfo in environment develop#", "another targetNamespace")
		Expect(other.state(ctx, "main").Current).To(HaveField("Commit", first), "what runs is left alone")
		Expect(w.accepted(ctx, "develop")).To(Equal(v1alpha1.AcceptedReason))

		By("keeping new releases out of it, and not out of the other")
		second := w.commit("develop", "second")
		w.runs(ctx, "develop", second)
		other.staysAt(ctx, "main", first)
		Expect(w.accepted(ctx, "develop")).To(Equal(v1alpha1.AcceptedReason))

		By("going on once it deploys elsewhere")
		other.applies("main", "_second__Namespace", "second_web_apps_Deployment")
		other.changes(ctx, func(spec *v1alpha1.ApplicationSpec) { spec.Deploy.Kustomize.TargetNamespace = "second" })
		other.runs(ctx, "main", second)
		Eventually(func() string { return other.accepted(ctx, "main") }).WithContext(ctx).Should(Equal(v1alpha1.AcceptedReason))
	}, SpecTimeout(specLimit))

	It("by which two environments of an Application deploy the same object is told in the one that is listed later", func(ctx SpecContext) {
		r := newRunning(ctx)
		r.environment(ctx, "main", "", "develop")
		for _, env := range []string{"develop", "main"} {
			r.applies(env, "default_web_apps_Deployment")
		}
		second := r.commit("develop", "second")
		r.runs(ctx, "develop", second)
		r.list(ctx, developOnly+`- {name: main#}`)
		r.refused(ctx, v1alpha1.TargetConflictReason, "Deployment web in namespace default", "environment develop# of this Application")
		r.runs(ctx, "develop", r.commit("develop", "third"))
		Expect(r.state(ctx, "main").Current).To(HaveField("Commit", second))
	}, SpecTimeout(specLimit))

	It("about a branch that a GitHub release is not on is told beside Accepted, and keeps only that release out", func(ctx SpecContext) {
		r := newRunning(ctx)
		r.environment(ctx, "main", `{}`)
		side, err := r.repository.Commit("side", "aside", "ada", map[string]string{"aside": "aside"})
		Expect(err).NotTo(HaveOccurred())
		r.publish("v1.0.0", side)
		r.list(ctx, developOnly+`- {name: main#, source: {release: {}}, deploy: {kustomize: {targetNamespace: "main-${branch}"}}}`)
		r.waits(ctx, "main", "deploy uses ${branch}, which "+r.release(side, "v1.0.0")+" does not have")
		accepted := apimeta.FindStatusCondition(r.state(ctx, "main").Conditions, v1alpha1.AcceptedCondition)
		Expect(accepted).To(And(HaveField("Status", metav1.ConditionTrue), HaveField("Reason", v1alpha1.VersionMissingReason),
			HaveField("Message", ContainSubstring("push it to a branch that the Application follows, or use ${tag}"))))
		Expect(r.promotions(ctx, "main")).To(BeEmpty())

		r.publish("v1.1.0", r.sha)
		r.runs(ctx, "main", r.sha)
		Eventually(func() string { return r.accepted(ctx, "main") }).WithContext(ctx).Should(Equal(v1alpha1.AcceptedReason))
		Expect(r.made(ctx, "main").Spec.TargetNamespace).To(Equal("main-develop"))
	}, SpecTimeout(specLimit))

	It("that the API server can see is refused there, with a sentence that says what to write", func(ctx SpecContext) {
		w := newWorld(ctx)
		long := strings.Repeat("n", 64)
		app := w.draft(developOnly)
		app.Name = long
		refusal := refusedAtAdmission(ctx, app)
		Expect(refusal).To(And(ContainSubstring("at most 63"), ContainSubstring("without dots")))

		app = w.draft(`- {name: develop#, pullRequest: {}}`)
		Expect(refusedAtAdmission(ctx, app)).To(ContainSubstring("set source.branch, or take pullRequest away"))

		environment := &v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Name: long}}
		environment.Spec.Target.ServiceAccountName = "mainstem-deployer"
		Expect(refusedAtAdmission(ctx, environment)).To(ContainSubstring("at most 63"))

		environment.Name = string(w.env("main"))
		environment.Spec.Gates = []v1alpha1.Gate{{Name: "rest", Soak: &v1alpha1.SoakGate{Duration: *everySecond()}}}
		Expect(refusedAtAdmission(ctx, environment)).To(And(ContainSubstring("spec.after"), ContainSubstring("take the soak gate away")))
		Expect(w.read(ctx).Name).To(BeEmpty())
	}, SpecTimeout(specLimit))
})

var _ = Describe("An Environment", func() {
	const guarded = developOnly + `
- {name: main#}
`
	It("that is deleted while it is used leaves what runs alone and cancels what was on its way", func(ctx SpecContext) {
		w := newWorld(ctx)
		first := w.firstCommit()
		w.environment(ctx, "develop", "")
		w.environment(ctx, "main", `{after: [develop#]}`)
		w.declare(ctx, guarded)
		w.runs(ctx, "main", first)
		w.runs(ctx, "main", w.commit("develop", "second"))

		By("deleting it while a promotion into it waits for a person")
		w.guard(ctx, "main", v1alpha1.Gate{Name: "sign-off", Approval: &v1alpha1.ApprovalGate{Required: 1}})
		third := w.commit("develop", "third")
		w.runs(ctx, "develop", third)
		w.waits(ctx, "main", "approval")
		before := w.objects(ctx)
		Expect(admin.Delete(ctx, &v1alpha1.Environment{ObjectMeta: metav1.ObjectMeta{Name: string(w.env("main"))}})).To(Succeed())
		w.refused(ctx, v1alpha1.EnvironmentNotFoundReason, "main#", "create it")
		Eventually(func(g Gomega) {
			promotions := w.promotions(ctx, "main")
			g.Expect(promotions).To(HaveLen(3))
			g.Expect(promotions).To(ContainElement(And(
				HaveField("Spec.Release", w.release(third)),
				HaveField("Status.Phase", v1alpha1.PromotionCancelled),
				HaveField("Status.Reason", v1alpha1.EnvironmentGoneReason),
				HaveField("Status.Message", ContainSubstring(string(w.env("main")))))))
		}).WithContext(ctx).Should(Succeed())
		Expect(w.objects(ctx)).To(Equal(before))
		Expect(w.state(ctx, "main").Current.Healthy).To(Equal(metav1.ConditionTrue))

		By("going on once it is there again")
		w.environment(ctx, "main", `{after: [develop#]}`)
		fourth := w.commit("develop", "fourth")
		w.runs(ctx, "main", fourth)
	}, SpecTimeout(specLimit))

	It("that no longer allows a namespace keeps new releases out, and leaves what runs alone", func(ctx SpecContext) {
		w := newWorld(ctx)
		first := w.firstCommit()
		w.tier(ctx, "prod")
		w.environment(ctx, "develop", "")
		w.environment(ctx, "main", `{after: [develop#], allowedNamespaces: {from: Selector, selector: {matchLabels: {tier: prod}}}}`)
		w.declare(ctx, guarded)
		w.runs(ctx, "main", first)
		running, err := w.kustomization(ctx, "main")
		Expect(err).NotTo(HaveOccurred())

		w.tier(ctx, "")
		w.refused(ctx, v1alpha1.NamespaceNotAllowedReason, "team#", "label the namespace")
		second := w.commit("develop", "second")
		w.runs(ctx, "develop", second)
		w.refused(ctx, v1alpha1.NamespaceNotAllowedReason)
		now, err := w.kustomization(ctx, "main")
		Expect(err).NotTo(HaveOccurred())
		Expect(now.ResourceVersion).To(Equal(running.ResourceVersion))
		Expect(w.state(ctx, "main").Current.Commit).To(Equal(first))

		w.tier(ctx, "prod")
		w.runs(ctx, "main", second)
	}, SpecTimeout(specLimit))
})

// applies says what Flux applies for an environment, from the next time that it looks.
func (w *world) applies(env string, targets ...string) {
	fluxStub.Applies(types.NamespacedName{Namespace: w.namespace, Name: render.KustomizationName(w.app.Name, w.env(env))}, targets...)
}

// guard gives an Environment one more gate.
func (w *world) guard(ctx context.Context, name string, gate v1alpha1.Gate) {
	GinkgoHelper()
	environment := &v1alpha1.Environment{}
	Expect(admin.Get(ctx, client.ObjectKey{Name: string(w.env(name))}, environment)).To(Succeed())
	environment.Spec.Gates = append(environment.Spec.Gates, gate)
	Expect(admin.Update(ctx, environment)).To(Succeed())
}

// refusedAtAdmission is what the API server says to the creation of an object that it refuses.
func refusedAtAdmission(ctx context.Context, object client.Object) string {
	GinkgoHelper()
	err := admin.Create(ctx, object)
	Expect(apierrors.IsInvalid(err)).To(BeTrue(), "%v", err)
	return err.Error()
}
