// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/internal/github"
)

const (
	podinfo = "https://github.com/acme/podinfo"
	keyA    = "the secret of team a"
	keyB    = "the secret of team b"
)

func oneApplication(t *testing.T) *endpoint {
	t.Helper()
	return newEndpoint(t, application("team-a", "podinfo", podinfo, "github-app"), secret("team-a", "github-app", keyA))
}

func TestASignedDeliveryWakes(t *testing.T) {
	e := oneApplication(t)
	delivery := pushTo("acme/podinfo", keyA)
	delivery.id = deliveryOne
	e.expect(delivery, http.StatusAccepted, outcomeWoken, "team-a/podinfo")
	if e.waker.ids[0] != deliveryOne {
		t.Errorf("the delivery is %q, want GitHub's", e.waker.ids[0])
	}
}

func TestEveryKnownEventWakes(t *testing.T) {
	for _, kind := range []string{"push", "create", "delete", "release", "pull_request", "check_run", "check_suite", "status", "repository"} {
		t.Run(kind, func(t *testing.T) {
			delivery := pushTo("acme/podinfo", keyA)
			delivery.event = kind
			oneApplication(t).expect(delivery, http.StatusAccepted, outcomeWoken, "team-a/podinfo")
		})
	}
}

func TestNamesAreCaseInsensitive(t *testing.T) {
	e := newEndpoint(t, application("team-a", "podinfo", "https://github.com/Acme/PodInfo.git", "github-app"), secret("team-a", "github-app", keyA))
	e.expect(pushTo("aCME/podinfo", keyA), http.StatusAccepted, outcomeWoken, "team-a/podinfo")
}

func TestAForm(t *testing.T) {
	e := oneApplication(t)
	delivery := pushTo("acme/podinfo", keyA)
	delivery.contentType = "application/x-www-form-urlencoded"
	delivery.body = url.Values{"payload": {delivery.body}}.Encode()
	e.expect(delivery, http.StatusForbidden, outcomeForged) // signed was the JSON, not the form
	delivery.signature = sign(keyA, delivery.body)
	e.expect(delivery, http.StatusAccepted, outcomeWoken, "team-a/podinfo")
	delivery.body = "other=field"
	e.expect(delivery, http.StatusBadRequest, outcomeMalformed)
}

func TestWhatIsNotBelieved(t *testing.T) {
	tests := map[string]struct {
		change  func(*post)
		status  int
		outcome outcome
	}{
		"another secret":         {func(p *post) { p.signature = sign("guessed", p.body) }, http.StatusForbidden, outcomeForged},
		"no secret at all":       {func(p *post) { p.signature = sign("", p.body) }, http.StatusForbidden, outcomeForged},
		"another body":           {func(p *post) { p.body = strings.Replace(p.body, "develop", "main", 1) }, http.StatusForbidden, outcomeForged},
		"another key of it":      {func(p *post) { p.signature = sign("never-this-one", p.body) }, http.StatusForbidden, outcomeForged},
		"no signature":           {func(p *post) { p.signature = "" }, http.StatusForbidden, outcomeUnsigned},
		"half a signature":       {func(p *post) { p.signature = p.signature[:40] }, http.StatusForbidden, outcomeUnsigned},
		"SHA-1":                  {func(p *post) { p.signature = "sha1=" + strings.Repeat("0", 40) }, http.StatusForbidden, outcomeUnsigned},
		"half a body, signed":    {func(p *post) { p.body = p.body[:60]; p.signature = sign(keyA, p.body) }, http.StatusBadRequest, outcomeMalformed},
		"no body":                {func(p *post) { p.body = ""; p.signature = sign(keyA, "") }, http.StatusBadRequest, outcomeMalformed},
		"no repository":          {func(p *post) { p.body = `{"ref":"x"}`; p.signature = sign(keyA, p.body) }, http.StatusBadRequest, outcomeMalformed},
		"GET":                    {func(p *post) { p.method = http.MethodGet }, http.StatusMethodNotAllowed, outcomeUnsupported},
		"text":                   {func(p *post) { p.contentType = "text/plain" }, http.StatusUnsupportedMediaType, outcomeUnsupported},
		"no content type":        {func(p *post) { p.contentType = "" }, http.StatusUnsupportedMediaType, outcomeUnsupported},
		"no event":               {func(p *post) { p.event = "" }, http.StatusBadRequest, outcomeMalformed},
		"an event of no meaning": {func(p *post) { p.event = "marketplace_purchase" }, http.StatusAccepted, outcomeIgnored},
		"an event with a lie":    {func(p *post) { p.event = `push"} 1` }, http.StatusAccepted, outcomeIgnored},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := oneApplication(t)
			delivery := pushTo("acme/podinfo", keyA)
			test.change(&delivery)
			e.expect(delivery, test.status, test.outcome)
		})
	}
}

