// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package promotion

import (
	"context"
	"strings"

	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/onsi/gomega/types"
	corev1 "k8s.io/api/core/v1"
	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

// blunder is a mistake about the repository or its credential, made while the Application runs.
type blunder struct {
	commit func(context.Context, *running)
	reason string
	words  []string
	mend   func(context.Context, *running)
}

// malformedKey is a private key as it looks after a careless copy.
const malformedKey = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEAnotreally\n"

// publicKey is what one sees first in ssh-keygen's or openssl's output.
const publicKey = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=\n-----END PUBLIC KEY-----\n"

func writesSecret(data map[string]string) func(context.Context, *running) {
	return func(ctx context.Context, r *running) { r.secret(ctx, data) }
}

func restoresSecret(ctx context.Context, r *running) { r.secret(ctx, tokenSecret(r.token)) }

func writesURL(name string) func(context.Context, *running) {
	return func(ctx context.Context, r *running) {
		r.changes(ctx, func(spec *v1alpha1.ApplicationSpec) {
			spec.Repository.URL = github.URL() + "/acme/" + strings.ReplaceAll(name, "#", r.suffix)
		})
	}
}

var _ = Describe("A mistake about GitHub", func() {
	DescribeTable("is told, touches nothing that runs, and is over once it is mended",
		func(ctx SpecContext, b blunder) {
			r := newRunning(ctx)
			before := r.objects(ctx)
			b.commit(ctx, r)
			told := r.unreachable(ctx, b.reason, b.words...)
			Expect(told.Message).NotTo(Or(ContainSubstring(r.token), ContainSubstring("MIIEpAIBAAKCAQEA")))
			Expect(r.read(ctx).Status.Conditions).To(ContainElement(And(HaveField("Type", v1alpha1.StalledCondition), HaveField("Reason", b.reason))))
			Expect(r.objects(ctx)).To(Equal(before))
			Expect(r.state(ctx, "develop").Current).To(HaveField("Commit", r.sha))

			By("going on once it is mended")
			next := r.commit("develop", "second")
			b.mend(ctx, r)
			r.runs(ctx, "develop", next)
			r.reachable(ctx)
			Expect(r.promotions(ctx, "develop")).To(HaveLen(2))
		},
		func(b blunder) string { return b.reason + ": " + strings.Join(b.words, ", ") },
		Entry(nil, SpecTimeout(specLimit), blunder{
			commit: writesSecret(nil),
			reason: v1alpha1.SecretNotFoundReason, words: []string{"Secret github", "namespace team#", "create it", "username and password"},
			mend: restoresSecret,
		}),
		Entry(nil, SpecTimeout(specLimit), blunder{
			commit: writesSecret(map[string]string{"token": "ghp_underTheWrongKey"}),
			reason: v1alpha1.SecretInvalidReason, words: []string{"Secret github", "no key password", "githubAppID"},
			mend: restoresSecret,
		}),
		Entry(nil, SpecTimeout(specLimit), blunder{
			commit: writesSecret(map[string]string{"githubAppID": "1", "githubAppInstallationID": "2", "githubAppPrivateKey": malformedKey}),
			reason: v1alpha1.SecretInvalidReason, words: []string{"Secret github", "githubAppPrivateKey is malformed", "BEGIN and END lines"},
			mend: restoresSecret,
		}),
		Entry(nil, SpecTimeout(specLimit), blunder{ // A Secret of Flux's for SSH.
			commit: writesSecret(map[string]string{"identity": malformedKey, "known_hosts": "github.com ssh-ed25519 AAAA"}),
			reason: v1alpha1.SecretInvalidReason, words: []string{"Secret github", "no key password", "write a GitHub token there", "githubAppID"},
			mend: restoresSecret,
		}),
		Entry(nil, SpecTimeout(specLimit), blunder{ // One for pulling images.
			commit: func(ctx context.Context, r *running) {
				r.secret(ctx, nil)
				create(ctx, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: r.namespace, Name: "github"}, Type: corev1.SecretTypeDockerConfigJson,
					StringData: map[string]string{corev1.DockerConfigJsonKey: "{}"}})
			},
			reason: v1alpha1.SecretInvalidReason, words: []string{"Secret github", "no key password", "write a GitHub token there", "githubAppID"},
			mend: restoresSecret,
		}),
		Entry(nil, SpecTimeout(specLimit), blunder{
			commit: writesSecret(map[string]string{"githubAppID": "mainstem", "githubAppInstallationID": "2", "githubAppPrivateKey": malformedKey}),
			reason: v1alpha1.SecretInvalidReason, words: []string{"Secret github", "githubAppID is malformed", "digits only"},
			mend: restoresSecret,
		}),
		Entry(nil, SpecTimeout(specLimit), blunder{
			commit: writesSecret(map[string]string{"githubAppID": "1", "githubAppInstallationID": "2", "githubAppPrivateKey": publicKey}),
			reason: v1alpha1.SecretInvalidReason, words: []string{"Secret github", "not an RSA private key", ".pem file that GitHub gave"},
			mend: restoresSecret,
		}),
		Entry(nil, SpecTimeout(specLimit), blunder{
			commit: writesSecret(map[string]string{"githubAppID": "1", "githubAppInstallationID": "2"}),
			reason: v1alpha1.SecretInvalidReason, words: []string{"Secret github", "no key githubAppPrivateKey", ".pem file that GitHub gave"},
			mend: restoresSecret,
		}),
		Entry(nil, SpecTimeout(specLimit), blunder{
			commit: writesSecret(tokenSecret("ghp_withALineEnd\n")),
			reason: v1alpha1.SecretInvalidReason, words: []string{"Secret github", "password is malformed", "no white space or line end"},
			mend: restoresSecret,
		}),
		Entry(nil, SpecTimeout(specLimit), blunder{
			commit: writesSecret(tokenSecret("ghp_nobodyKnowsThisOne")),
			reason: v1alpha1.UnauthorizedReason, words: []string{"acme/app#", "Bad credentials", "renew it in the Secret"},
			mend: restoresSecret,
		}),
		Entry(nil, SpecTimeout(specLimit), blunder{
			commit: writesURL("app#-misspelt"),
			reason: v1alpha1.RepositoryNotFoundReason, words: []string{"acme/app#-misspelt", "check the name", "may read it"},
			mend: writesURL("app#"),
		}),
	)

	DescribeTable("that only shows when a pull request is to be opened is told by its Promotion",
		func(ctx SpecContext, spoil func(*running), mend func(*running), matches types.GomegaMatcher) {
			r := newRunning(ctx)
			r.sha = r.commit("develop", "ahead")
			r.runs(ctx, "develop", r.sha)
			before := r.objects(ctx)
			spoil(r)
			r.environment(ctx, "main", "", "develop")
			r.list(ctx, withPullRequest)
			Eventually(func(g Gomega) {
				promotions := r.promotions(ctx, "main")
				g.Expect(promotions).To(HaveLen(1))
				g.Expect(promotions[0].Status.Phase).To(Equal(v1alpha1.PromotionPending))
				g.Expect(promotions[0].Status).To(matches)
				g.Expect(r.state(ctx, "main").WaitingFor).To(Equal(promotions[0].Status.Message))
			}).WithContext(ctx).Should(Succeed())
			Expect(r.repository.PullRequests()).To(BeEmpty())
			Expect(r.objects(ctx)).To(Equal(before))

			By("going on once it is mended")
			mend(r)
			second := r.commit("develop", "second")
			r.runs(ctx, "develop", second)
			Eventually(func() bool { return merged(r.repository, second) }).WithContext(ctx).Should(BeTrue(), r.told(ctx))
		},
		Entry("a token that may not open pull requests", SpecTimeout(specLimit),
			func(r *running) { r.permit(map[string]string{"contents": "write", "statuses": "write"}) },
			func(r *running) { r.permit(nil) },
			And(HaveField("Reason", v1alpha1.PermissionDeniedReason), HaveField("Message", ContainSubstring("pull_requests"))),
		),
		Entry("a token that may open them, and not push the branch", SpecTimeout(specLimit),
			func(r *running) {
				r.permit(map[string]string{"contents": "read", "statuses": "write", "pull_requests": "write"})
			},
			func(r *running) { r.permit(nil) },
			And(HaveField("Reason", v1alpha1.PermissionDeniedReason), HaveField("Message", ContainSubstring("contents=write"))),
		),
	)

	It("of a token that may not read the repository, or its checks, is told with the permission's name", func(ctx SpecContext) {
		w := newWorld(ctx)
		r := &running{world: w, sha: w.firstCommit()}
		r.permit(map[string]string{"statuses": "write", "checks": "read"})
		w.environment(ctx, "develop", "gates: [{name: ci, checks: {required: [build]}}]")
		w.declare(ctx, developOnly)
		w.unreachable(ctx, v1alpha1.PermissionDeniedReason, "acme/app#", "contents=read")
		Expect(w.objects(ctx)).To(BeEmpty())

		By("reading the repository, and not its checks")
		r.permit(map[string]string{"statuses": "write", "contents": "read"})
		w.reachable(ctx)
		Eventually(func() v1alpha1.GateStatus { return w.gate(ctx, "develop", "environment/ci") }).WithContext(ctx).Should(And(
			HaveField("Outcome", v1alpha1.GateUnknown), HaveField("Reason", v1alpha1.PermissionDeniedReason),
			HaveField("Message", ContainSubstring("checks=read"))), w.told(ctx))
		Expect(w.objects(ctx)).To(BeEmpty())

		r.permit(nil)
		w.pass(r.sha, "build")
		w.runs(ctx, "develop", r.sha)
	}, SpecTimeout(specLimit))

	It("of pointing to a repository without a commit is told, and the first commit goes in", func(ctx SpecContext) {
		w := newWorld(ctx)
		w.environment(ctx, "main", "")
		w.declare(ctx, "- {name: main#, source: {branch: main}}")
		w.refused(ctx, v1alpha1.BranchNotFoundReason, "no branch main", "acme/app#", "push it")
		Expect(w.objects(ctx)).To(BeEmpty())
		w.runs(ctx, "main", w.commit("main", "first"))
	}, SpecTimeout(specLimit))

	It("of a token that may not write statuses stops nothing, and is told with the permission's name", func(ctx SpecContext) {
		w := newWorld(ctx)
		sha := w.firstCommit()
		(&running{world: w}).permit(map[string]string{"contents": "write", "pull_requests": "write", "statuses": "read"})
		w.environment(ctx, "develop", "")
		w.declare(ctx, developOnly)
		w.runs(ctx, "develop", sha)
		w.remarks(ctx, v1alpha1.CommitStatusDeniedReason, "commit statuses are not written", "mainstem/develop"+w.suffix, "statuses=write")
		Expect(apimeta.IsStatusConditionTrue(w.read(ctx).Status.Conditions, v1alpha1.ReadyCondition)).To(BeTrue(), "%s", w.story(ctx))

		By("telling it once")
		told := w.read(ctx).ResourceVersion
		w.polls(ctx, 2)
		Expect(w.read(ctx).ResourceVersion).To(Equal(told), "%s", w.story(ctx))

		(&running{world: w}).permit(nil)
		Eventually(func() []emulator.Status { return w.repository.Statuses(sha) }).WithContext(ctx).ShouldNot(BeEmpty())
		w.unremarkable(ctx)
	}, SpecTimeout(specLimit))
})

