package github

import (
	"errors"
	"strings"
	"testing"
)

func TestVerifySignature(t *testing.T) {
	// The example of https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries.
	secret, body := []byte("It's a Secret to Everybody"), []byte("Hello, World!")
	const good = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
	for _, tc := range []struct {
		name   string
		secret []byte
		body   []byte
		header string
		want   error
	}{
		{"GitHub's example", secret, body, good, nil},
		{"another body", secret, []byte("Hello, World?"), good, ErrBadSignature},
		{"another secret", []byte("x"), body, good, ErrBadSignature},
		{"no secret", nil, body, good, ErrNoSecret},
		{"no signature", secret, body, "", ErrUnsigned},
		{"SHA-1", secret, body, "sha1=757107ea0eb2509fc211221cce984b8a37570b6d", ErrUnsigned},
		{"half of it", secret, body, good[:40], ErrBadSignature},
		{"empty", secret, body, "sha256=", ErrBadSignature},
		{"no hexadecimal", secret, body, "sha256=zz", ErrBadSignature},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := VerifySignature(tc.secret, tc.body, tc.header); !errors.Is(err, tc.want) {
				t.Errorf("got %v, want %v", err, tc.want)
			}
		})
	}
}

const (
	shaA = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
	shaB = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
	shaC = "cccccccccccccccccccccccccccccccccccccccc"
	shaD = "dddddddddddddddddddddddddddddddddddddddd"
)

func TestParseEvent(t *testing.T) {
	body := func(fields string) string {
		return `{"repository":{"full_name":"Acme/Podinfo","html_url":"https://GHE.example.com:8443/Acme/Podinfo","clone_url":"https://x/y.git"}` + fields + `}`
	}
	event := func(e Event) Event {
		e.Host, e.Repository = "ghe.example.com:8443", "Acme/Podinfo"
		return e
	}
	for _, tc := range []struct {
		name, kind, body string
		want             Event
	}{
		{"a repository that is archived", "repository", body(`,"action":"archived"`), event(Event{Kind: EventRepository})},
		{"a push", "push", body(`,"ref":"refs/heads/feature/x","before":"` + shaA + `","after":"` + shaB + `"`), event(Event{Kind: EventPush})},
		{"a tag is deleted", "delete", body(`,"ref":"v1","ref_type":"tag"`), event(Event{Kind: EventDelete})},
		{"a pull request", "pull_request", body(`,"action":"opened","pull_request":{"number":7,"context":{}}`), event(Event{Kind: EventPullRequest})},
		{"a check run", "check_run", body(`,"action":"completed","check_run":{"head_sha":"` + shaA + `"}`), event(Event{Kind: EventCheckRun})},
		{"a status", "status", body(`,"sha":"` + shaA + `","state":"success","context":"ci/build","branches":[{"name":"main"}]`),
			event(Event{Kind: EventStatus, StatusContext: "ci/build"})},
		{"a ping", "ping", body(`,"zen":"x","hook_id":1`), event(Event{Kind: EventPing})},
		{"a ping of an organisation", "ping", `{"zen":"x"}`, Event{Kind: EventPing}},
		{"something else", "issues", `not even JSON`, Event{Kind: EventUnknown}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseEvent(tc.kind, []byte(tc.body))
			if err != nil || got != tc.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tc.want)
			}
		})
	}
}

func TestParseEventRefusesWhatSaysNothing(t *testing.T) {
	for name, body := range map[string]string{
		"half a JSON":      `{"repository":{"full_name":"a/b"`,
		"no repository":    `{"ref":"refs/heads/main"}`,
		"no host":          `{"repository":{"full_name":"a/b"}}`,
		"no name":          `{"repository":{"html_url":"https://github.com/a/b"}}`,
		"fields of a type": `{"repository":{"full_name":7}}`,
		"an array":         `[]`,
	} {
		if _, err := ParseEvent("push", []byte(body)); err == nil || !strings.Contains(err.Error(), "push") {
			t.Errorf("%s: got %v", name, err)
		}
	}
}

func TestAnEventFindsItsRepository(t *testing.T) {
	event, err := ParseEvent("ping", []byte(`{"repository":{"full_name":"Acme/Podinfo","html_url":"https://github.com/Acme/Podinfo"}}`))
	repo, repoErr := ParseURL("https://github.com/acme/podinfo.git", "", "")
	if err != nil || repoErr != nil || event.Key() != repo.Key() {
		t.Errorf("%q and %q differ (%v, %v)", event.Key(), repo.Key(), err, repoErr)
	}
}
