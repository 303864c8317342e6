// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/github"
	"github.com/mainstem-dev/mainstem/internal/index"
	"github.com/mainstem-dev/mainstem/internal/render"
)

const (
	// maxConcurrent bounds the deliveries that are handled at once, and so the memory that their bodies take.
	maxConcurrent = 32
	// handleTimeout bounds everything after the body was read, below GitHub's 10 s.
	handleTimeout = 8 * time.Second
)

// Handler takes webhook deliveries. Make one with [NewHandler].
type Handler struct {
	applications client.Reader
	secrets      *Secrets
	waker        Waker
	metrics      *Metrics
	slots        chan struct{}
}

// NewHandler makes a handler. applications reads from a cache with the index [index.ApplicationsByRepository].
func NewHandler(applications client.Reader, secrets *Secrets, waker Waker, metrics *Metrics) *Handler {
	return &Handler{
		applications: applications, secrets: secrets, waker: waker, metrics: metrics,
		slots: make(chan struct{}, maxConcurrent),
	}
}

// answer is how a delivery is answered and counted. Nobody learns from it more than the status says.
type answer struct {
	status  int
	outcome outcome
	// err is for the log: something of ours failed.
	err error
}

// ServeHTTP takes one delivery:
//
//   - 202: the Applications whose secret signed it are awake (a ping wakes none), or it is about nothing that is known here;
//   - 400, 405, 413, 415: it is not a delivery that GitHub would send, or too large;
//   - 403: it is about a known repository, and no secret signed it, or it is not signed at all;
//   - 503: it could not be handled; it is worth redelivering.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	result := h.receive(w, r)
	kind := eventLabel(r.Header.Get(github.HeaderEvent))
	h.metrics.deliveries.WithLabelValues(kind, string(result.outcome)).Inc()
	logger := log.FromContext(r.Context()).WithName("receiver").
		WithValues("event", kind, "delivery", deliveryID(r.Header), "outcome", result.outcome)
	if result.err != nil {
		logger.Error(result.err, "handling a webhook delivery")
	} else {
		logger.V(1).Info("webhook delivery")
	}
	switch result.status {
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", "60")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(result.status)
	_, _ = io.WriteString(w, http.StatusText(result.status)+"\n")
}

// receive checks what costs nothing first: headers, then the size, then the content.
func (h *Handler) receive(w http.ResponseWriter, r *http.Request) answer {
	if r.Method != http.MethodPost {
		return answer{status: http.StatusMethodNotAllowed, outcome: outcomeUnsupported}
	}
	decode := decoderFor(r.Header.Get("Content-Type"))
	if decode == nil {
		return answer{status: http.StatusUnsupportedMediaType, outcome: outcomeUnsupported}
	}
	kind := r.Header.Get(github.HeaderEvent)
	if kind == "" {
		return answer{status: http.StatusBadRequest, outcome: outcomeMalformed}
	}
	if eventLabel(kind) == otherEvents {
		return answer{status: http.StatusAccepted, outcome: outcomeIgnored}
	}
	if !signed(r.Header) {
		return answer{status: http.StatusForbidden, outcome: outcomeUnsigned}
	}
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		return answer{status: http.StatusServiceUnavailable, outcome: outcomeBusy}
	}
	body, failed := readBody(w, r, maxBody(kind))
	if failed != nil {
		return *failed
	}
	payload, err := decode(body)
	if err != nil {
		return answer{status: http.StatusBadRequest, outcome: outcomeMalformed}
	}
	// Until the signature is verified, only the repository's key is used, to find the secrets to verify with.
	event, err := github.ParseEvent(kind, payload)
	if err != nil {
		return answer{status: http.StatusBadRequest, outcome: outcomeMalformed}
	}
	if strings.HasPrefix(event.StatusContext, render.CommitStatusContext("")) {
		// Mainstem's own commit statuses come back as events, and nothing follows from them.
		return answer{status: http.StatusAccepted, outcome: outcomeIgnored}
	}
	ctx, cancel := context.WithTimeout(r.Context(), handleTimeout)
	defer cancel()
	return h.handle(ctx, Delivery{ID: deliveryID(r.Header), Event: event}, body, r.Header.Get(github.HeaderSignature))
}

// handle finds, verifies and wakes.
func (h *Handler) handle(ctx context.Context, delivery Delivery, body []byte, signature string) answer {
	ping := delivery.Event.Kind == github.EventPing
	key := delivery.Event.Key()
	if key == "" {
		// Only a ping is about no repository: that of an App or an organisation.
		return answer{status: http.StatusAccepted, outcome: outcomePinged}
	}
	var applications mainstemv1.ApplicationList
	if err := h.applications.List(ctx, &applications, client.MatchingFields{index.ApplicationsByRepository: key}, client.UnsafeDisableDeepCopy); err != nil {
		return unavailable(fmt.Errorf("finding the Applications of a repository: %w", err))
	}
	if len(applications.Items) == 0 {
		return answer{status: http.StatusAccepted, outcome: outcomeUnknownRepository}
	}
	verified, err := h.verify(ctx, applications.Items, body, signature)
	if len(verified) == 0 {
		if err != nil {
			return unavailable(err)
		}
		return answer{status: http.StatusForbidden, outcome: outcomeForged}
	}
	if err != nil {
		log.FromContext(ctx).Error(err, "reading webhook secrets: the Applications that use them are not woken")
	}
	if ping {
		return answer{status: http.StatusAccepted, outcome: outcomePinged}
	}
	if err := h.waker.Wake(ctx, verified, delivery); err != nil {
		return unavailable(fmt.Errorf("waking the Applications of a repository: %w", err))
	}
	return answer{status: http.StatusAccepted, outcome: outcomeWoken}
}

// verify gives the Applications whose own secret signed the body. An error is about secrets that could not be read; what was
// verified all the same is given with it.
func (h *Handler) verify(ctx context.Context, applications []mainstemv1.Application, body []byte, signature string) ([]types.NamespacedName, error) {
	users := map[types.NamespacedName][]types.NamespacedName{}
	for i := range applications {
		if ref := applications[i].Spec.Repository.SecretRef; ref != nil {
			secret := types.NamespacedName{Namespace: applications[i].Namespace, Name: ref.Name}
			users[secret] = append(users[secret], client.ObjectKeyFromObject(&applications[i]))
		}
	}
	signers, err := h.secrets.signers(ctx, users, body, signature)
	var verified []types.NamespacedName
	for _, secret := range signers {
		verified = append(verified, users[secret]...)
	}
	return verified, err
}

func unavailable(err error) answer {
	return answer{status: http.StatusServiceUnavailable, outcome: outcomeFailed, err: err}
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
