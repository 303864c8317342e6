package github

import (
	"errors"
	"strings"
	"testing"
)

func TestParseURL(t *testing.T) {
	for _, tc := range []struct {
		name, url, apiURL, secretURL string
		want                         Repository
	}{
		{"github.com", "https://github.com/acme/podinfo", "", "",
			Repository{"https://api.github.com", "github.com", "acme", "podinfo"}},
		{"the Git address", "https://github.com/acme/podinfo.git", "", "",
			Repository{"https://api.github.com", "github.com", "acme", "podinfo"}},
		{"a slash at the end and www", "https://www.GitHub.com/Acme/Podinfo/", "", "",
			Repository{"https://api.github.com", "github.com", "Acme", "Podinfo"}},
		{"Enterprise Server", "https://GHE.example.com/acme/podinfo", "", "",
			Repository{"https://ghe.example.com/api/v3", "ghe.example.com", "acme", "podinfo"}},
		{"http with a port", "http://127.0.0.1:8080/acme/my.app", "", "",
			Repository{"http://127.0.0.1:8080/api/v3", "127.0.0.1:8080", "acme", "my.app"}},
		{"the Secret's root", "https://ghe.example.com/acme/podinfo", "", "https://api.example.com/",
			Repository{"https://api.example.com", "ghe.example.com", "acme", "podinfo"}},
		{"apiURL wins over the Secret", "https://ghe.example.com/acme/podinfo", "https://one.example.com/api/v3/", "https://two.example.com",
			Repository{"https://one.example.com/api/v3", "ghe.example.com", "acme", "podinfo"}},
		{"an owner of Enterprise Managed Users", "https://github.com/jane_corp/podinfo", "", "",
			Repository{"https://api.github.com", "github.com", "jane_corp", "podinfo"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got, err := ParseURL(tc.url, tc.apiURL, tc.secretURL)
			if err != nil || got != tc.want {
				t.Errorf("got %+v, %v; want %+v", got, err, tc.want)
			}
		})
	}
}

func TestParseURLSaysWhatToWrite(t *testing.T) {
	for _, tc := range []struct{ name, url, apiURL, wantField, wantWords string }{
		{"SSH", "git@github.com:acme/podinfo.git", "", "url", "https://github.com/OWNER/NAME"},
		{"SSH address", "ssh://git@github.com/acme/podinfo", "", "url", "HTTPS"},
		{"no scheme", "github.com/acme/podinfo", "", "url", "https://"},
		{"only an owner", "https://github.com/acme", "", "url", "OWNER/NAME"},
		{"a page of it", "https://github.com/acme/podinfo/tree/main", "", "url", "OWNER/NAME"},
		{"a query", "https://github.com/acme/podinfo?tab=readme", "", "url", "query"},
		{"dots for a name", "https://github.com/acme/..", "", "url", "does not allow"},
		{"an odd owner", "https://github.com/ac%20me/podinfo", "", "url", "does not allow"},
		{"empty", "", "", "url", "https://"},
		{"a control character", "https://github.com/acme/pod\x01info", "", "url", "https://HOST"},
		{"another scheme for the API", "https://github.com/acme/podinfo", "ftp://x", "apiURL", "https://"},
		{"the web site for the API", "https://github.com/acme/podinfo", "https://github.com", "apiURL", "api.github.com"},
		{"a query in the API root", "https://github.com/acme/podinfo", "https://x/api/v3?a=b", "apiURL", "query"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := ParseURL(tc.url, tc.apiURL, "")
			var urlError *URLError
			if !errors.As(err, &urlError) {
				t.Fatalf("got %v, want a URLError", err)
			}
			if urlError.Field != tc.wantField || !strings.Contains(err.Error(), tc.wantWords) {
				t.Errorf("got %q about %q; want it to be about %q and to say %q", err, urlError.Field, tc.wantField, tc.wantWords)
			}
		})
	}
}

func TestParseURLNeverRepeatsAPassword(t *testing.T) {
	for _, address := range []string{"https://jane:hunter2@github.com/acme/podinfo", "https://hunter2@github.com/acme/podinfo", "https://jane:hunter2@git\x7fhub.com/a/b"} {
		_, err := ParseURL(address, "", "")
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q: got %v", address, err)
		}
		if _, err = ParseURL("https://github.com/acme/podinfo", address, ""); err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("apiURL %q: got %v", address, err)
		}
	}
}

func TestKeysOfOneRepositoryAreEqual(t *testing.T) {
	a, errA := ParseURL("https://github.com/Acme/Podinfo", "", "")
	b, errB := ParseURL("https://GITHUB.com/acme/podinfo.git", "", "")
	if errA != nil || errB != nil || a.Key() != b.Key() {
		t.Errorf("%q and %q differ (%v, %v)", a.Key(), b.Key(), errA, errB)
	}
}
