// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The keys of the Secret are Flux's own, so that one Secret serves Flux and Mainstem
// (https://fluxcd.io/flux/components/source/gitrepositories/#secret-reference).
const (
	keyAppID                = "githubAppID"
	keyAppInstallationID    = "githubAppInstallationID"
	keyAppInstallationOwner = "githubAppInstallationOwner"
	keyAppPrivateKey        = "githubAppPrivateKey"
	keyAppBaseURL           = "githubAppBaseURL"
	keyUsername             = "username"
	keyPassword             = "password"
	keyBearerToken          = "bearerToken"
	keyCACert               = "ca.crt"
)

// CredentialKind says how a credential authenticates.
type CredentialKind string

// The kinds of credentials.
const (
	// Anonymous sends no credential: public repositories only, 60 requests an hour.
	Anonymous CredentialKind = "Anonymous"
	// App is a GitHub App installation: tokens of an hour, minted from a private key.
	App CredentialKind = "App"
	// Token is a personal access token or any other token that does not change.
	Token CredentialKind = "Token"
)

// Credential is what a Secret says about how to authenticate. The zero Credential is [Anonymous]. Whatever prints or
// marshals it shows its kind and fingerprint, never the secret.
type Credential struct {
	// A function, because fmt cannot call methods of unexported fields: of a function it prints the address whatever
	// the verb, of a pointer it would follow some.
	data func() *secretData
}

// secret is the content; an empty one for the zero Credential.
func (c Credential) secret() *secretData {
	if c.data == nil {
		return &secretData{kind: Anonymous, fingerprint: "anonymous"}
	}
	return c.data()
}

// secretData is the content of a Credential.
type secretData struct {
	kind        CredentialKind
	fingerprint string
	token       string
	app         appIdentity
	apiURL      string
	// authorities are certificates in PEM form that are trusted besides the system's.
	authorities []byte
}

// appIdentity is what a GitHub App needs to mint installation tokens. Exactly one of installationID and owner is set.
type appIdentity struct {
	id             int64
	installationID int64
	owner          string
	key            *rsa.PrivateKey
}

// CredentialError says which key of a Secret is missing or malformed, and what to write.
type CredentialError struct {
	// Key is the Secret's key.
	Key string
	// Missing tells a key that is not there from one that is malformed.
	Missing bool
	// Reason is the rest of the sentence. It never holds the value.
	Reason string
}

// Error is one sentence for a condition.
func (e *CredentialError) Error() string {
	if e.Missing {
		return fmt.Sprintf("the Secret has no key %s: %s", e.Key, e.Reason)
	}
	return fmt.Sprintf("the Secret's key %s is malformed: %s", e.Key, e.Reason)
}

// CredentialFromSecret reads the data of a Secret. App keys win over a token when both are there, as in Flux. Errors
// are [*CredentialError].
func CredentialFromSecret(data map[string][]byte) (Credential, error) {
	secret := &secretData{}
	var err error
	if usesApp(data) {
		secret.kind = App
		secret.app, err = appFromSecret(data)
	} else {
		secret.kind = Token
		secret.token, err = tokenFromSecret(data)
	}
	if err != nil {
		return Credential{}, err
	}
	if raw := strings.TrimSpace(string(data[keyAppBaseURL])); raw != "" {
		secret.apiURL, err = parseAPIURL(keyAppBaseURL, raw)
		if err != nil {
			return Credential{}, &CredentialError{Key: keyAppBaseURL, Reason: err.Error()}
		}
	}
	if ca, ok := data[keyCACert]; ok {
		if !x509.NewCertPool().AppendCertsFromPEM(ca) {
			return Credential{}, &CredentialError{Key: keyCACert, Reason: "it holds no certificate in PEM form (-----BEGIN CERTIFICATE-----)"}
		}
		secret.authorities = ca
	}
	secret.fingerprint = fingerprint(data)
	return Credential{data: func() *secretData { return secret }}, nil
}

// usesApp says whether the Secret means a GitHub App: any of its keys is there. So that a Secret with a forgotten key
// is an error about that key and not about a token.
func usesApp(data map[string][]byte) bool {
	for _, key := range []string{keyAppID, keyAppInstallationID, keyAppInstallationOwner, keyAppPrivateKey} {
		if _, ok := data[key]; ok {
			return true
		}
	}
	return false
}

