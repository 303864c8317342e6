// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package observe

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/fluxcd/pkg/apis/meta"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/github"
	"github.com/mainstem-dev/mainstem/internal/policy"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// tokenSecret is the Secret github of team-a.
func tokenSecret(uid types.UID, token string) *corev1.Secret {
	return &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: "team-a", Name: "github", UID: uid},
		Data: map[string][]byte{"username": []byte("bot"), "password": []byte(token)}}
}

// withSecret is an Application whose Secret is called github.
func withSecret() *v1alpha1.Application {
	app := application("podinfo", 0)
	app.Spec.Repository.SecretRef = &meta.LocalObjectReference{Name: "github"}
	return app
}

// reader is an Observer of what an API server holds.
func reader(live client.Client) *Observer {
	return New(Observer{Live: live, Cache: live, Now: time.Now})
}

// reads reads the credential of an Application anew, and expects no error.
func (o *Observer) reads(t *testing.T, app *v1alpha1.Application) (github.Credential, *policy.Problem) {
	t.Helper()
	o.ForgetSecret(app)
	credential, problem, err := o.credential(t.Context(), of(app))
	if err != nil {
		t.Fatal(err)
	}
	return credential, problem
}

func of(app *v1alpha1.Application) *Observation {
	return &Observation{State: policy.State{Application: app}, interval: intervalOf(app)}
}

func TestASecretIsReadOnceInHalfAnInterval(t *testing.T) {
	live := fake.NewClientBuilder().WithObjects(tokenSecret("1", "ghp_first")).Build()
	var now time.Time
	o, app := New(Observer{Live: live, Cache: live, Now: func() time.Time { return now }}), withSecret()
	first, _ := o.reads(t, app)
	if err := live.Update(t.Context(), tokenSecret("1", "ghp_second")); err != nil {
		t.Fatal(err)
	}
	now = now.Add(defaultInterval/2 - time.Second)
	observation := of(app)
	again, _, err := o.credential(t.Context(), observation)
	if err != nil || again.Fingerprint() != first.Fingerprint() || !observation.remembered {
		t.Errorf("a moment later it is read again: %s, %v", again, err)
	}
	if rotated, _ := o.reads(t, app); rotated.Fingerprint() == first.Fingerprint() {
		t.Error("what was to be forgotten is remembered")
	}
	if err := live.Update(t.Context(), tokenSecret("1", "ghp_third")); err != nil {
		t.Fatal(err)
	}
	now = now.Add(defaultInterval / 2)
	observation = of(app)
	if third, _, err := o.credential(t.Context(), observation); err != nil || third.Fingerprint() == again.Fingerprint() || observation.remembered {
		t.Errorf("after half an interval it is not read again: %s, %v", third, err)
	}
}

func TestACredentialIsMadeOutOnceForEachVersionOfItsSecret(t *testing.T) {
	live := fake.NewClientBuilder().WithObjects(tokenSecret("1", "ghp_first")).Build()
	o, app := reader(live), withSecret()
	first, problem := o.reads(t, app)
	if problem != nil || kindOf(app, first) != render.CredentialToken {
		t.Fatalf("got %s, %+v", first, problem)
	}
	remembered := o.parsed.Keys()
	if len(remembered) != 1 {
		t.Fatalf("remembered: %v", remembered)
	}
	mark, err := github.CredentialFromSecret(tokenSecret("", "ghp_whatever").Data)
	if err != nil {
		t.Fatal(err)
	}
	o.parsed.Add(remembered[0], mark)
	if again, _ := o.reads(t, app); again.Fingerprint() != mark.Fingerprint() {
		t.Error("what is remembered of that version is not used")
	}

	rotated := tokenSecret("1", "ghp_second")
	if err := live.Update(t.Context(), rotated); err != nil {
		t.Fatal(err)
	}
	second, problem := o.reads(t, app)
	if problem != nil || second.Fingerprint() == mark.Fingerprint() || second.Fingerprint() == first.Fingerprint() {
		t.Errorf("after the rotation: %s, %+v", second, problem)
	}

	if err := live.Delete(t.Context(), rotated); err != nil {
		t.Fatal(err)
	}
	if _, problem := o.reads(t, app); problem == nil || problem.Reason != v1alpha1.SecretNotFoundReason {
		t.Errorf("with the Secret gone: %+v", problem)
	}

	// A Secret that takes its place is another one, even where it has the same resource version, as in another cluster.
	o.Live = fake.NewClientBuilder().WithObjects(tokenSecret("2", "ghp_third")).Build()
	third, problem := o.reads(t, app)
	if problem != nil || third.Fingerprint() == mark.Fingerprint() {
		t.Errorf("after it was made anew: %s, %+v", third, problem)
	}
}

func TestABadCredentialIsAProblemAndNotRemembered(t *testing.T) {
	const secret = "ghp_with a space"
	o := reader(fake.NewClientBuilder().WithObjects(tokenSecret("1", secret)).Build())
	_, problem := o.reads(t, withSecret())
	if problem == nil || problem.Reason != v1alpha1.SecretInvalidReason || !strings.Contains(problem.Message, "Secret github") {
		t.Fatalf("got %+v", problem)
	}
	if strings.Contains(problem.Message, secret) {
		t.Errorf("the secret is told: %s", problem.Message)
	}
	if o.parsed.Len() != 0 {
		t.Error("it is remembered")
	}
}

func TestNoCredentialIsNotLookedFor(t *testing.T) {
	away := errors.New("connection refused")
	o := reader(interceptor.NewClient(fake.NewClientBuilder().Build(), interceptor.Funcs{
		Get: func(context.Context, client.WithWatch, client.ObjectKey, client.Object, ...client.GetOption) error {
			return away
		},
	}))
	app := application("podinfo", 0)
	credential, problem := o.reads(t, app)
	if problem != nil || kindOf(app, credential) != render.CredentialAnonymous {
		t.Errorf("got %s, %+v", credential, problem)
	}
	if _, problem, err := o.credential(t.Context(), of(withSecret())); !errors.Is(err, away) || problem != nil {
		t.Errorf("an API server that does not answer is no Problem of the Secret: %+v, %v", problem, err)
	}
}
