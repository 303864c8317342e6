// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package promotion

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
	"github.com/mainstem-dev/mainstem/test/tenant"
)

// running is a world whose develop runs the head of its branch, and whose repository is asked every second.
type running struct {
	*world
	// sha is what develop runs.
	sha string
}

// newRunning makes a world whose Application has one environment, develop, and runs there.
func newRunning(ctx context.Context, change ...func(*v1alpha1.Application)) *running {
	GinkgoHelper()
	r := &running{world: newWorld(ctx)}
	r.sha = r.firstCommit()
	r.environment(ctx, "develop", "")
	r.declare(ctx, developOnly, change...)
	r.runs(ctx, "develop", r.sha)
	return r
}

// developOnly is an Application that has one environment, which works.
const developOnly = `
- {name: develop#, source: {branch: develop}}
`

// declare declares the Application, which asks GitHub every second, and takes it away when the spec ends.
func (w *world) declare(ctx context.Context, environments string, change ...func(*v1alpha1.Application)) {
	GinkgoHelper()
	app := w.draft(environments)
	app.Spec.Repository.Interval = everySecond()
	for _, do := range change {
		do(app)
	}
	w.submit(ctx, app)
}

// list replaces the Application's environments.
func (w *world) list(ctx context.Context, environments string) {
	GinkgoHelper()
	wanted := w.draft(environments).Spec.Environments
	w.changes(ctx, func(spec *v1alpha1.ApplicationSpec) { spec.Environments = wanted })
}

// follow changes what an Environment comes after.
func (w *world) follow(ctx context.Context, name string, after ...string) {
	GinkgoHelper()
	Eventually(func() error {
		environment := &v1alpha1.Environment{}
		if err := admin.Get(ctx, client.ObjectKey{Name: string(w.env(name))}, environment); err != nil {
			return err
		}
		environment.Spec.After = nil
		for _, up := range after {
			environment.Spec.After = append(environment.Spec.After, w.env(up))
		}
		return admin.Update(ctx, environment)
	}).WithContext(ctx).Should(Succeed())
}

// tier labels the world's namespace with a tier; an empty one takes the label away.
func (w *world) tier(ctx context.Context, value string) {
	GinkgoHelper()
	patch := `{"metadata": {"labels": {"tier": null}}}`
	if value != "" {
		patch = fmt.Sprintf(`{"metadata": {"labels": {"tier": %q}}}`, value)
	}
	namespace := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: w.namespace}}
	Expect(admin.Patch(ctx, namespace, client.RawPatch("application/merge-patch+json", []byte(patch)))).To(Succeed())
}

// secret writes the Secret that the Application names, or deletes it where data is nil.
func (w *world) secret(ctx context.Context, data map[string]string) {
	GinkgoHelper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.namespace, Name: "github"}, StringData: data}
	Expect(client.IgnoreNotFound(admin.Delete(ctx, secret.DeepCopy()))).To(Succeed())
	if data != nil {
		create(ctx, secret)
	}
}

// tokenSecret is the content of a Secret with a token.
func tokenSecret(token string) map[string]string { return tenant.TokenSecret(token) }

// objects are the Flux objects of the world's namespace with their versions: equal only where nobody wrote any of them.
func (w *world) objects(ctx context.Context) map[string]string {
	GinkgoHelper()
	versions := map[string]string{}
	var sources sourcev1.GitRepositoryList
	Expect(admin.List(ctx, &sources, client.InNamespace(w.namespace))).To(Succeed())
	for i := range sources.Items {
		versions["GitRepository/"+sources.Items[i].Name] = sources.Items[i].ResourceVersion
	}
	var kustomizations kustomizev1.KustomizationList
	Expect(admin.List(ctx, &kustomizations, client.InNamespace(w.namespace))).To(Succeed())
	for i := range kustomizations.Items {
		versions["Kustomization/"+kustomizations.Items[i].Name] = kustomizations.Items[i].ResourceVersion
	}
	return versions
}

