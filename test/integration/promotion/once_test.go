// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package promotion

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/mainstem-dev/mainstem/internal/render"
	emulator "github.com/mainstem-dev/mainstem/test/github"
)

// travelling is an Application that goes from develop through a pull request to main, and as a GitHub release to production.
const travelling = withPullRequest + `
- {name: production#, source: {release: {}}}
`

// travel lets a new commit go all the way to production and returns it with its merge.
func (w *world) travel(ctx context.Context) (sha, merge string) {
	GinkgoHelper()
	sha = w.commit("develop", "travelling")
	return sha, w.escort(ctx, sha)
}

// escort sees a commit go from develop to production, doing what people and CI do, and returns its merge.
func (w *world) escort(ctx context.Context, sha string) (merge string) {
	GinkgoHelper()
	w.runs(ctx, "develop", sha)
	w.waits(ctx, "main", "checks: build")
	w.pass(sha, "build")
	Eventually(func() bool { return merged(w.repository, sha) }).WithContext(ctx).Should(BeTrue(), w.told(ctx))
	merge = w.repository.PullRequests()[0].MergeSHA
	w.runs(ctx, "main", merge)
	w.publish("v1.0.0", merge)
	w.runs(ctx, "production", merge)
	w.settles(ctx, sha, "main", "success")
	for _, env := range []string{"main", "production"} {
		w.settles(ctx, merge, env, "success")
	}
	return merge
}

// journeyWorld is a world with the Environments for travelling.
func journeyWorld(ctx context.Context) *world {
	GinkgoHelper()
	w := newWorld(ctx)
	w.firstCommit()
	w.environment(ctx, "develop", "")
	w.environment(ctx, "main", `gates: [{name: ci, checks: {required: [build]}}]`, "develop")
	w.environment(ctx, "production", "", "main")
	return w
}

// settles waits until the newest commit status about an environment is this one.
func (w *world) settles(ctx context.Context, sha, env, state string) {
	GinkgoHelper()
	Eventually(func() string {
		newest := ""
		for _, status := range w.repository.Statuses(sha) {
			if status.Context == render.CommitStatusContext(w.env(env)) {
				newest = status.State
			}
		}
		return newest
	}).WithContext(ctx).Should(Equal(state), func() string {
		return fmt.Sprintf("%s %s: %v", env, sha, w.repository.Statuses(sha))
	})
}

// once expects every effect that the operator had on GitHub exactly once.
func (w *world) once(sha, merge string) {
	GinkgoHelper()
	effects := github.Effects().By(emulator.SourceAPI).In(w.repository.FullName())
	for _, kind := range []emulator.EffectKind{emulator.BranchCreated, emulator.PullOpened, emulator.PullMerged} {
		Expect(effects.Count(kind)).To(Equal(1), "%s: %v", kind, effects)
	}
	Expect(w.repository.PullRequests()).To(HaveLen(1))
	Expect(w.repository.PullRequests()[0].HeadSHA).To(Equal(sha))
	info, err := w.repository.CommitInfo("main")
	Expect(err).NotTo(HaveOccurred())
	Expect(info.SHA).To(Equal(merge))
	for _, commit := range []string{sha, merge} {
		last := map[string]string{}
		for _, status := range w.repository.Statuses(commit) {
			said := status.State + ": " + status.Description
			Expect(last[status.Context]).NotTo(Equal(said), "said twice: %v", w.repository.Statuses(commit))
			last[status.Context] = said
		}
	}
	promotions := map[string]int{}
	for _, env := range []string{"develop", "main", "production"} {
		for _, promotion := range w.promotions(context.Background(), env) {
			promotions[promotion.Spec.Release+" into "+env]++
		}
	}
	for what, times := range promotions {
		Expect(times).To(Equal(1), "promotions of %s", what)
	}
	Expect(github.Mismatches()).To(BeEmpty())
}

// onPath limits a fault to one method and the paths that begin and end so, below the repository.
func (w *world) onPath(fault emulator.Fault, method, begin, end string) {
	fault.Match = func(r *http.Request) bool {
		path := strings.TrimPrefix(r.URL.Path, w.path())
		return r.Method == method && w.about(r) && strings.HasPrefix(path, begin) && strings.HasSuffix(path, end)
	}
	github.Inject(fault)
	DeferCleanup(github.ClearFaults)
}

