// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package bench

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// teamSize is how many Applications a namespace has.
const teamSize = 20

// BenchmarkFleet measures an installation with many Applications, each with a repository of its own and two environments.
func BenchmarkFleet(b *testing.B) {
	s := readSettings(b)
	w := newWorld(b, plan{applications: s.applications, perNamespace: teamSize})
	b.Run("FirstStart", w.firstStart)
	writer := w.newWriter(b)
	b.Run("ColdStartIdle", func(b *testing.B) { w.coldStartIdle(b) })
	b.Run("ColdStartBehind", func(b *testing.B) { w.coldStartBehind(b, writer) })
	b.Run("Webhook", func(b *testing.B) { w.webhook(b, writer, s.deliveries) })
	b.Run("Idle", func(b *testing.B) { w.idle(b, s.idle) })
}

func (w *world) commitAt(a *app) string { return w.commits[a.head] }

// firstStart deploys everything for the first time; it is what the others begin with.
func (w *world) firstStart(b *testing.B) {
	started := time.Now()
	w.startOperator(b)
	w.awaitCurrent(b)
	report(b, plain("time", w.lastCurrent().Sub(started).Seconds(), "s"))
	w.settle(b)
	u := w.usage(b)
	report(b, plain("writes per application", u.writes/float64(len(w.apps)), ""))
	report(b, plain("calls per application", u.calls/float64(len(w.apps)), ""))
	report(b, plain("processor", u.processor.Seconds(), "s"))
}

func (w *world) currentPlaces() []place {
	places := plainPlaces(w.apps, develop, w.commitAt)
	return append(places, plainPlaces(w.apps, mainline, func(a *app) string { return w.commits[a.main] })...)
}

// awaitCurrent waits until every Application's status says that what it is to run is what runs.
func (w *world) awaitCurrent(b *testing.B) {
	b.Helper()
	places := w.currentPlaces()
	w.await(b, "not every Application runs what it is to run", func() bool { return missing(w.moments, w.moments.current, places) == 0 })
}

func (w *world) lastCurrent() time.Time { return last(w.moments, w.moments.current, w.currentPlaces()) }

// coldStartIdle starts the operator where everything is as it is to be.
func (w *world) coldStartIdle(b *testing.B) {
	before, since := w.calls(), w.story(b)
	if err := w.rig.Kill(operatorName); err != nil {
		b.Fatal(err)
	}
	started := time.Now()
	if err := w.rig.Restart(b.Context(), operatorName); err != nil {
		b.Fatal(err)
	}
	w.await(b, "not every Application was decided on", func() bool { return w.drained(b) })
	took := time.Since(started).Seconds()
	u, after := w.usage(b), w.calls()
	w.tell(b, since)
	baseline := w.sameCalls(b, int(after.calls-before.calls)).Seconds()
	// With no write to make, there is nothing that it could take twice as long for.
	report(b, plain("time", took, "s").beside(fmt.Sprintf("the same calls to GitHub by %d workers", workers), baseline))
	report(b, plain("writes", u.writes, "").atMost(0))
	report(b, plain("calls per application", (after.calls-before.calls)/float64(len(w.apps)), ""))
	report(b, plain("processor", u.processor.Seconds(), "s"))
}

// coldStartBehind starts the operator where every Application has something new in both environments: main was merged up to what
// develop has proven, and develop has a new commit.
func (w *world) coldStartBehind(b *testing.B, writer *writer) {
	if err := w.rig.Kill(operatorName); err != nil {
		b.Fatal(err)
	}
	w.pushEverywhere(b)
	before, since := w.calls(), w.story(b)
	started := time.Now()
	if err := w.rig.Restart(b.Context(), operatorName); err != nil {
		b.Fatal(err)
	}
	w.awaitCurrent(b)
	written, u := w.lastCurrent().Sub(started).Seconds(), w.usage(b)
	flips := last(w.moments, w.moments.flipped, w.currentPlaces()).Sub(started).Seconds()
	calls := w.calls().calls - before.calls
	w.settle(b)
	w.tell(b, since)
	baseline := writer.many(b, int(u.writes)).Seconds()
	name := fmt.Sprintf("the same %.0f writes by %d workers", u.writes, workers)
	report(b, plain("time to all written", written, "s").against(name, baseline, 2))
	report(b, plain("time to all flipped", flips, "s"))
	report(b, plain("writes per application", u.writes/float64(len(w.apps)), ""))
	report(b, plain("calls per application", calls/float64(len(w.apps)), ""))
	report(b, plain("processor", u.processor.Seconds(), "s"))
}

