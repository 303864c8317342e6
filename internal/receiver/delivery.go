// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/mainstem-dev/mainstem/internal/github"
)

// Delivery is one webhook delivery.
type Delivery struct {
	// ID is the same for every redelivery; letters, digits and dashes, at most 64.
	ID string
	// Signature is that of its body, as GitHub writes it.
	Signature string
	// Event is what it says.
	Event github.Event
}

// name tells it from every other one: the name alone is not signed.
func (d Delivery) name() string { return d.ID + " " + d.Signature }

// Bounds of bodies. GitHub sends up to 25 MB
// (https://docs.github.com/en/webhooks/webhook-events-and-payloads#payload-cap), which only a push with very many files nears;
// one that is cut off here is found by polling.
const (
	defaultMaxBody = 1 << 20
	pushMaxBody    = 5 << 20
)

// maxBody is the largest body, in bytes, that is read of an event.
func maxBody(kind string) int64 {
	if github.EventKind(kind) == github.EventPush {
		return pushMaxBody
	}
	return defaultMaxBody
}

// decoder takes the JSON out of a body.
type decoder func(body []byte) (json.RawMessage, error)

// decoderFor gives the decoder of one of the two content types that GitHub can be told to use, or nil.
func decoderFor(contentType string) decoder {
	mediaType, _, err := mime.ParseMediaType(contentType)
	if err != nil {
		return nil
	}
	switch mediaType {
	case "application/json":
		return func(body []byte) (json.RawMessage, error) { return body, nil }
	case "application/x-www-form-urlencoded":
		return payloadOfForm
	default:
		return nil
	}
}

// payloadOfForm takes the field payload of a form. The signature is about the form as it was sent.
func payloadOfForm(body []byte) (json.RawMessage, error) {
	form, err := url.ParseQuery(string(body))
	if err != nil || !form.Has("payload") {
		return nil, errors.New("the form has no payload")
	}
	return json.RawMessage(form.Get("payload")), nil
}

var (
	signaturePattern = regexp.MustCompile(`^sha256=[0-9a-f]{64}$`)
	deliveryPattern  = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
)

// signed says whether there is something that could be a signature. It is no secret, and costs nothing to check before the body
// is read.
func signed(header http.Header) bool {
	return signaturePattern.MatchString(strings.ToLower(header.Get(github.HeaderSignature)))
}

// deliveryID identifies a delivery. The header is not signed, so it is taken only where it looks as GitHub's do; otherwise the
// signature stands for it, which is the same for the same body.
func deliveryID(header http.Header) string {
	if id := header.Get(github.HeaderDelivery); deliveryPattern.MatchString(id) {
		return id
	}
	sum := sha256.Sum256([]byte(header.Get(github.HeaderSignature)))
	return "unnamed-" + hex.EncodeToString(sum[:8])
}