func TestOnlyPOSTIsOffered(t *testing.T) {
	e := oneApplication(t)
	recorder := httptest.NewRecorder()
	e.handler.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodPut, Path, http.NoBody))
	if got := recorder.Header().Get("Allow"); got != http.MethodPost {
		t.Errorf("Allow is %q", got)
	}
}

func TestUnknownRepository(t *testing.T) {
	e := oneApplication(t)
	e.expect(pushTo("acme/other", keyA), http.StatusAccepted, outcomeUnknownRepository)
	if e.reads != 0 {
		t.Errorf("%d Secrets were read for a repository that nobody has", e.reads)
	}
	elsewhere := pushTo("acme/podinfo", keyA)
	elsewhere.body = pushBody("ghe.example.com", "acme/podinfo")
	elsewhere.signature = sign(keyA, elsewhere.body)
	e.expect(elsewhere, http.StatusAccepted, outcomeUnknownRepository)
}

func TestPing(t *testing.T) {
	e := oneApplication(t)
	ping := pushTo("acme/podinfo", keyA)
	ping.event = string(github.EventPing)
	e.expect(ping, http.StatusAccepted, outcomePinged)
	ping.signature = sign("guessed", ping.body)
	e.expect(ping, http.StatusForbidden, outcomeForged) // so that people see at once that the secrets differ
	ping.body = `{"zen":"Keep it logically awesome.","hook_id":1}`
	ping.signature = sign("of an app", ping.body)
	e.expect(ping, http.StatusAccepted, outcomePinged)
}

func TestOwnCommitStatusesWakeNobody(t *testing.T) {
	e := oneApplication(t)
	status := func(statusContext string) post {
		delivery := pushTo("acme/podinfo", keyA)
		delivery.event = string(github.EventStatus)
		delivery.body = strings.TrimSuffix(delivery.body, "}") + `,"context":"` + statusContext + `"}`
		delivery.signature = sign(keyA, delivery.body)
		return delivery
	}
	e.expect(status("mainstem/main"), http.StatusAccepted, outcomeIgnored)
	e.expect(status("ci/build"), http.StatusAccepted, outcomeWoken, "team-a/podinfo")
}

func TestSize(t *testing.T) {
	padded := func(size int) post {
		delivery := pushTo("acme/podinfo", keyA)
		delivery.body = strings.TrimSuffix(delivery.body, "}") + `,"pad":"` + strings.Repeat("x", size) + `"}`
		delivery.signature = sign(keyA, delivery.body)
		return delivery
	}
	e := oneApplication(t)
	e.expect(padded(2<<20), http.StatusAccepted, outcomeWoken, "team-a/podinfo")
	e.expect(padded(5<<20), http.StatusRequestEntityTooLarge, outcomeTooLarge)
	status := padded(1 << 20)
	status.event = string(github.EventStatus)
	e.expect(status, http.StatusRequestEntityTooLarge, outcomeTooLarge)

	// Without a Content-Length the cap holds all the same.
	large := padded(5 << 20)
	request, err := large.request(t.Context(), "http://localhost"+Path, struct{ *strings.Reader }{strings.NewReader(large.body)})
	if err != nil {
		t.Fatal(err)
	}
	request.ContentLength = -1
	recorder := httptest.NewRecorder()
	e.handler.ServeHTTP(recorder, request)
	if recorder.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("answered %d without a Content-Length", recorder.Code)
	}
}

