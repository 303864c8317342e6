// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package application

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

func TestWhatWasWrittenIsWaitedFor(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	app := func(version string) *v1alpha1.Application {
		return &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "web", ResourceVersion: version}}
	}
	for _, tc := range []struct {
		because string
		cached  string
		later   time.Duration
		want    bool
	}{
		{"the cache has an older one", "99", 0, true},
		{"the cache has an older one still", "99", maxLag - 1, true},
		{"the cache has it", "100", 0, false},
		{"the cache has what somebody wrote after it", "101", 0, false},
		{"a cache that stays behind is not waited for for ever: the API server may count anew", "3", maxLag, false},
		{"a version that is no number says nothing", "x", 0, false},
	} {
		var w written
		w.remember(app("100"), at)
		if got := w.ahead(app(tc.cached), at.Add(tc.later)); got != tc.want {
			t.Errorf("%s: got %t, want %t", tc.because, got, tc.want)
		}
	}
	var w written
	if w.ahead(app("1"), at) {
		t.Error("nothing was written, and something is waited for")
	}
	w.remember(app("100"), at)
	w.forget(keyOf(app("100")))
	if w.ahead(app("1"), at) {
		t.Error("an Application that is gone and made anew waits for what was written before")
	}
}