func appFromSecret(data map[string][]byte) (appIdentity, error) {
	var app appIdentity
	var err error
	if app.id, err = numberFromSecret(data, keyAppID, "write the App's id, the number on its settings page"); err != nil {
		return app, err
	}
	_, hasID := data[keyAppInstallationID]
	owner, hasOwner := data[keyAppInstallationOwner]
	switch {
	case hasID && hasOwner:
		return app, &CredentialError{Key: keyAppInstallationOwner, Reason: "give either " + keyAppInstallationID + " or " + keyAppInstallationOwner + ", not both"}
	case hasID:
		app.installationID, err = numberFromSecret(data, keyAppInstallationID,
			"write the installation's id, the number at the end of its settings page's address")
	case hasOwner:
		app.owner = string(owner)
		if !ownerPattern.MatchString(app.owner) {
			err = &CredentialError{Key: keyAppInstallationOwner, Reason: "write the user or organisation that the App is installed in, without white space"}
		}
	default:
		err = &CredentialError{Key: keyAppInstallationID, Missing: true,
			Reason: "write the installation's id, or " + keyAppInstallationOwner + " with the user or organisation that the App is installed in"}
	}
	if err != nil {
		return app, err
	}
	app.key, err = privateKeyFromSecret(data)
	return app, err
}

func numberFromSecret(data map[string][]byte, key, hint string) (int64, error) {
	raw, ok := data[key]
	if !ok || len(raw) == 0 {
		return 0, &CredentialError{Key: key, Missing: true, Reason: hint}
	}
	n, err := strconv.ParseInt(string(raw), 10, 64)
	if err != nil || n <= 0 {
		return 0, &CredentialError{Key: key, Reason: "it has to be digits only, without white space or a line end; " + hint}
	}
	return n, nil
}

func privateKeyFromSecret(data map[string][]byte) (*rsa.PrivateKey, error) {
	const hint = "write the .pem file that GitHub gave when the App's private key was made, with its BEGIN and END lines"
	raw, ok := data[keyAppPrivateKey]
	if !ok || len(raw) == 0 {
		return nil, &CredentialError{Key: keyAppPrivateKey, Missing: true, Reason: hint}
	}
	malformed := func(what string) error {
		return &CredentialError{Key: keyAppPrivateKey, Reason: what + "; " + hint}
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, malformed("it is not in PEM form")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, malformed("its PEM block is not an RSA private key")
	}
	key, ok := parsed.(*rsa.PrivateKey)
	if !ok {
		return nil, malformed("it is a private key, but not an RSA one")
	}
	return key, nil
}

func tokenFromSecret(data map[string][]byte) (string, error) {
	const hint = "write a GitHub token there (and anything as " + keyUsername + ", which Flux wants), or use a GitHub App with " +
		keyAppID + ", " + keyAppInstallationID + " and " + keyAppPrivateKey
	token := string(data[keyPassword])
	if token == "" {
		if _, ok := data[keyBearerToken]; ok {
			return "", &CredentialError{Key: keyPassword, Missing: true,
				Reason: "GitHub takes no " + keyBearerToken + " for Git; " + hint}
		}
		return "", &CredentialError{Key: keyPassword, Missing: true, Reason: hint}
	}
	if strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", &CredentialError{Key: keyPassword, Reason: "a token has no white space or line end (printf writes none, echo does) and only ASCII"}
	}
	return token, nil
}

// fingerprint hashes everything that changes what the credential may do, length-prefixed so that no two Secrets collide
// by moving bytes from one key to the next.
func fingerprint(data map[string][]byte) string {
	hash := sha256.New()
	for _, key := range []string{
		keyAppID, keyAppInstallationID, keyAppInstallationOwner, keyAppPrivateKey, keyPassword, keyCACert,
	} {
		_, _ = fmt.Fprintf(hash, "%s %d\n", key, len(data[key]))
		hash.Write(data[key])
	}
	return hex.EncodeToString(hash.Sum(nil)[:16])
}

// Kind says how the credential authenticates.
func (c Credential) Kind() CredentialKind {
	return c.secret().kind
}

// Fingerprint identifies the credential in cache keys and logs: 128 bits of a SHA-256, from which nothing can be read
// back.
func (c Credential) Fingerprint() string {
	return c.secret().fingerprint
}

// APIURL is the REST root that the Secret names as githubAppBaseURL, or "" when it names none. Give it to [ParseURL].
func (c Credential) APIURL() string {
	return c.secret().apiURL
}

// String is the kind and the fingerprint.
func (c Credential) String() string { return string(c.Kind()) + " " + c.Fingerprint() }

// Format keeps every verb of fmt from the secret.
func (c Credential) Format(state fmt.State, _ rune) { _, _ = io.WriteString(state, c.String()) }

// MarshalJSON keeps structured logs from the secret.
func (c Credential) MarshalJSON() ([]byte, error) { return json.Marshal(c.String()) }
