// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package bench

import (
	"testing"
	"time"

	emulator "github.com/mainstem-dev/mainstem/test/github"
)

const (
	// rotationFleet is how many repositories are looked at while tokens rotate.
	rotationFleet = 50
	// shortLife is how long tokens live here, instead of GitHub's hour.
	shortLife = time.Minute
	// shortInterval makes every repository be asked about several times in a token's life, as the default of 5 minutes does in
	// an hour.
	shortInterval = 10 * time.Second
	// rotationsPerHour is how often an hour's token is changed: at 80 % of its life.
	rotationsPerHour = 1 / 0.8
)

// BenchmarkTokenRotation counts what GitHub is asked where nothing happens: answers of 304 are free, but every new token makes
// all ETags cold.
func BenchmarkTokenRotation(b *testing.B) {
	s := readSettings(b)
	w := newWorld(b, plan{applications: rotationFleet, perNamespace: teamSize, interval: shortInterval, tokenLife: shortLife})
	w.startOperator(b)
	w.awaitCurrent(b)
	w.settle(b)
	tokens := func() int { return w.github.Effects().Count(emulator.TokenIssued) }
	// From one rotation to a later one.
	began := tokens()
	w.await(b, "the token has not been changed", func() bool { return tokens() > began })
	before, began := w.calls(), tokens()
	w.await(b, "the token has not been changed often enough", func() bool { return tokens() >= began+s.rotations })
	after := w.calls()

	perRotation := (after.charged - before.charged) / float64(s.rotations) / rotationFleet
	const aim = 4
	report(b, plain("calls per repository and rotation", (after.calls-before.calls)/float64(s.rotations)/rotationFleet, ""))
	report(b, plain("calls charged per repository and rotation", perRotation, ""))
	report(b, plain("calls charged per repository and hour, derived", perRotation*rotationsPerHour, "").atMost(aim))
}