var _ = Describe("Every effect on GitHub happens exactly once", func() {
	DescribeTable("although an answer is lost",
		func(ctx SpecContext, kind emulator.FaultKind, method, begin, end string) {
			w := journeyWorld(ctx)
			w.onPath(emulator.Fault{Kind: kind, Times: 1, Delay: 2 * time.Second}, method, begin, end)
			w.declare(ctx, travelling)
			sha, merge := w.travel(ctx)
			Expect(github.Struck(kind)).To(Equal(1))
			w.once(sha, merge)
		},
		func(kind emulator.FaultKind, method, begin, _ string) string {
			return fmt.Sprintf("%s on %s %s", kind, method, begin)
		},
		Entry(nil, SpecTimeout(specLimit), emulator.AfterEffectCut, http.MethodPost, "/git/refs", ""),
		Entry(nil, SpecTimeout(specLimit), emulator.AfterEffectCut, http.MethodPost, "/pulls", "/pulls"),
		Entry(nil, SpecTimeout(specLimit), emulator.AfterEffectCut, http.MethodPut, "/pulls/", "/merge"),
		Entry(nil, SpecTimeout(specLimit), emulator.AfterEffectCut, http.MethodPost, "/statuses/", ""),
		Entry(nil, SpecTimeout(specLimit), emulator.MalformedJSON, http.MethodPut, "/pulls/", "/merge"),
		Entry(nil, SpecTimeout(specLimit), emulator.CutConnection, http.MethodPost, "/pulls", "/pulls"),
		Entry(nil, SpecTimeout(specLimit), emulator.BeforeEffectCut, http.MethodPut, "/pulls/", "/merge"),
		Entry(nil, SpecTimeout(specLimit), emulator.Status5xx, http.MethodPost, "/pulls", "/pulls"),
		Entry(nil, SpecTimeout(specLimit), emulator.SecondaryLimit, http.MethodPost, "/git/refs", ""),
	)

	DescribeTable("although webhooks are",
		func(ctx SpecContext, kind emulator.FaultKind) {
			w := journeyWorld(ctx)
			github.Inject(emulator.Fault{Kind: kind})
			DeferCleanup(github.ClearFaults)
			w.declare(ctx, travelling)
			sha, merge := w.travel(ctx)
			Expect(github.Struck(kind)).To(BeNumerically(">=", 5))
			w.once(sha, merge)
		},
		Entry("lost", SpecTimeout(specLimit), emulator.DropWebhook),
		Entry("duplicated", SpecTimeout(specLimit), emulator.DuplicateWebhook),
		Entry("reordered", SpecTimeout(specLimit), emulator.ReorderWebhook),
	)

	It("as a GitHub App as with a token, also when its tokens are revoked on the way", func(ctx SpecContext) {
		w := journeyWorld(ctx)
		app, secret := installedApp("acme")
		w.secret(ctx, secret)
		w.declare(ctx, travelling)
		w.runs(ctx, "develop", w.repository.Head("develop"))
		github.RevokeInstallationTokens(app.ID)
		sha, merge := w.travel(ctx)
		w.once(sha, merge)
		Expect(w.repository.PullRequests()[0].Author).To(Equal(app.Slug + "[bot]"))
		Expect(w.repository.PullRequests()[0].MergedBy).To(Equal(app.Slug + "[bot]"))
	}, SpecTimeout(specLimit))
})

// apps numbers GitHub Apps.
var apps atomic.Int64

// installedApp makes a GitHub App that is installed at an owner, and what a Secret says about it.
func installedApp(owner string) (emulator.App, map[string]string) {
	GinkgoHelper()
	key, err := emulator.GenerateAppKey()
	Expect(err).NotTo(HaveOccurred())
	number := 7000 + 2*apps.Add(1)
	app := emulator.App{ID: number, InstallationID: number + 1, Slug: fmt.Sprintf("mainstem%d", number), Owner: owner, PrivateKeyPEM: key}
	Expect(github.AddApp(app)).To(Succeed())
	return app, map[string]string{
		"githubAppID": strconv.FormatInt(app.ID, 10), "githubAppInstallationID": strconv.FormatInt(app.InstallationID, 10),
		"githubAppPrivateKey": key, "webhookSecret": webhookSecret,
	}
}
