// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"testing"
	"time"
)

// TestBusyDevelop pushes to develop every few minutes thirty-six times. However short that is against what main waits for, main
// must get a new release again and again.
func TestBusyDevelop(t *testing.T) {
	tests := map[string]struct {
		given *scene
		every time.Duration
		// checks is how long checks of a commit run.
		checks time.Duration
		// flux is how many twentieths of the pause Flux takes for one of the three things that it does for a deploy, and look how
		// many Mainstem takes from look to look.
		flux, look int
		least      int
	}{
		"a soak that is longer than the pause":   {standard().with("main", guarded(soaking(30*time.Minute))), 5 * time.Minute, 0, 1, 1, 4},
		"a soak and checks":                      {standard().with("main", guarded(checking("build"), soaking(30*time.Minute))), 5 * time.Minute, 8 * time.Minute, 1, 1, 4},
		"checks that are longer":                 {standard().with("main", guarded(checking("build"))), 5 * time.Minute, 20 * time.Minute, 1, 1, 4},
		"pinned":                                 {pinned().with("main", guarded(soaking(30*time.Minute))), 5 * time.Minute, 0, 1, 1, 4},
		"deploys that are longer than the pause": {standard(), 20 * time.Second, 0, 10, 1, 4},
		"looks that are as long as the pause":    {standard(), 2 * time.Second, 0, 1, 20, 4},
		"the same, pinned":                       {pinned(), 2 * time.Second, 0, 1, 20, 4},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			w := newWorld(test.given)
			pushed := map[string]time.Time{}
			next, ticks := w.now, 0
			for ; len(pushed) < 36; w.now = w.now.Add(test.every / 20) {
				if !w.now.Before(next) {
					commit, _ := w.git.push("develop", "d")
					pushed[commit], next = w.now, w.now.Add(test.every)
				}
				for commit, since := range pushed {
					w.hub.checks[commit] = CheckPending
					if w.now.Sub(since) >= test.checks {
						w.hub.checks[commit] = CheckSuccess
					}
				}
				ticks++
				if ticks%test.flux == 0 {
					for env := range w.flux {
						w.work(env)
					}
				}
				if ticks%test.look != 0 {
					continue
				}
				if _, err := w.reconcile(); err != nil {
					t.Fatal(err)
				}
			}
			// Promotions are forgotten after a while: the ledgers know all that arrived.
			proven := 0
			for _, r := range w.api.releases {
				if entry := ledgerOf(r, "main"); entry != nil && entry.ProvenAt != nil {
					proven++
				}
			}
			if proven < test.least {
				t.Errorf("of %d commits %d arrived on main, want at least %d", len(pushed), proven, test.least)
			}
		})
	}
}
