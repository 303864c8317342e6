//go:build e2e

package crash_test

import (
	"context"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	. "github.com/onsi/gomega"
)

const (
	// patience bounds each wait for an operator that lives.
	patience = 60 * time.Second
	// muchPatience is for one that is killed all the time.
	muchPatience = 4 * time.Minute
	// rounds bounds the journeys that it may take to kill at every effect: what one death prevents, another journey has.
	rounds = 4
	// randomKills is how often the operator dies of a write in a journey with dice, and as often by the clock.
	randomKills = 12
	// seedVariable repeats the dice of a run that failed.
	seedVariable = "CRASH_SEED"
)

// effects are those that every journey must have, or the test has not looked: all that is done on GitHub, all records, and all
// that is written for Flux.
var effects = []string{
	"GitHub: create the branch",
	"GitHub: move the branch",
	"GitHub: open the pull request",
	"GitHub: label the pull request",
	"GitHub: edit the pull request",
	"GitHub: merge the pull request",
	"GitHub: say pending of mainstem/develop",
	"GitHub: say success of mainstem/develop",
	"GitHub: say pending of mainstem/main",
	"GitHub: say success of mainstem/main",
	"GitHub: say pending of mainstem/production",
	"GitHub: say success of mainstem/production",
	"Kubernetes: create a Release",
	"Kubernetes: write a ledger",
	"Kubernetes: create a Promotion into develop",
	"Kubernetes: write a Promotion into develop Deploying",
	"Kubernetes: write a Promotion into develop Succeeded",
	"Kubernetes: create a Promotion into main",
	"Kubernetes: write a Promotion into main",
	"Kubernetes: write a Promotion into main Superseded",
	"Kubernetes: write a Promotion into main Merging",
	"Kubernetes: write a Promotion into main Deploying",
	"Kubernetes: write a Promotion into main Succeeded",
	"Kubernetes: create a Promotion into production",
	"Kubernetes: write a Promotion into production Deploying",
	"Kubernetes: write a Promotion into production Succeeded",
	"Kubernetes: apply a GitRepository",
	"Kubernetes: apply the Kustomization of develop",
	"Kubernetes: apply the Kustomization of main",
	"Kubernetes: apply the Kustomization of production",
	"Kubernetes: write the Application's finalizer",
	"Kubernetes: write the Application's status",
}

// deletion is an effect that comes a minute after the rest of a journey.
const deletion = "Kubernetes: delete a GitRepository"

// TestUninterrupted is the measure of all others: what a journey does when nothing happens.
func TestUninterrupted(t *testing.T) {
	operator := startReplica(t)
	w := newWorld(t, operator.webhookURL(), patience)
	began := time.Now()
	j := w.travel()
	took := time.Since(began)
	j.expectOnce(operator)
	writes := j.writes(operator)
	seen := map[string]bool{}
	for _, sent := range writes {
		seen[sent.effect()] = true
	}
	for _, effect := range effects {
		j.expect().Expect(seen).To(HaveKey(effect))
	}
	t.Logf("%d writes of %d kinds in %s", len(writes), len(seen), took)
}

// TestKilledAtEveryEffect kills the operator right before and right after everything that it does. What a death keeps from
// happening, as the record of a merge that is found done, has its turn in a journey of its own.
func TestKilledAtEveryEffect(t *testing.T) {
	counts := newDeaths()
	for round := 1; ; round++ {
		missing := missingDeaths(counts)
		if len(missing) == 0 {
			break
		}
		if round > rounds {
			t.Fatalf("the operator has not died of: %v", missing)
		}
		t.Run("journey "+strconv.Itoa(round), func(t *testing.T) { killEverywhere(t, counts, missing) })
	}
	t.Logf("killed %d times before and %d times after an effect", counts.total(beforeIt), counts.total(afterIt))
}

// missingDeaths are those that nobody has died yet.
func missingDeaths(counts *deaths) []death {
	var missing []death
	for _, effect := range append([]string{deletion}, effects...) {
		for _, on := range []side{beforeIt, afterIt} {
			if what := (death{effect, on}); counts.of(what) == 0 {
				missing = append(missing, what)
			}
		}
	}
	return missing
}

// killEverywhere goes one journey, on which the operator dies all deaths that are missing, as often as it can.
func killEverywhere(t *testing.T, counts *deaths, missing []death) {
	operator := startReplica(t)
	w := newWorld(t, operator.webhookURL(), muchPatience)
	handOver(t, operator, newEveryEffect(operator, w.concerns, func(what death) bool { return slices.Contains(missing, what) }, counts))
	began := time.Now()
	j := w.travel()
	if slices.Contains(missing, death{deletion, beforeIt}) {
		j.tidy()
	}
	t.Logf("%d starts in %s", operator.starts(), time.Since(began))
	j.expectOnce(operator)
}

// handOver gives an operator into a killer's hands, until the test ends.
func handOver(t *testing.T, operator *replica, killer killer) {
	t.Helper()
	shared.wire.speaks(operator.generation)
	shared.wire.hand(killer)
	operator.api.hand(killer)
	t.Cleanup(func() {
		shared.wire.hand(nil)
		operator.api.hand(nil)
	})
}

// TestKilledAtRandom kills the operator at some of its writes, and whenever the clock says so: while it starts, reads and thinks.
func TestKilledAtRandom(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if given := os.Getenv(seedVariable); given != "" {
		var err error
		seed, err = strconv.ParseUint(given, 10, 64)
		NewWithT(t).Expect(err).NotTo(HaveOccurred())
	}
	t.Logf("%s=%d", seedVariable, seed)
	for n := range uint64(2) {
		t.Run("journey "+strconv.FormatUint(n+1, 10), func(t *testing.T) {
			operator := startReplica(t)
			w := newWorld(t, operator.webhookURL(), muchPatience)
			handOver(t, operator, &atRandom{victim: operator, concerns: w.concerns, dice: rand.New(rand.NewPCG(seed, n)), left: randomKills})
			stop := killByTheClock(t.Context(), operator, rand.New(rand.NewPCG(seed, ^n)))
			began := time.Now()
			j := w.travel()
			t.Logf("%d starts in %s", operator.starts(), time.Since(began))
			stop()
			j.expectOnce(operator)
		})
	}
}

// killByTheClock kills an operator at moments that the dice choose, until it is told to stop or has done so often enough.
func killByTheClock(ctx context.Context, victim *replica, dice *rand.Rand) (stop func()) {
	const longest = 1500 * time.Millisecond
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range randomKills {
			moment := time.NewTimer(time.Duration(dice.Int64N(int64(longest))))
			select {
			case <-ctx.Done():
				moment.Stop()
				return
			case <-moment.C:
				victim.kill()
			}
		}
	}()
	return func() {
		cancel()
		<-done
	}
}
