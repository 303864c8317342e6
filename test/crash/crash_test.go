//go:build e2e

package crash_test

import (
	"context"
	"maps"
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

// effects are all kinds that there are: each is in every journey to the end, or the test has not looked, and there is no other.
var effects = []string{
	"GitHub: create the branch",
	"GitHub: move the branch",
	"GitHub: delete the branch",
	"GitHub: open the pull request",
	"GitHub: label the pull request",
	"GitHub: ask for reviews",
	"GitHub: edit the pull request",
	"GitHub: merge the pull request",
	"GitHub: say pending of mainstem/develop",
	"GitHub: say success of mainstem/develop",
	"GitHub: say failure of mainstem/develop",
	"GitHub: say pending of mainstem/main",
	"GitHub: say success of mainstem/main",
	"GitHub: say pending of mainstem/production",
	"GitHub: say success of mainstem/production",
	"Kubernetes: create a Release",
	"Kubernetes: write a ledger",
	"Kubernetes: delete a Release",
	"Kubernetes: create a Promotion into develop",
	"Kubernetes: write a Promotion into develop Deploying",
	"Kubernetes: write a Promotion into develop Succeeded",
	"Kubernetes: write a Promotion into develop Failed",
	"Kubernetes: write a Promotion into develop Cancelled",
	"Kubernetes: create a Promotion into main",
	"Kubernetes: write a Promotion into main Superseded",
	"Kubernetes: write a Promotion into main Merging",
	"Kubernetes: write a Promotion into main Deploying",
	"Kubernetes: write a Promotion into main Succeeded",
	"Kubernetes: write a Promotion into main Cancelled",
	"Kubernetes: create a Promotion into production",
	"Kubernetes: write a Promotion into production Deploying",
	"Kubernetes: write a Promotion into production Succeeded",
	"Kubernetes: write what a Promotion waits for",
	"Kubernetes: give a Promotion its owner",
	"Kubernetes: give an Approval its owner",
	"Kubernetes: delete a Promotion",
	"Kubernetes: apply a GitRepository",
	"Kubernetes: let go of a GitRepository",
	"Kubernetes: delete a GitRepository",
	"Kubernetes: apply the Kustomization of develop",
	"Kubernetes: let go of the Kustomization of develop",
	"Kubernetes: apply the Kustomization of main",
	"Kubernetes: let go of the Kustomization of main",
	"Kubernetes: apply the Kustomization of production",
	"Kubernetes: delete the Kustomization of production",
	"Kubernetes: add the Application's finalizer",
	"Kubernetes: take the Application's finalizer away",
	"Kubernetes: write the Application's status",
	"Kubernetes: write the status of an Environment",
}

// kinds are the effects that some writes were.
func kinds(writes []*write) map[string]int {
	seen := map[string]int{}
	for _, sent := range writes {
		seen[sent.effect()]++
	}
	return seen
}

// TestUninterrupted is the measure of all others: what a journey does when nothing happens.
func TestUninterrupted(t *testing.T) {
	operator := startReplica(t)
	w := newWorld(t, operator.webhookURL(), patience)
	w.remember()
	began := time.Now()
	j := w.travelToTheEnd()
	took := time.Since(began)
	j.expectOnce(operator)
	writes := j.writes(operator)
	seen := kinds(writes)
	j.expect().Expect(slices.Collect(maps.Keys(seen))).To(ConsistOf(effects))
	t.Logf("%d writes of %d kinds in %s", len(writes), len(seen), took)
}

// TestKilledAtEveryEffect kills the operator right before and right after everything that it does. What a death keeps from
// happening, as the record of a merge that is found done, has its turn in a journey of its own. Whatever kind of effect there is,
// the operator has died of it on both sides, or the test fails.
func TestKilledAtEveryEffect(t *testing.T) {
	counts, seen := newDeaths(), map[string]int{}
	everything := func(death) bool { return true }
	t.Run("journey 1", func(t *testing.T) { maps.Copy(seen, killEverywhere(t, counts, everything)) })
	for _, effect := range effects {
		seen[effect] = max(1, seen[effect])
	}
	for round := 2; !t.Failed() && len(counts.missing(seen)) > 0; round++ {
		missing := counts.missing(seen)
		if round > rounds {
			t.Fatalf("the operator has not died of: %v", missing)
		}
		t.Logf("yet to die of: %v", missing)
		t.Run("journey "+strconv.Itoa(round), func(t *testing.T) {
			maps.Copy(seen, killEverywhere(t, counts, func(what death) bool { return slices.Contains(missing, what) }))
		})
	}
	t.Logf("killed %d times before and %d times after an effect, of %d kinds", counts.total(beforeIt), counts.total(afterIt), len(seen))
}

// killEverywhere goes one journey, on which the operator dies all deaths that are wanted, as often as it can. It gives the kinds of
// effects that there were.
func killEverywhere(t *testing.T, counts *deaths, wants func(death) bool) map[string]int {
	operator := startReplica(t)
	w := newWorld(t, operator.webhookURL(), muchPatience)
	w.remember()
	handOver(t, operator, newEveryEffect(operator, w.concerns, wants, counts))
	began := time.Now()
	j := w.travelToTheEnd()
	t.Logf("%d starts in %s", operator.starts(), time.Since(began))
	j.expectOnce(operator)
	seen := kinds(w.writes(operator))
	delete(seen, wakeUp) // A delivery may meet a replica that does not lead yet; TestTheFollowerDies has it die of that.
	return seen
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
			w.remember()
			dice := &atRandom{victim: operator, concerns: w.concerns, dice: rand.New(rand.NewPCG(seed, n)), left: randomKills}
			handOver(t, operator, dice)
			stop := killByTheClock(t.Context(), operator, rand.New(rand.NewPCG(seed, ^n)))
			began := time.Now()
			j := w.travelToTheEnd()
			t.Logf("%d starts in %s", operator.starts(), time.Since(began))
			stop()
			j.expectOnce(operator)
			j.expect().Expect(dice.deaths()).To(Equal(randomKills), "deaths of a write")
			j.expect().Expect(operator.starts()).To(BeNumerically(">", randomKills+1), "starts, more than after these deaths: some were the clock's")
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