// pushEverywhere gives every branch something new while nobody looks.
func (w *world) pushEverywhere(b *testing.B) {
	b.Helper()
	for _, a := range w.apps {
		a.main, a.head = a.head, a.head+1
		if err := w.pushTo(a, "main", w.commits[a.main]); err != nil {
			b.Fatal(err)
		}
		if err := w.pushTo(a, "develop", w.commitAt(a)); err != nil {
			b.Fatal(err)
		}
	}
	w.await(b, "deliveries are under way", w.github.WebhooksIdle)
}

// webhook pushes to two repositories a second.
func (w *world) webhook(b *testing.B, writer *writer, deliveries int) {
	const pace = 500 * time.Millisecond
	pairs := writer.pairs(b, deliveries)
	w.settle(b)
	pushed := make([]*app, 0, deliveries)
	for i := range min(deliveries, len(w.apps)) {
		pushed = append(pushed, w.apps[i*len(w.apps)/min(deliveries, len(w.apps))])
	}
	before, since := w.usage(b), w.story(b)
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for _, a := range pushed {
		<-ticker.C
		a.head++
		if err := w.pushTo(a, "develop", w.commitAt(a)); err != nil {
			b.Fatal(err)
		}
	}
	w.awaitCurrent(b)
	w.settle(b)
	u := w.usage(b).since(before)
	w.tell(b, since)

	legs := w.legs(b, pushed)
	const name, times = "p50 of applying the pair", 10
	baseline := percentile(pairs, 50)
	report(b, plain("delivery to written p50", percentile(legs.write, 50), "ms"))
	report(b, plain("delivery to written p99", percentile(legs.write, 99), "ms").against(name, baseline, times))
	report(b, plain("ready to flipped p50", percentile(legs.flip, 50), "ms"))
	report(b, plain("ready to flipped p99", percentile(legs.flip, 99), "ms").against(name, baseline, times))
	report(b, plain("delivery to status p50", percentile(legs.whole, 50), "ms"))
	report(b, plain("delivery to status p99", percentile(legs.whole, 99), "ms"))
	report(b, plain("writes per delivery", u.writes/float64(len(pushed)), ""))
	report(b, plain("reconciliations per delivery", u.reconciliations/float64(len(pushed)), ""))
	report(b, plain("calls per delivery", u.calls/float64(len(pushed)), ""))
	report(b, plain("calls charged per delivery", u.charged/float64(len(pushed)), ""))
	report(b, plain("processor per delivery", milliseconds(u.processor)/float64(len(pushed)), "ms"))
}

// idle lets nothing happen.
func (w *world) idle(b *testing.B, lasts time.Duration) {
	w.settle(b)
	pid, err := w.rig.PID(operatorName)
	if err != nil {
		b.Fatal(err)
	}
	before, started := w.usage(b), time.Now()
	sample := time.NewTicker(time.Second)
	defer sample.Stop()
	var resident []float64
	var peak float64
	for now := range sample.C {
		m, err := memoryOf(pid)
		if err != nil {
			b.Fatal(err)
		}
		resident, peak = append(resident, m.resident), m.peak
		if now.Sub(started) >= lasts {
			break
		}
	}
	u, took := w.usage(b).since(before), time.Since(started)
	const mebibytes, core = 200, 1
	report(b, plain("write requests", u.writes, "").atMost(0))
	report(b, plain("processor", u.processor.Seconds()/took.Seconds()*100, "% of a core").atMost(core))
	report(b, plain("resident, highest sample", slices.Max(resident), "MiB").atMost(mebibytes))
	report(b, plain("resident, lowest sample", slices.Min(resident), "MiB"))
	report(b, plain("resident, peak since the start", peak, "MiB"))
	report(b, plain("reconciliations per application and hour", u.reconciliations/float64(len(w.apps))/took.Hours(), ""))
	report(b, plain("calls per repository and hour", u.calls/float64(len(w.apps))/took.Hours(), ""))
	report(b, plain("calls charged per repository and hour", u.charged/float64(len(w.apps))/took.Hours(), ""))
}

func difference(after, before metrics) metrics {
	result := metrics{}
	for key, value := range after {
		if value -= before[key]; value != 0 {
			result[key] = value
		}
	}
	return result
}
