// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package promotion

import (
	"bytes"
	"context"
	"encoding/json"
	"strconv"
	"strings"
	"sync"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	"github.com/fluxcd/pkg/apis/meta"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/test/apiserver"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

// alone takes the Applications of all other specs away: what they leave behind is tidied up while this one looks.
func (w *world) alone(ctx context.Context) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		var all v1alpha1.ApplicationList
		g.Expect(admin.List(ctx, &all)).To(Succeed())
		others := 0
		for i := range all.Items {
			if all.Items[i].Namespace != w.namespace {
				others++
				g.Expect(client.IgnoreNotFound(admin.Delete(ctx, &all.Items[i]))).To(Succeed())
			}
		}
		g.Expect(others).To(BeZero())
	}).WithContext(ctx).Should(Succeed())
}

// counted waits until the Environments have counted the Application, which they do a little later than the rest.
func (w *world) counted(ctx context.Context, healthy map[string]int32) {
	GinkgoHelper()
	for name, wanted := range healthy {
		Eventually(func(g Gomega) {
			environment := &v1alpha1.Environment{}
			g.Expect(admin.Get(ctx, client.ObjectKey{Name: string(w.env(name))}, environment)).To(Succeed())
			g.Expect(environment.Status.Applications).To(And(Not(BeNil()), HaveField("Total", BeEquivalentTo(1)), HaveField("Healthy", wanted)))
		}).WithContext(ctx).Should(Succeed())
	}
}

// idles expects that while GitHub is polled several times nothing at all is written, neither here nor there.
func (w *world) idles(ctx context.Context, meanwhile func()) {
	GinkgoHelper()
	w.polls(ctx, 1)
	Expect(writes.Load()).NotTo(BeZero(), "writes are counted")
	wrote, effects, story := writes.Load(), len(github.Effects().By(emulator.SourceAPI)), w.story(ctx)
	meanwhile()
	w.polls(ctx, 3)
	Expect(writes.Load()-wrote).To(BeZero(), "write requests; before:\n%s\nafter:\n%s", story, w.story(ctx))
	Expect(github.Effects().By(emulator.SourceAPI)[effects:]).To(BeEmpty())
	Expect(w.story(ctx)).To(Equal(story))
}

// looks lets Flux look once more at everything that it applies, as it does at each interval: Ready is Unknown meanwhile.
func (w *world) looks(ctx context.Context) {
	GinkgoHelper()
	applier := account(apiserver.KustomizeController)
	var all kustomizev1.KustomizationList
	Expect(admin.List(ctx, &all, client.InNamespace(w.namespace))).To(Succeed())
	Expect(all.Items).NotTo(BeEmpty())
	for i := range all.Items {
		k := &all.Items[i]
		before := k.DeepCopy()
		apimeta.SetStatusCondition(&k.Status.Conditions, metav1.Condition{Type: meta.ReadyCondition, Status: metav1.ConditionUnknown,
			Reason: meta.ProgressingReason, Message: "Reconciliation in progress", ObservedGeneration: k.Generation})
		Expect(applier.Status().Patch(ctx, k, client.MergeFrom(before))).To(Succeed())
		Expect(k.ResourceVersion).NotTo(Equal(before.ResourceVersion))
		Eventually(func(g Gomega) { // The stub finds it healthy again.
			g.Expect(admin.Get(ctx, client.ObjectKeyFromObject(k), k)).To(Succeed())
			g.Expect(apimeta.IsStatusConditionTrue(k.Status.Conditions, meta.ReadyCondition)).To(BeTrue())
		}).WithContext(ctx).Should(Succeed())
	}
}

var _ = Describe("An operator that has nothing to do", func() {
	It("writes nothing once a release is everywhere, whatever Flux looks at again", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.alone(ctx)
		w.firstCommit()
		sha := w.commit("develop", "travelling")
		w.environment(ctx, "develop", "")
		w.environment(ctx, "main", "gates: [{name: ci, checks: {required: [build]}}, {name: rest, soak: {duration: 1s}}]", "develop")
		w.environment(ctx, "production", "", "main")
		w.declare(ctx, travelling)
		w.escort(ctx, sha)
		w.counted(ctx, map[string]int32{"develop": 1, "main": 1, "production": 1})

		w.idles(ctx, func() {
			for range 3 {
				w.looks(ctx)
			}
		})
	}, SpecTimeout(specLimit))

	It("writes nothing while a release waits at gates with its pull request open", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.alone(ctx)
		w.firstCommit()
		sha := w.commit("develop", "waiting")
		w.environment(ctx, "develop", "")
		w.environment(ctx, "main", `
gates:
- {name: ci, checks: {required: [build, test]}}
- {name: rest, soak: {duration: 1h}}
- {name: sign-off, approval: {required: 1}}
`, "develop")
		w.declare(ctx, withPullRequest)
		w.runs(ctx, "develop", sha)
		w.waits(ctx, "main", "checks: build, test")
		w.pass(sha, "build")
		w.waits(ctx, "main", "checks: test")
		w.settles(ctx, sha, "main", "pending")
		Expect(w.repository.PullRequests()).To(HaveLen(1))
		w.counted(ctx, map[string]int32{"develop": 1, "main": 0})

		w.idles(ctx, func() { w.looks(ctx) })
	}, SpecTimeout(specLimit))
})

