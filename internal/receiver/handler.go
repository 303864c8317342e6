// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/github"
	"github.com/mainstem-dev/mainstem/internal/index"
)

const (
	// maxConcurrent bounds the deliveries that are verified at once, and so the memory that their bodies take.
	maxConcurrent = 32
	// maxWaking bounds those that are verified and wait for a write.
	maxWaking = 256
	// handleTimeout bounds everything, below GitHub's 10 s.
	handleTimeout = 8 * time.Second
)

// Handler takes webhook deliveries. Make one with [NewHandler].
type Handler struct {
	applications client.Reader
	secrets      *Secrets
	waker        Waker
	backlog      *Backlog
	metrics      *Metrics
	recent       *recent
	retrier      retrier
	timeout      time.Duration
	slots        chan struct{}
	waking       chan struct{}
}

// Options are what a [Handler] is made of.
type Options struct {
	// Applications reads from a cache with the index [index.ApplicationsByRepository].
	Applications client.Reader
	// Secrets verifies.
	Secrets *Secrets
	// Waker wakes.
	Waker Waker
	// Backlog takes what fails.
	Backlog *Backlog
	// Metrics counts.
	Metrics *Metrics
	// Now is the clock.
	Now func() time.Time
	// Stopping is closed when the process is to end: nothing is attempted again after that.
	Stopping <-chan struct{}
}

// NewHandler makes a handler.
func NewHandler(o Options) (*Handler, error) {
	taken, err := newRecent(o.Now)
	if err != nil {
		return nil, err
	}
	return &Handler{
		applications: o.Applications, secrets: o.Secrets, waker: o.Waker, backlog: o.Backlog, metrics: o.Metrics, recent: taken,
		retrier: retrier{stopping: o.Stopping, pauses: shortPauses()}, timeout: handleTimeout,
		slots: make(chan struct{}, maxConcurrent), waking: make(chan struct{}, maxWaking),
	}, nil
}

var errBusy = errors.New("too many deliveries wait for the API server")

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
//   - 503: it could not be handled in the time that GitHub waits; it is handled later if that gets possible.
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
	ctx, cancel := context.WithTimeout(r.Context(), h.timeout)
	defer cancel()
	taken, verified, refused := h.verified(ctx, w, r, decode)
	if refused != nil {
		return *refused
	}
	result := h.wake(ctx, taken, verified)
	switch {
	case result.outcome == outcomeWoken:
		h.backlog.drop(verified[0].String()) // this one says all that an earlier one did
	case result.err != nil && !hopeless(result.err):
		h.backlog.keep(late{key: verified[0].String(), id: taken.ID, handle: func(ctx context.Context) error {
			return h.wake(ctx, taken, verified).err
		}})
	}
	return result
}

// verified reads a delivery and gives whom it is about, in their order, or else the answer. Few are read at once. From then on it
// has no body any more; one that could not be verified is kept with it, for later.
func (h *Handler) verified(ctx context.Context, w http.ResponseWriter, r *http.Request, decode decoder) (Delivery, []types.NamespacedName, *answer) {
	select {
	case h.slots <- struct{}{}:
		defer func() { <-h.slots }()
	default:
		return Delivery{}, nil, &answer{status: http.StatusServiceUnavailable, outcome: outcomeBusy}
	}
	taken, refused := readClaim(w, r, decode)
	if refused != nil {
		return Delivery{}, nil, refused
	}
	verified, refused := h.find(ctx, taken)
	if refused != nil && refused.err != nil && !hopeless(refused.err) {
		h.backlog.keep(late{key: taken.name(), id: taken.ID, bytes: len(taken.body), handle: func(ctx context.Context) error {
			verified, refused := h.find(ctx, taken)
			if refused != nil {
				return refused.err
			}
			return h.wake(ctx, taken.Delivery, verified).err
		}})
	}
	return taken.Delivery, verified, refused
}

// find gives the Applications of a repository whose own secret signed the body, or else the answer. Where Secrets cannot be read,
// it tries again.
func (h *Handler) find(ctx context.Context, taken claim) ([]types.NamespacedName, *answer) {
	key := taken.Event.Key()
	if key == "" {
		// Only a ping is about no repository: that of an App or an organisation.
		return nil, &answer{status: http.StatusAccepted, outcome: outcomePinged}
	}
	var applications mainstemv1.ApplicationList
	if err := h.applications.List(ctx, &applications, client.MatchingFields{index.ApplicationsByRepository: key}, client.UnsafeDisableDeepCopy); err != nil {
		return nil, unavailable(fmt.Errorf("finding the Applications of a repository: %w", err))
	}
	if len(applications.Items) == 0 {
		return nil, &answer{status: http.StatusAccepted, outcome: outcomeUnknownRepository}
	}
	used := usersOf(applications.Items)
	var signers []types.NamespacedName
	err := h.retrier.persist(ctx, func(ctx context.Context) (err error) {
		signers, err = h.secrets.signers(ctx, used, taken.body, taken.Signature)
		if err != nil && len(signers) > 0 {
			log.FromContext(ctx).Error(err, "reading webhook secrets: the Applications that use them are not woken")
			return nil
		}
		return err
	})
	switch {
	case err != nil:
		return nil, unavailable(err)
	case len(signers) == 0:
		return nil, &answer{status: http.StatusForbidden, outcome: outcomeForged}
	}
	var verified []types.NamespacedName
	for _, secret := range signers {
		verified = append(verified, used[secret]...)
	}
	slices.SortFunc(verified, func(a, b types.NamespacedName) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return verified, nil
}

// wake wakes those that a delivery is about.
func (h *Handler) wake(ctx context.Context, delivery Delivery, verified []types.NamespacedName) answer {
	if delivery.Event.Kind == github.EventPing {
		return answer{status: http.StatusAccepted, outcome: outcomePinged}
	}
	if h.recent.has(delivery) {
		return answer{status: http.StatusAccepted, outcome: outcomeRepeated}
	}
	select {
	case h.waking <- struct{}{}:
		defer func() { <-h.waking }()
	default:
		return answer{status: http.StatusServiceUnavailable, outcome: outcomeBusy, err: errBusy}
	}
	if err := h.waker.Wake(ctx, verified, delivery); err != nil {
		return *unavailable(fmt.Errorf("waking the Applications of a repository: %w", err))
	}
	h.recent.add(delivery)
	return answer{status: http.StatusAccepted, outcome: outcomeWoken}
}

func unavailable(err error) *answer {
	return &answer{status: http.StatusServiceUnavailable, outcome: outcomeFailed, err: err}
}
