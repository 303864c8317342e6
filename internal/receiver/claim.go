// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/mainstem-dev/mainstem/internal/github"
	"github.com/mainstem-dev/mainstem/internal/render"
)

// claim is a delivery as it came, before anybody knows whether to believe it.
type claim struct {
	Delivery
	body []byte
}

// readClaim reads a delivery, or gives the answer.
func readClaim(w http.ResponseWriter, r *http.Request, decode decoder) (claim, *answer) {
	kind := r.Header.Get(github.HeaderEvent)
	body, refused := readBody(w, r, maxBody(kind))
	if refused != nil {
		return claim{}, refused
	}
	payload, err := decode(body)
	if err != nil {
		return claim{}, &answer{status: http.StatusBadRequest, outcome: outcomeMalformed}
	}
	// Until the signature is verified, only the repository's key is used, to find the secrets to verify with.
	event, err := github.ParseEvent(kind, payload)
	if err != nil {
		return claim{}, &answer{status: http.StatusBadRequest, outcome: outcomeMalformed}
	}
	if strings.HasPrefix(event.StatusContext, render.CommitStatusContext("")) {
		// Mainstem's own commit statuses come back as events, and nothing follows from them.
		return claim{}, &answer{status: http.StatusAccepted, outcome: outcomeIgnored}
	}
	taken := Delivery{ID: deliveryID(r.Header), Signature: r.Header.Get(github.HeaderSignature), Event: event}
	return claim{Delivery: taken, body: body}, nil
}

// readBody reads at most limit bytes; what it gives besides is the answer where that failed.
func readBody(w http.ResponseWriter, r *http.Request, limit int64) ([]byte, *answer) {
	if r.ContentLength > limit {
		return nil, &answer{status: http.StatusRequestEntityTooLarge, outcome: outcomeTooLarge}
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, limit))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &answer{status: http.StatusRequestEntityTooLarge, outcome: outcomeTooLarge}
	case err != nil:
		return nil, &answer{status: http.StatusBadRequest, outcome: outcomeMalformed}
	}
	return body, nil
}
