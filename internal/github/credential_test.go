package github

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"

	"github.com/fluxcd/pkg/auth/githubapp"
)

// testKey is made once: 2048-bit keys take their time.
var testKey = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

func pkcs1PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(testKey())})
}

func pkcs8PEM(t *testing.T, key any) []byte {
	t.Helper()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
}

func appData() map[string][]byte {
	return map[string][]byte{keyAppID: []byte("12"), keyAppInstallationID: []byte("34"), keyAppPrivateKey: pkcs1PEM()}
}

func tokenData(token string) map[string][]byte {
	return map[string][]byte{keyUsername: []byte("jane"), keyPassword: []byte(token)}
}

func mustCredential(t *testing.T, data map[string][]byte) Credential {
	t.Helper()
	credential, err := CredentialFromSecret(data)
	if err != nil {
		t.Fatal(err)
	}
	return credential
}

func TestTheKeysAreFluxs(t *testing.T) {
	for ours, flux := range map[string]string{
		keyAppID: githubapp.KeyAppID, keyAppInstallationID: githubapp.KeyAppInstallationID,
		keyAppInstallationOwner: githubapp.KeyAppInstallationOwner, keyAppPrivateKey: githubapp.KeyAppPrivateKey,
		keyAppBaseURL: githubapp.KeyAppBaseURL,
	} {
		if ours != flux {
			t.Errorf("%s is %s in Flux", ours, flux)
		}
	}
	if _, err := githubapp.New(githubapp.WithAppData(appData())); err != nil {
		t.Errorf("Flux refuses what we take: %v", err)
	}
}

func TestCredentialFromSecret(t *testing.T) {
	withOwner := appData()
	delete(withOwner, keyAppInstallationID)
	withOwner[keyAppInstallationOwner] = []byte("acme")
	withPKCS8 := appData()
	withPKCS8[keyAppPrivateKey] = pkcs8PEM(t, testKey())
	withRoot := appData()
	withRoot[keyAppBaseURL] = []byte("https://ghe.example.com/api/v3/")
	both := appData()
	both[keyPassword] = []byte("x")

	for _, tc := range []struct {
		name   string
		data   map[string][]byte
		kind   CredentialKind
		apiURL string
	}{
		{"an App by installation", appData(), App, ""},
		{"an App by owner", withOwner, App, ""},
		{"an App with a PKCS #8 key", withPKCS8, App, ""},
		{"an App with its root", withRoot, App, "https://ghe.example.com/api/v3"},
		{"an App wins over a token", both, App, ""},
		{"a token", tokenData("ghp_x"), Token, ""},
		{"a token without a user", map[string][]byte{keyPassword: []byte("ghp_x")}, Token, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := mustCredential(t, tc.data)
			if got.Kind() != tc.kind || got.APIURL() != tc.apiURL {
				t.Errorf("got %s with root %q", got.Kind(), got.APIURL())
			}
		})
	}
	if (Credential{}).Kind() != Anonymous {
		t.Error("the zero Credential is not anonymous")
	}
}

func TestCredentialFromSecretNamesTheKey(t *testing.T) {
	with := func(key, value string) map[string][]byte {
		data := appData()
		data[key] = []byte(value)
		return data
	}
	without := func(key string) map[string][]byte {
		data := appData()
		delete(data, key)
		return data
	}
	elliptical, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	badCA := tokenData("ghp_x")
	badCA[keyCACert] = []byte("not a certificate")

	for _, tc := range []struct {
		name    string
		data    map[string][]byte
		key     string
		missing bool
	}{
		{"nothing", nil, keyPassword, true},
		{"a user alone", map[string][]byte{keyUsername: []byte("jane")}, keyPassword, true},
		{"a bearer token", map[string][]byte{keyBearerToken: []byte("x")}, keyPassword, true},
		{"a token with a line end", tokenData("ghp_x\n"), keyPassword, false},
		{"no App id", without(keyAppID), keyAppID, true},
		{"no installation", without(keyAppInstallationID), keyAppInstallationID, true},
		{"no private key", without(keyAppPrivateKey), keyAppPrivateKey, true},
		{"an App id in words", with(keyAppID, "my-app"), keyAppID, false},
		{"an App id with a line end", with(keyAppID, "12\n"), keyAppID, false},
		{"an App id of zero", with(keyAppID, "0"), keyAppID, false},
		{"an installation in words", with(keyAppInstallationID, "acme"), keyAppInstallationID, false},
		{"installation and owner", with(keyAppInstallationOwner, "acme"), keyAppInstallationOwner, false},
		{"a key that is not PEM", with(keyAppPrivateKey, "hunter2"), keyAppPrivateKey, false},
		{"a key that is PEM of nothing", with(keyAppPrivateKey, "-----BEGIN RSA PRIVATE KEY-----\naHVudGVyMg==\n-----END RSA PRIVATE KEY-----\n"), keyAppPrivateKey, false},
		{"a key of another kind", with(keyAppPrivateKey, string(pkcs8PEM(t, elliptical))), keyAppPrivateKey, false},
		{"a root that is no address", with(keyAppBaseURL, "ghe.example.com"), keyAppBaseURL, false},
		{"an authority that is no certificate", badCA, keyCACert, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := CredentialFromSecret(tc.data)
			var credentialError *CredentialError
			if !errors.As(err, &credentialError) {
				t.Fatalf("got %v, want a CredentialError", err)
			}
			if credentialError.Key != tc.key || credentialError.Missing != tc.missing || !strings.Contains(err.Error(), tc.key) {
				t.Errorf("got %q about %s, missing %t", err, credentialError.Key, credentialError.Missing)
			}
			if strings.Contains(err.Error(), "hunter2") || strings.Contains(err.Error(), "ghp_x") {
				t.Errorf("%q holds the secret", err)
			}
		})
	}
}

func TestNothingPrintsTheSecret(t *testing.T) {
	const secret = "ghp_verysecret"
	type holder struct {
		Public  Credential
		private Credential
	}
	for name, data := range map[string]map[string][]byte{"token": tokenData(secret), "app": appData()} {
		credential := mustCredential(t, data)
		key := testKey().D.String()
		var out bytes.Buffer
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			held := holder{credential, credential}
			fmt.Fprintf(&out, verb+verb+verb+verb+"\n", credential, &credential, held, &held)
		}
		encoded, err := json.Marshal(holder{Public: credential})
		if err != nil {
			t.Fatal(err)
		}
		out.Write(encoded)
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "credential", credential)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "credential", credential)
		for _, leak := range []string{secret, fmt.Sprintf("%x", secret), key, "PRIVATE KEY"} {
			if strings.Contains(out.String(), leak) {
				t.Errorf("%s: the secret is in %s", name, out.String())
			}
		}
		if !strings.Contains(out.String(), credential.Fingerprint()) {
			t.Errorf("%s: the fingerprint is not in %s", name, out.String())
		}
	}
}

func TestFingerprintsTellCredentialsApart(t *testing.T) {
	otherInstallation := appData()
	otherInstallation[keyAppInstallationID] = []byte("35")
	seen := map[string]string{}
	for name, data := range map[string]map[string][]byte{
		"token": tokenData("ghp_x"), "other token": tokenData("ghp_y"), "app": appData(), "other installation": otherInstallation,
	} {
		got := mustCredential(t, data).Fingerprint()
		if same, ok := seen[got]; ok {
			t.Errorf("%s and %s have the same fingerprint", name, same)
		}
		seen[got] = name
		if again := mustCredential(t, maps.Clone(data)).Fingerprint(); again != got {
			t.Errorf("%s: %s, then %s", name, got, again)
		}
	}
}