// withPullRequest promotes from develop into main through a pull request.
const withPullRequest = developOnly + `
- {name: main#, source: {branch: main}, pullRequest: {}}
`

// addresses are those of the sources in the world's namespace.
func (w *world) addresses(ctx context.Context) []string {
	GinkgoHelper()
	var sources sourcev1.GitRepositoryList
	Expect(admin.List(ctx, &sources, client.InNamespace(w.namespace))).To(Succeed())
	var urls []string
	for i := range sources.Items {
		urls = append(urls, sources.Items[i].Spec.URL)
	}
	return urls
}

// permit changes what the token may do; nil is everything.
func (r *running) permit(permissions map[string]string) {
	github.AddToken(emulator.Token{Value: r.token, Login: "mainstem-bot", Permissions: permissions})
}

// merged says whether a pull request from a commit is merged.
func merged(repository *emulator.Repository, head string) bool {
	for _, pull := range repository.PullRequests() {
		if pull.HeadSHA == head && pull.Merged {
			return true
		}
	}
	return false
}

// remarks waits until the Application says, of a GitHub that answers, something for a reason and with all of these words.
func (w *world) remarks(ctx context.Context, reason string, words ...string) {
	GinkgoHelper()
	Eventually(func(g Gomega) {
		reachable := apimeta.FindStatusCondition(w.read(ctx).Status.Conditions, v1alpha1.RepositoryReachableCondition)
		g.Expect(reachable).To(And(Not(BeNil()), HaveField("Status", BeEquivalentTo("True"))), "%s", w.story(ctx))
		for _, word := range words {
			g.Expect(reachable.Message).To(ContainSubstring(strings.ReplaceAll(word, "#", w.suffix)))
		}
		g.Expect(reachable.Reason).To(Equal(reason))
	}).WithContext(ctx).Should(Succeed())
}