func TestEachApplicationTrustsItsOwnSecret(t *testing.T) {
	e := newEndpoint(t,
		application("team-a", "one", podinfo, "github-app"), application("team-a", "two", podinfo, "github-app"),
		application("team-a", "three", podinfo, "other"), secret("team-a", "github-app", keyA), secret("team-a", "other", keyB),
		application("team-b", "one", podinfo, "github-app"), secret("team-b", "github-app", keyB),
		application("team-c", "anonymous", podinfo, ""),
		application("team-d", "no-such-secret", podinfo, "github-app"),
		application("team-e", "empty", podinfo, "github-app"), secret("team-e", "github-app", ""),
	)
	e.expect(pushTo("acme/podinfo", keyA), http.StatusAccepted, outcomeWoken, "team-a/one", "team-a/two")
	e.expect(pushTo("acme/podinfo", keyB), http.StatusAccepted, outcomeWoken, "team-a/three", "team-b/one")
	e.expect(pushTo("acme/podinfo", "of nobody"), http.StatusForbidden, outcomeForged)
	e.expect(pushTo("acme/podinfo", ""), http.StatusForbidden, outcomeForged)
}

func TestALineEndOfTheSecretDoesNotCount(t *testing.T) {
	e := newEndpoint(t, application("team-a", "podinfo", podinfo, "github-app"), secret("team-a", "github-app", keyA+"\n"))
	e.expect(pushTo("acme/podinfo", keyA), http.StatusAccepted, outcomeWoken, "team-a/podinfo")
}

func TestAReplayWakesNobody(t *testing.T) {
	e := oneApplication(t)
	delivery := pushTo("acme/podinfo", keyA)
	e.expect(delivery, http.StatusAccepted, outcomeWoken, "team-a/podinfo")
	for range 3 {
		e.expect(delivery, http.StatusAccepted, outcomeRepeated)
	}
	if e.reads != 1 {
		t.Errorf("the Secret was read %d times in a minute, want once", e.reads)
	}
	forged := delivery
	forged.signature = sign("guessed", delivery.body)
	e.expect(forged, http.StatusForbidden, outcomeForged)
	// Another delivery that says the same is another event.
	e.expect(pushTo("acme/podinfo", keyA), http.StatusAccepted, outcomeWoken, "team-a/podinfo")
	// A person who has GitHub deliver it once more gets a look for it.
	e.now = e.now.Add(recentLife)
	e.expect(delivery, http.StatusAccepted, outcomeWoken, "team-a/podinfo")
}

func TestADeliveryWithoutAName(t *testing.T) {
	e := oneApplication(t)
	unnamed := pushTo("acme/podinfo", keyA)
	unnamed.id = "not an id of GitHub's"
	e.expect(unnamed, http.StatusAccepted, outcomeWoken, "team-a/podinfo")
	e.expect(unnamed, http.StatusAccepted, outcomeRepeated)
	if id := e.waker.ids[0]; !deliveryPattern.MatchString(id) {
		t.Errorf("the delivery is called %q", id)
	}
}

func TestWhatFailedIsNoReplay(t *testing.T) {
	e := oneApplication(t)
	e.waker.fail = errors.New("connection refused")
	delivery := pushTo("acme/podinfo", keyA)
	e.expect(delivery, http.StatusServiceUnavailable, outcomeFailed)
	e.waker.fail = nil
	e.expect(delivery, http.StatusAccepted, outcomeWoken, "team-a/podinfo")
}

func TestSecretsAreReadAgain(t *testing.T) {
	e := oneApplication(t)
	e.expect(pushTo("acme/podinfo", keyA), http.StatusAccepted, outcomeWoken, "team-a/podinfo")
	changed := &corev1.Secret{}
	if err := e.client.Get(t.Context(), client.ObjectKey{Namespace: "team-a", Name: "github-app"}, changed); err != nil {
		t.Fatal(err)
	}
	changed.Data[webhookSecretKey] = []byte(keyB)
	if err := e.client.Update(t.Context(), changed); err != nil {
		t.Fatal(err)
	}
	// Right away the new secret is not known yet, and forged deliveries cost no reads.
	for range 5 {
		e.expect(pushTo("acme/podinfo", keyB), http.StatusForbidden, outcomeForged)
	}
	if e.reads != 1 {
		t.Fatalf("%d reads, want one", e.reads)
	}
	e.now = e.now.Add(secretPause)
	e.expect(pushTo("acme/podinfo", keyB), http.StatusAccepted, outcomeWoken, "team-a/podinfo")
	// The old one is not believed any more.
	e.expect(pushTo("acme/podinfo", keyA), http.StatusForbidden, outcomeForged)
	if e.reads != 2 {
		t.Fatalf("%d reads, want two", e.reads)
	}
	e.now = e.now.Add(secretLife)
	e.expect(pushTo("acme/podinfo", keyB), http.StatusAccepted, outcomeWoken, "team-a/podinfo")
	if e.reads != 3 {
		t.Fatalf("%d reads after a minute, want three", e.reads)
	}
}

