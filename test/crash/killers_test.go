//go:build e2e

package crash_test

import (
	"fmt"
	"math/rand/v2"
	"sync"
)

// side is on which side of an effect the operator dies.
type side string

const (
	beforeIt side = "before"
	afterIt  side = "after"
)

// death is what the operator can die of: an effect, in the words of its kind, and a side of it.
type death struct {
	effect string
	side   side
}

func (d death) String() string { return fmt.Sprintf("%s: %s", d.side, d.effect) }

// effect names what a write does in the words that are the same in every journey.
func (w *write) effect() string { return string(w.server) + ": " + w.kind }

// deaths counts what operators have died of.
type deaths struct {
	mu     sync.Mutex
	counts map[death]int
}

func newDeaths() *deaths { return &deaths{counts: map[death]int{}} }

func (d *deaths) add(what death) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.counts[what]++
}

// missing are those that nobody has died of some kinds of effects.
func (d *deaths) missing(kinds map[string]int) []death {
	d.mu.Lock()
	defer d.mu.Unlock()
	var missing []death
	for effect := range kinds {
		for _, on := range []side{beforeIt, afterIt} {
			if what := (death{effect, on}); d.counts[what] == 0 {
				missing = append(missing, what)
			}
		}
	}
	return missing
}

// total counts those on one side.
func (d *deaths) total(on side) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	sum := 0
	for what, times := range d.counts {
		if what.side == on {
			sum += times
		}
	}
	return sum
}

// often is how often an operator dies of the same on one journey: some kinds of effects, as the Application's status, are many.
const often = 3

// everyEffect kills the operator at every write that it has not seen: before it is carried out, and when it is tried again, after
// that. What is tried a third time passes.
type everyEffect struct {
	victim   *replica
	concerns func(*write) bool
	// wants says which deaths are wanted; an effect of which none is passes.
	wants  func(death) bool
	deaths *deaths

	mu    sync.Mutex
	done  map[string]map[side]bool // by the write's signature
	times map[death]int
}

func newEveryEffect(victim *replica, concerns func(*write) bool, wants func(death) bool, counts *deaths) *everyEffect {
	return &everyEffect{victim: victim, concerns: concerns, wants: wants, deaths: counts, done: map[string]map[side]bool{}, times: map[death]int{}}
}

func (k *everyEffect) before(sent *write) bool { return k.survives(sent, beforeIt) }

// after lets what was refused pass: it had no effect.
func (k *everyEffect) after(sent *write) bool {
	return !sent.succeeded() || k.survives(sent, afterIt)
}

func (k *everyEffect) survives(sent *write, on side) bool {
	if !k.concerns(sent) {
		return true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if sent.generation != k.victim.generation() {
		return false // its sender has died of another one
	}
	what := death{sent.effect(), on}
	if k.done[sent.signature()][on] || k.times[what] >= often || !k.wants(what) {
		return true
	}
	k.times[what]++
	k.victim.kill()
	if k.done[sent.signature()] == nil {
		k.done[sent.signature()] = map[side]bool{}
	}
	k.done[sent.signature()][on] = true
	k.deaths.add(what)
	return false
}

// atRandom kills the operator before or after some of its writes, as the dice say, a limited number of times.
type atRandom struct {
	victim   *replica
	concerns func(*write) bool

	mu   sync.Mutex
	dice *rand.Rand
	left int
}

// oneIn is how many chances there are for one death.
const oneIn = 6

func (k *atRandom) before(sent *write) bool { return k.survives(sent) }

func (k *atRandom) after(sent *write) bool { return k.survives(sent) }

func (k *atRandom) survives(sent *write) bool {
	if !k.concerns(sent) {
		return true
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if sent.generation != k.victim.generation() {
		return false
	}
	if k.left == 0 || k.dice.IntN(oneIn) != 0 {
		return true
	}
	k.left--
	k.victim.kill()
	return false
}

// deaths is how often the operator has died of a write.
func (k *atRandom) deaths() int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return randomKills - k.left
}

// once does something to the operator that tries one kind of effect, the first time: instead of the effect, or after it.
type once struct {
	effect string
	side   side
	strike func()

	mu     sync.Mutex
	struck bool
}

func (k *once) before(sent *write) bool { return k.survives(sent, beforeIt) }

func (k *once) after(sent *write) bool { return k.survives(sent, afterIt) }

func (k *once) survives(sent *write, on side) bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.struck || sent.effect() != k.effect || on != k.side {
		return true
	}
	k.struck = true
	k.strike()
	return false
}
