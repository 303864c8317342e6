// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"context"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
)

// attemptTimeout bounds one question to the API server, or one write: an address behind which nobody answers must leave time for
// another attempt.
const attemptTimeout = 3 * time.Second

// shortPauses are those between attempts while GitHub waits for an answer.
func shortPauses() wait.Backoff {
	return wait.Backoff{Duration: 100 * time.Millisecond, Factor: 2, Jitter: 0.2, Steps: 8, Cap: 2 * time.Second}
}

// longPauses are those between attempts after that.
func longPauses() wait.Backoff {
	return wait.Backoff{Duration: time.Second, Factor: 2, Jitter: 0.2, Steps: 8, Cap: 15 * time.Second}
}

// retrier attempts again what the API server does not do.
type retrier struct {
	// stopping is closed when the process is to end: what goes on then may end, and nothing is attempted again.
	stopping <-chan struct{}
	pauses   wait.Backoff
}

// persist attempts something until it succeeds, will never succeed, or ctx ends. The error is that of the last attempt.
func (r retrier) persist(ctx context.Context, attempt func(context.Context) error) error {
	pauses := r.pauses
	for {
		err := once(ctx, attempt)
		if err == nil || hopeless(err) {
			return err
		}
		pause := time.NewTimer(pauses.Step())
		select {
		case <-pause.C:
			continue
		case <-r.stopping:
		case <-ctx.Done():
		}
		pause.Stop()
		return err
	}
}

// once attempts something, for a limited time.
func once(ctx context.Context, attempt func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, attemptTimeout)
	defer cancel()
	return attempt(ctx)
}

// hopeless says that the API server has answered, and will answer the same again. That it forbids something is not: an API server
// that has just started knows no rights yet.
func hopeless(err error) bool {
	switch apierrors.ReasonForError(err) {
	case metav1.StatusReasonInvalid, metav1.StatusReasonBadRequest, metav1.StatusReasonMethodNotAllowed,
		metav1.StatusReasonUnsupportedMediaType, metav1.StatusReasonRequestEntityTooLarge:
		return true
	default:
		return false
	}
}