func TestWhatCannotBeHandledIsWorthRedelivering(t *testing.T) {
	down := errors.New("connection refused")
	tests := map[string]func(*endpoint){
		"no Applications": func(e *endpoint) { e.failList = down },
		"no Secrets":      func(e *endpoint) { e.failReads = down },
		"no wake-up":      func(e *endpoint) { e.waker.fail = down },
	}
	for name, breakIt := range tests {
		t.Run(name, func(t *testing.T) {
			e := oneApplication(t)
			close(e.stopping) // nothing is attempted again
			breakIt(e)
			e.expect(pushTo("acme/podinfo", keyA), http.StatusServiceUnavailable, outcomeFailed)
		})
	}
}

// Secrets that cannot be read are read again while GitHub waits for an answer.
func TestAnAPIServerThatComesBackInTime(t *testing.T) {
	e := oneApplication(t)
	e.failReads, e.mended = errors.New("connection refused"), 3
	e.expect(pushTo("acme/podinfo", keyA), http.StatusAccepted, outcomeWoken, "team-a/podinfo")
	if e.reads != 4 {
		t.Errorf("the Secret was read %d times, want 4", e.reads)
	}
}

func TestAnAPIServerThatStaysAway(t *testing.T) {
	e := oneApplication(t)
	e.failReads, e.handler.timeout = errors.New("connection refused"), time.Second
	e.expect(pushTo("acme/podinfo", keyA), http.StatusServiceUnavailable, outcomeFailed)
	if e.reads < 2 {
		t.Error("nobody tried again")
	}
}

// What is known of a secret is used while the API server does not answer, but not when it says no, and not forever.
func TestASecretThatCannotBeReadAgain(t *testing.T) {
	forbidden := apierrors.NewForbidden(schema.GroupResource{Resource: "secrets"}, "github-app", errors.New("no"))
	tests := map[string]struct {
		err     error
		age     time.Duration
		status  int
		outcome outcome
		woken   []string
	}{
		"the API server is away":   {errors.New("connection refused"), 2 * secretLife, http.StatusAccepted, outcomeWoken, []string{"team-a/podinfo"}},
		"it is away for very long": {errors.New("connection refused"), secretGrace, http.StatusServiceUnavailable, outcomeFailed, nil},
		"it says that we may not":  {forbidden, 2 * secretLife, http.StatusServiceUnavailable, outcomeFailed, nil},
		"what is known is young":   {errors.New("connection refused"), secretLife / 2, http.StatusAccepted, outcomeWoken, []string{"team-a/podinfo"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			e := oneApplication(t)
			close(e.stopping)
			e.expect(pushTo("acme/podinfo", keyA), http.StatusAccepted, outcomeWoken, "team-a/podinfo")
			e.failReads, e.now = test.err, e.now.Add(test.age)
			e.expect(pushTo("acme/podinfo", "guessed"), http.StatusServiceUnavailable, outcomeFailed)
			e.expect(pushTo("acme/podinfo", keyA), test.status, test.outcome, test.woken...)
		})
	}
}

func TestTooManyWait(t *testing.T) {
	e := oneApplication(t)
	for range maxWaking {
		e.handler.waking <- struct{}{}
	}
	e.expect(pushTo("acme/podinfo", keyA), http.StatusServiceUnavailable, outcomeBusy)
	<-e.handler.waking
	e.expect(pushTo("acme/podinfo", keyA), http.StatusAccepted, outcomeWoken, "team-a/podinfo")
}

func TestTooManyAtOnce(t *testing.T) {
	e := oneApplication(t)
	for range maxConcurrent {
		e.handler.slots <- struct{}{}
	}
	e.expect(pushTo("acme/podinfo", keyA), http.StatusServiceUnavailable, outcomeBusy)
	<-e.handler.slots
	e.expect(pushTo("acme/podinfo", keyA), http.StatusAccepted, outcomeWoken, "team-a/podinfo")
}
