// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package observe

import (
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

// readings remembers what was read by name from the API server, for all who ask for the same: the Applications of a namespace mostly
// share a Secret and a ServiceAccount, and one deploy takes several reconciliations within a second.
type readings[K comparable, V any] struct {
	entries *lru.Cache[K, reading[V]]
	now     func() time.Time
}

type reading[V any] struct {
	value V
	at    time.Time
}

func newReadings[K comparable, V any](size int, now func() time.Time) *readings[K, V] {
	// New fails only for a size that is not positive.
	entries, _ := lru.New[K, reading[V]](size)
	return &readings[K, V]{entries: entries, now: now}
}

// get gives what was read in the last half of an interval, of the default one at most. Between two looks nobody would see a change anyway;
// with this it is seen so much later.
func (r *readings[K, V]) get(key K, interval time.Duration) (V, bool) {
	last, known := r.entries.Get(key)
	if !known || r.now().Sub(last.at) >= min(interval, defaultInterval)/2 {
		var none V
		return none, false
	}
	return last.value, true
}

func (r *readings[K, V]) keep(key K, value V) { r.entries.Add(key, reading[V]{value, r.now()}) }

func (r *readings[K, V]) forget(key K) { r.entries.Remove(key) }