// leaks collects what the operator says.
type leaks struct {
	mutex sync.Mutex
	text  bytes.Buffer
}

func (l *leaks) Write(p []byte) (int, error) {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.Write(p)
}

func (l *leaks) String() string {
	l.mutex.Lock()
	defer l.mutex.Unlock()
	return l.text.String()
}

// visible is everything that people can read of a world: its objects and events, and what is on GitHub.
func (w *world) visible(ctx context.Context) string {
	GinkgoHelper()
	var all strings.Builder
	for _, list := range []client.ObjectList{
		&v1alpha1.ApplicationList{}, &v1alpha1.ReleaseList{}, &v1alpha1.PromotionList{}, &v1alpha1.EnvironmentList{},
		&sourcev1.GitRepositoryList{}, &kustomizev1.KustomizationList{}, &corev1.EventList{},
	} {
		Expect(admin.List(ctx, list)).To(Succeed())
		Expect(apimeta.LenList(list)).NotTo(BeZero(), "%T", list)
		text, err := json.Marshal(list)
		Expect(err).NotTo(HaveOccurred())
		all.Write(text)
	}
	for _, pull := range w.repository.PullRequests() {
		all.WriteString(pull.Title + pull.Body + strings.Join(pull.Comments, "\n"))
		for _, status := range w.repository.Statuses(pull.HeadSHA) {
			all.WriteString(status.Description + status.TargetURL)
		}
	}
	return all.String()
}

var _ = Describe("A secret", func() {
	It("is in no object, event, log line or text on GitHub, whatever happens to it", func(ctx SpecContext) {
		log := &leaks{}
		GinkgoWriter.TeeTo(log)
		DeferCleanup(GinkgoWriter.ClearTeeWriters)
		w := journeyWorld(ctx)
		key, err := emulator.GenerateAppKey()
		Expect(err).NotTo(HaveOccurred())
		number, err := strconv.ParseInt("88"+w.suffix, 10, 64)
		Expect(err).NotTo(HaveOccurred())
		Expect(github.AddApp(emulator.App{ID: number, InstallationID: number, Owner: "acme", PrivateKeyPEM: key})).To(Succeed())
		asApp := map[string]string{"githubAppID": strconv.FormatInt(number, 10), "githubAppInstallationID": strconv.FormatInt(number, 10),
			"githubAppPrivateKey": key, "webhookSecret": webhookSecret}

		By("travelling with a token, and losing it on the way")
		w.declare(ctx, travelling)
		w.runs(ctx, "develop", w.repository.Head("develop"))
		github.RevokeToken(w.token)
		w.unreachable(ctx, v1alpha1.UnauthorizedReason)

		By("writing half a private key, and a token with a line end")
		broken := map[string]string{"githubAppID": "1", "githubAppInstallationID": "1", "githubAppPrivateKey": key[:len(key)/2]}
		w.secret(ctx, broken)
		w.unreachable(ctx, v1alpha1.SecretInvalidReason, "githubAppPrivateKey")
		w.secret(ctx, tokenSecret(w.token+"\n"))
		w.unreachable(ctx, v1alpha1.SecretInvalidReason, "password")

		By("going on as an App while GitHub fails")
		w.secret(ctx, asApp)
		w.onPath(emulator.Fault{Kind: emulator.MalformedJSON, Times: 1}, "POST", "/pulls", "/pulls")
		w.onPath(emulator.Fault{Kind: emulator.Status5xx, Times: 1}, "PUT", "/pulls/", "/merge")
		sha, merge := w.travel(ctx)
		w.once(sha, merge)

		said, seen := log.String(), w.visible(ctx)
		Expect(said).To(ContainSubstring(w.namespace), "the log is captured")
		Expect(seen).To(ContainSubstring(merge))
		secrets := []string{w.token, webhookSecret, "ghs_"}
		for line := range strings.Lines(key) {
			if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "-----") {
				secrets = append(secrets, line)
			}
		}
		Expect(len(secrets)).To(BeNumerically(">", 10))
		for _, secret := range secrets {
			Expect(strings.Contains(said, secret)).To(BeFalse(), "the log has %.8s…", secret)
			Expect(strings.Contains(seen, secret)).To(BeFalse(), "an object has %.8s…", secret)
		}
	}, SpecTimeout(specLimit))
})
