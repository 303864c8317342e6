// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package apply_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/onsi/gomega"
)

// transportCounter counts the requests that a client sends.
type transportCounter struct{ sent atomic.Int64 }

func (c *transportCounter) count() int64 { return c.sent.Load() }

func (c *transportCounter) wrap(inner http.RoundTripper) http.RoundTripper {
	return roundTripper(func(request *http.Request) (*http.Response, error) {
		c.sent.Add(1)
		return inner.RoundTrip(request)
	})
}

type roundTripper func(*http.Request) (*http.Response, error)

func (r roundTripper) RoundTrip(request *http.Request) (*http.Response, error) { return r(request) }

func waitFor(t *testing.T, condition func() bool) {
	t.Helper()
	gomega.NewWithT(t).Eventually(condition, 10*time.Second, 20*time.Millisecond).Should(gomega.BeTrue())
}
