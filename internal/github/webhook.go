// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
)

// Headers of a webhook delivery
// (https://docs.github.com/en/webhooks/webhook-events-and-payloads#delivery-headers).
const (
	// HeaderEvent is the kind of event, for [ParseEvent].
	HeaderEvent = "X-GitHub-Event"
	// HeaderSignature is the signature of the body, for [VerifySignature].
	HeaderSignature = "X-Hub-Signature-256"
	// HeaderDelivery identifies the delivery, for logs.
	HeaderDelivery = "X-GitHub-Delivery"
)

const signaturePrefix = "sha256="

// Why a delivery is not believed.
var (
	// ErrNoSecret means that there is nothing to verify with: without a secret nothing is accepted.
	ErrNoSecret = errors.New("no webhook secret is set: set webhookSecret in the Secret, and the same on GitHub")
	// ErrUnsigned means that the delivery has no SHA-256 signature.
	ErrUnsigned = errors.New("the delivery is not signed with SHA-256: set a secret on the webhook on GitHub")
	// ErrBadSignature means that the delivery was signed with another secret, or changed on its way.
	ErrBadSignature = errors.New("the delivery's signature does not match: set the same secret in the Secret and on GitHub")
)

// VerifySignature checks the HMAC-SHA256 of a delivery's body, in constant time. header is the value of
// X-Hub-Signature-256; SHA-1 signatures are not accepted. The errors are [ErrNoSecret], [ErrUnsigned] and
// [ErrBadSignature].
func VerifySignature(secret, body []byte, header string) error {
	if len(secret) == 0 {
		return ErrNoSecret
	}
	encoded, ok := strings.CutPrefix(header, signaturePrefix)
	if !ok {
		return ErrUnsigned
	}
	given, err := hex.DecodeString(encoded)
	if err != nil {
		return ErrBadSignature
	}
	mac := hmac.New(sha256.New, secret)
	mac.Write(body)
	if !hmac.Equal(given, mac.Sum(nil)) {
		return ErrBadSignature
	}
	return nil
}
