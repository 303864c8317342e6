//go:build e2e

package e2e

import (
	"strconv"
	"testing"

	"github.com/fluxcd/pkg/apis/meta"
	. "github.com/onsi/gomega"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	emulator "github.com/mainstem-dev/mainstem/test/github"
	"github.com/mainstem-dev/mainstem/test/tenant"
)

func TestATokenThatIsRotatedInItsSecretIsTakenByMainstemAndByFlux(t *testing.T) {
	w, first := throughPullRequests(t, "")
	sources := w.objects()
	w.GitHub.AddToken(emulator.Token{Value: w.Token + "new", Login: tenant.Login})
	w.rotates(tenant.TokenSecret(w.Token + "new"))
	w.GitHub.RevokeToken(w.Token)
	w.goesOn(first, sources)

	// One that leaked is revoked before there is another. What runs stays, and it goes on once there is one.
	w.GitHub.RevokeToken(w.Token + "new")
	leaked := w.writes("develop", "leaked")
	w.Eventually(func() []metav1.Condition { return w.read().Status.Conditions }).Should(ContainElement(And(
		HaveField("Type", v1alpha1.RepositoryReachableCondition), HaveField("Status", metav1.ConditionFalse),
		HaveField("Reason", v1alpha1.UnauthorizedReason), HaveField("Message", ContainSubstring("renew it in the Secret")))))
	w.Expect(w.state("main").Current).To(HaveValue(And(HaveField("Commit", w.merged(1)), HaveField("Healthy", metav1.ConditionTrue))))
	w.Expect(w.pinned("main")).To(Equal(w.merged(1)))
	w.GitHub.AddToken(emulator.Token{Value: w.Token + "newest", Login: tenant.Login})
	w.rotates(tenant.TokenSecret(w.Token + "newest"))
	w.runs("develop", leaked)
	w.runs("main", w.merged(2))
}

func TestAnAppsKeyThatIsRotatedInItsSecretIsTakenByMainstemAndByFlux(t *testing.T) {
	w := newTeam(t)
	first := w.begins()
	w.environment("develop", "")
	w.environment("main", "", "develop")
	app := w.installsApp()
	w.rotates(w.appSecret(app))
	w.application(byPullRequest)
	w.runs("main", first)
	sources := w.objects()
	var err error
	app.PrivateKeyPEM, err = emulator.GenerateAppKey()
	w.Expect(err).NotTo(HaveOccurred())
	w.Expect(w.GitHub.AddApp(app)).To(Succeed()) // the key before it is no longer one of the App's
	w.rotates(w.appSecret(app))
	w.GitHub.RevokeInstallationTokens(app.ID)
	w.goesOn(first, sources)
	w.Expect(w.Repository.PullRequests()).To(HaveExactElements(And(
		HaveField("Author", app.Slug+"[bot]"), HaveField("MergedBy", app.Slug+"[bot]"))))
}

// goesOn expects what ran with a credential that is no longer one to be untouched, Flux to fetch it with the new one, and a new commit
// to go all the way to main through a pull request.
func (w *team) goesOn(first string, objects map[string]string) {
	w.t.Helper()
	w.refetches("main")
	w.Eventually(func() []metav1.Condition { return w.source("main").Status.Conditions }).Should(ContainElement(And(
		HaveField("Type", meta.ReadyCondition), HaveField("Status", metav1.ConditionTrue))), "Flux fetches with what the Secret holds now")
	w.staysAt("main", first)
	w.Expect(w.objects()).To(Equal(objects), "a Secret's content is nothing that Flux's objects hold")
	second := w.writes("develop", "second")
	w.runs("develop", second)
	w.runs("main", w.merged(1))
	w.tells(w.merged(1), "main", "success", "deployed and healthy")
}

// rotates writes the Secret with the credential in place.
func (w *team) rotates(content map[string]string) {
	w.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: w.Namespace, Name: tenant.SecretName}}
	w.Expect(w.Admin.Get(w.t.Context(), client.ObjectKeyFromObject(secret), secret)).To(Succeed())
	secret.Data, secret.StringData = nil, content
	w.Expect(w.Admin.Update(w.t.Context(), secret)).To(Succeed())
}

// installsApp installs a GitHub App on the team's repository.
func (w *team) installsApp() emulator.App {
	w.t.Helper()
	key, err := emulator.GenerateAppKey()
	w.Expect(err).NotTo(HaveOccurred())
	number, err := strconv.ParseInt(w.Own("77"), 10, 64)
	w.Expect(err).NotTo(HaveOccurred())
	app := emulator.App{ID: number, InstallationID: number + 1, Slug: w.Own("mainstem"), Owner: "acme", PrivateKeyPEM: key,
		Repositories: []string{w.Repository.FullName()}}
	w.Expect(w.GitHub.AddApp(app)).To(Succeed())
	return app
}

// appSecret is the content of a Secret with an App's key.
func (w *team) appSecret(app emulator.App) map[string]string {
	return map[string]string{
		"githubAppID": strconv.FormatInt(app.ID, 10), "githubAppInstallationID": strconv.FormatInt(app.InstallationID, 10),
		"githubAppPrivateKey": app.PrivateKeyPEM, "githubAppBaseURL": w.GitHub.APIURL(), "webhookSecret": tenant.WebhookSecret,
	}
}
