// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"context"
	"crypto/tls"
	"errors"
	"sync"
	"time"
)

const (
	// longWait is from how long on a wait for nothing is worth remembering: an error that comes at once keeps nobody waiting.
	longWait = time.Second
	// firstPause is how long nobody asks after the first long wait for nothing. It is short, because that may have been about one
	// request alone, and all others fail meanwhile.
	firstPause = time.Second
	// nextPause is how often one request tries whether there is an answer again, while there is none.
	nextPause = 10 * time.Second
)

// outage remembers that an API root does not answer, for all credentials, so that not everybody waits for it: with as many
// Applications as there are workers, nobody else's would be looked at. While it lasts, one request every 10 s is sent and all
// others fail at once. Any answer ends it, also one that says that something is wrong.
type outage struct {
	now func() time.Time

	mu sync.Mutex
	// err is what the last long wait ended with, nil while there are answers.
	err error
	// next is when a request may be sent again.
	next time.Time
}

// admit gives the error that answers a request at once, or nil where it is to be sent.
func (o *outage) admit() error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err == nil {
		return nil
	}
	now := o.now()
	if now.Before(o.next) {
		return &UnreachableError{Reason: networkReason(o.err), Err: o.err}
	}
	o.next = now.Add(nextPause)
	return nil
}

// unanswered notes that a request that was sent at asked ended without an answer, or without the end of one. That its caller went away says nothing, nor does a
// certificate that this credential does not trust.
func (o *outage) unanswered(ctx context.Context, asked time.Time, err error) {
	var certificate *tls.CertificateVerificationError
	if errors.Is(ctx.Err(), context.Canceled) || errors.As(err, &certificate) {
		return
	}
	if timedOut(ctx) {
		err = context.DeadlineExceeded
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	now := o.now()
	if now.Sub(asked) < longWait {
		return
	}
	if o.err == nil {
		o.next = now.Add(firstPause)
	}
	o.err = err
}

// answered ends it.
func (o *outage) answered() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err = nil
}

// timedOut says whether the time of a request is over. net/http may end it a moment before its context tells so.
func timedOut(ctx context.Context) bool {
	deadline, has := ctx.Deadline()
	return has && !time.Now().Before(deadline)
}