// refused waits until the environment main is not accepted, for this reason and in a sentence with all of these words (# as in
// world.application), and until the Application's own condition says so too.
func (w *world) refused(ctx context.Context, reason string, words ...string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		accepted := apimeta.FindStatusCondition(w.state(ctx, "main").Conditions, v1alpha1.AcceptedCondition)
		w.tells(ctx, g, accepted, reason, words)
		g.Expect(w.state(ctx, "main").WaitingFor).To(Equal(accepted.Message))
		ready := apimeta.FindStatusCondition(w.read(ctx).Status.Conditions, v1alpha1.ReadyCondition)
		w.tells(ctx, g, ready, v1alpha1.NotAcceptedReason, append(words, string(w.env("main"))))
		summary := w.read(ctx).Status.Summary
		g.Expect(summary).To(ContainSubstring(string(w.env("main"))))
		for _, told := range []string{ready.Message, summary} { // However many entries it is about.
			g.Expect(strings.Count(told, accepted.Message)).To(Equal(1), "%s", told)
		}
	}).WithContext(ctx).Should(Succeed())
}

// unreachable waits until the repository is not reachable, for this reason and in a sentence with all of these words, and
// returns the condition.
func (w *world) unreachable(ctx context.Context, reason string, words ...string) metav1.Condition {
	GinkgoHelper()
	var found metav1.Condition
	Eventually(func(g Gomega) {
		reachable := apimeta.FindStatusCondition(w.read(ctx).Status.Conditions, v1alpha1.RepositoryReachableCondition)
		w.tells(ctx, g, reachable, reason, words)
		ready := apimeta.FindStatusCondition(w.read(ctx).Status.Conditions, v1alpha1.ReadyCondition)
		w.tells(ctx, g, ready, reason, words)
		found = *reachable
	}).WithContext(ctx).Should(Succeed())
	return found
}

func (w *world) tells(ctx context.Context, g Gomega, condition *metav1.Condition, reason string, words []string) {
	g.Expect(condition).NotTo(BeNil(), "%s", w.story(ctx))
	g.Expect(condition.Status).To(Equal(metav1.ConditionFalse), "%s", w.story(ctx))
	g.Expect(condition.Reason).To(Equal(reason), "%s", w.story(ctx))
	for _, word := range words {
		g.Expect(condition.Message).To(ContainSubstring(strings.ReplaceAll(word, "#", w.suffix)))
	}
}

// reachable waits until GitHub answers again.
func (w *world) reachable(ctx context.Context) {
	GinkgoHelper()
	Eventually(func() bool {
		return apimeta.IsStatusConditionTrue(w.read(ctx).Status.Conditions, v1alpha1.RepositoryReachableCondition)
	}).WithContext(ctx).Should(BeTrue(), w.told(ctx))
}

func everySecond() *metav1.Duration { return &metav1.Duration{Duration: time.Second} }

// spy counts how often the operator has looked at the world's repository, as often as it has asked the same question again, also where
// a fault answers. It is to be set before any fault, of which the first that fits wins.
func (w *world) spy() *atomic.Int64 {
	looks, asked, mutex := &atomic.Int64{}, map[string]int64{}, sync.Mutex{}
	w.counts(func(r *http.Request) bool {
		mutex.Lock()
		defer mutex.Unlock()
		question := r.Method + " " + r.URL.String()
		asked[question]++
		looks.Store(max(looks.Load(), asked[question]))
		return true
	})
	return looks
}

// counts counts the requests about the world's repository that are so.
func (w *world) counts(so func(*http.Request) bool) *atomic.Int64 {
	count := &atomic.Int64{}
	github.Inject(emulator.Fault{Kind: emulator.Slow, Match: func(r *http.Request) bool {
		if w.about(r) && so(r) {
			count.Add(1)
		}
		return false
	}})
	DeferCleanup(github.ClearFaults)
	return count
}

// polls waits until the operator has begun to look at the world's repository that many times more: all looks but the last are over.
func (w *world) polls(ctx context.Context, times int) {
	GinkgoHelper()
	looks := w.spy()
	Eventually(looks.Load).WithContext(ctx).Should(BeNumerically(">=", times))
}
