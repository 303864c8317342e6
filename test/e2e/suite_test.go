//go:build e2e

// Package e2e runs journeys against a real control plane, real Flux and an emulated GitHub, with the operator as it ships.
//
// The main journey has all of it for itself, and is over before the others begin. Those share it: each has a namespace, a repository
// and Environments of its own (see team), and they run at the same time, because each mostly waits for Flux. What must be true of
// all of them together is looked at when they have ended (see together).
package e2e

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/mainstem-dev/mainstem/test/journey"
	"github.com/mainstem-dev/mainstem/test/tenant"
)

const (
	// startLimit leaves time to build the rig's programs.
	startLimit = 20 * time.Minute
	// patience bounds every wait, on a busy machine. Flux looks at the health of what it has applied every 5 s.
	patience = 90 * time.Second
	// pollingInterval is how often a condition is looked at.
	pollingInterval = 200 * time.Millisecond
)

// started is the world, once a test has asked for it: nothing comes up for tests that are not chosen.
var started *journey.World

var start = sync.OnceValue(func() (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	started, err = journey.Start(ctx, journey.Options{ValidateGitHub: true, Sink: func(event journey.Event) {
		fmt.Fprintf(os.Stderr, "    %s %s\n", event.At.UTC().Format("15:04:05.0"), event.Text)
	}})
	return err
})

// world is what all tests share.
func world(t *testing.T) *journey.World {
	t.Helper()
	if err := start(); err != nil {
		t.Fatal(err)
	}
	return started
}

// cluster is the world as tenants see it.
func cluster(t *testing.T) *tenant.Cluster {
	t.Helper()
	shared := world(t)
	config := shared.Rig.Admin()
	config.QPS = -1 // tests are not to wait for themselves
	return &tenant.Cluster{Admin: shared.Client, Config: config, GitHub: shared.GitHub, Webhooks: shared.Webhooks()}
}

func TestMain(m *testing.M) {
	code := m.Run()
	if started != nil {
		if err := started.Rig.Err(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			code = 1
		}
		for _, problem := range together(started) {
			fmt.Fprintf(os.Stderr, "--- FAIL: all journeys together: %s\n", problem)
			code = 1
		}
		if code != 0 {
			started.Rig.Tail(os.Stderr)
		}
		if err := started.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "e2e: cleaning up:", err)
			code = 1
		}
	}
	os.Exit(code)
}
