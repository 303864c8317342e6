// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"fmt"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// recentLife is for how long a delivery that was taken is taken again without waking anybody. Somebody who has GitHub deliver
	// once more, to have Mainstem look again, is not that fast.
	recentLife = time.Minute
	// recentHeld bounds how many are remembered.
	recentHeld = 4096
)

// recent remembers the deliveries that were taken, by name and signature: two that GitHub makes differ at least in the name, even
// where they say the same.
type recent struct {
	now   func() time.Time
	taken *lru.Cache[string, time.Time]
}

func newRecent(now func() time.Time) (*recent, error) {
	taken, err := lru.New[string, time.Time](recentHeld)
	if err != nil {
		return nil, fmt.Errorf("making room for recent deliveries: %w", err)
	}
	return &recent{now: now, taken: taken}, nil
}

func (r *recent) has(delivery Delivery) bool {
	at, known := r.taken.Get(delivery.name())
	return known && r.now().Sub(at) < recentLife
}

func (r *recent) add(delivery Delivery) { r.taken.Add(delivery.name(), r.now()) }
