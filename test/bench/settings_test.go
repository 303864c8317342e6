// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package bench

import (
	"os"
	"strconv"
	"testing"
	"time"
)

// settings are how large the benchmarks are, by environment variables.
type settings struct {
	// applications are those of the fleet, each with a repository of its own: BENCH_APPLICATIONS.
	applications int
	// deliveries is how many pushes the fleet gets, two a second: BENCH_DELIVERIES.
	deliveries int
	// idle is how long nothing happens: BENCH_IDLE.
	idle time.Duration
	// monorepo is how many Applications share one repository: BENCH_MONOREPO.
	monorepo int
	// rotations is over how many lives of a token GitHub's calls are counted: BENCH_ROTATIONS.
	rotations int
	// flux is how many Applications real Flux deploys: BENCH_FLUX_APPLICATIONS.
	flux int
}

func readSettings(tb testing.TB) settings {
	tb.Helper()
	return settings{
		applications: number(tb, "BENCH_APPLICATIONS", 1000),
		deliveries:   number(tb, "BENCH_DELIVERIES", 120),
		idle:         duration(tb, "BENCH_IDLE", 5*time.Minute),
		monorepo:     number(tb, "BENCH_MONOREPO", 60),
		rotations:    number(tb, "BENCH_ROTATIONS", 4),
		flux:         number(tb, "BENCH_FLUX_APPLICATIONS", 200),
	}
}

func number(tb testing.TB, name string, otherwise int) int {
	tb.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	value, err := strconv.Atoi(text)
	if err != nil || value < 1 {
		tb.Fatalf("%s=%s is no positive number", name, text)
	}
	return value
}

func duration(tb testing.TB, name string, otherwise time.Duration) time.Duration {
	tb.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	value, err := time.ParseDuration(text)
	if err != nil || value <= 0 {
		tb.Fatalf("%s=%s is no positive duration", name, text)
	}
	return value
}
