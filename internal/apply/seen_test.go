// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package apply

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestWhatWasWrittenIsNotWrittenAgain : while the cache is behind, comparing with it would find the old object, and write for ever.
func TestWhatWasWrittenIsNotWrittenAgain(t *testing.T) {
	is := func(version string, desired byte) comparison {
		return comparison{object: object{namespace: "team", name: "web-main"}, desired: [32]byte{desired}, uid: "1", version: version}
	}
	var seen comparisons
	if seen.unchanged(is("100", 1)) {
		t.Error("nothing was compared yet")
	}
	seen.wrote(is("90", 1), &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{UID: "1", ResourceVersion: "100"}})
	for _, tc := range []struct {
		because string
		now     comparison
		want    bool
	}{
		{"the cache has yet to see it", is("90", 1), true},
		{"the cache has it", is("100", 1), true},
		{"somebody wrote since: it is compared in full", is("101", 1), false},
		{"something else is desired now", is("90", 2), false},
		{"it was replaced", func() comparison { c := is("90", 1); c.uid = "2"; return c }(), false},
		{"there is none any more", is("", 1), false},
	} {
		if got := seen.unchanged(tc.now); got != tc.want {
			t.Errorf("%s: got %t, want %t", tc.because, got, tc.want)
		}
	}
	seen.found(is("101", 1))
	if seen.unchanged(is("100", 1)) || !seen.unchanged(is("101", 1)) {
		t.Error("what was found so counts at that version and no other")
	}
}
