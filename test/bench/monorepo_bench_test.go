// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package bench

import (
	"fmt"
	"testing"
)

// BenchmarkMonorepo measures one push to a repository that many Applications share; main is pinned to what develop has proven,
// so that each of them has two decisions to make.
func BenchmarkMonorepo(b *testing.B) {
	s := readSettings(b)
	w := newWorld(b, plan{applications: s.monorepo, perNamespace: teamSize, sharing: monorepo})
	w.startOperator(b)
	w.awaitCurrent(b)
	writer := w.newWriter(b)
	w.settle(b)

	before, since := w.usage(b), w.story(b)
	commit := w.commits[1]
	for _, a := range w.apps {
		a.head, a.main = 1, 1
	}
	if err := w.pushTo(w.apps[0], "develop", commit); err != nil {
		b.Fatal(err)
	}
	w.awaitCurrent(b)
	delivered, was := w.relay.delivered(push{w.apps[0].fullName, commit})
	if !was {
		b.Fatal("the push was not delivered")
	}
	w.settle(b)
	u := w.usage(b).since(before)
	w.tell(b, since)

	decided := last(w.moments, w.moments.current, w.currentPlaces()).Sub(delivered).Seconds()
	flipped := last(w.moments, w.moments.flipped, plainPlaces(w.apps, develop, w.commitAt)).Sub(delivered).Seconds()
	baseline := writer.many(b, int(u.writes)).Seconds()
	name := fmt.Sprintf("the same %.0f writes by %d workers", u.writes, workers)
	report(b, plain("push to all of develop flipped", flipped, "s"))
	report(b, plain("push to both environments done", decided, "s").against(name, baseline, 2))
	report(b, plain("writes per application", u.writes/float64(len(w.apps)), ""))
	report(b, plain("reconciliations per application", u.reconciliations/float64(len(w.apps)), ""))
	report(b, plain("calls", u.calls, ""))
}