// unremarkable waits until there is nothing to say about GitHub.
func (w *world) unremarkable(ctx context.Context) {
	GinkgoHelper()
	Eventually(func() []any {
		reachable := apimeta.FindStatusCondition(w.read(ctx).Status.Conditions, v1alpha1.RepositoryReachableCondition)
		return []any{string(reachable.Status), reachable.Reason}
	}).WithContext(ctx).Should(Equal([]any{"True", v1alpha1.ObservedReason}), w.told(ctx))
}

var _ = Describe("A Secret that is missing from the beginning", func() {
	It("is told before anything is made, and the first release goes in once it is there", func(ctx SpecContext) {
		w := newWorld(ctx)
		sha := w.firstCommit()
		w.secret(ctx, nil)
		w.environment(ctx, "develop", "")
		w.declare(ctx, developOnly)
		w.unreachable(ctx, v1alpha1.SecretNotFoundReason, "Secret github", "namespace team#", "create it")
		Expect(w.objects(ctx)).To(BeEmpty())
		var secrets corev1.SecretList
		Expect(admin.List(ctx, &secrets, client.InNamespace(w.namespace))).To(Succeed())
		Expect(secrets.Items).To(BeEmpty())

		w.secret(ctx, tokenSecret(w.token))
		w.runs(ctx, "develop", sha)
	}, SpecTimeout(specLimit))
})
