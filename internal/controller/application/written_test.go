// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package application

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/apply"
)

func TestWhatWasWrittenIsWaitedFor(t *testing.T) {
	app := func(uid types.UID, version string) *v1alpha1.Application {
		return &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{Namespace: "team", Name: "web", UID: uid, ResourceVersion: version}}
	}
	for _, tc := range []struct {
		because string
		cached  *v1alpha1.Application
		want    bool
	}{
		{"the cache has an older one", app("a", "99"), true},
		{"the cache has it", app("a", "100"), false},
		{"the cache has what somebody wrote after it", app("a", "101"), false},
		{"a version that is no number says nothing", app("a", "x"), false},
		{"an Application that is gone and made anew is another one", app("b", "1"), false},
	} {
		var w written
		if w.ahead(tc.cached) {
			t.Errorf("%s: nothing was written, and something is waited for", tc.because)
		}
		w.remember(app("a", "100"))
		if got := w.ahead(tc.cached); got != tc.want {
			t.Errorf("%s: got %t, want %t", tc.because, got, tc.want)
		}
	}
}

// TestABrokenCacheIsNotWaitedFor : the API server may count anew, and a cache may never see what was written.
func TestABrokenCacheIsNotWaitedFor(t *testing.T) {
	var w written
	cached := &v1alpha1.Application{ObjectMeta: metav1.ObjectMeta{UID: "a", ResourceVersion: "3"}}
	w.cache().Add(cached.UID, version{"100", time.Now().Add(-apply.MaxLag)})
	if w.ahead(cached) {
		t.Error("it is waited for")
	}
	if w.cache().Contains(cached.UID) {
		t.Error("it is remembered for ever")
	}
}
