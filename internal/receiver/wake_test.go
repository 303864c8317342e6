// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/mainstem-dev/mainstem/internal/github"
)

const patience = 10 * time.Second

func delivery(id string) Delivery {
	return Delivery{ID: id, Event: github.Event{Kind: github.EventPush, Host: "github.com", Repository: "Acme/Podinfo"}}
}

func named(names ...string) []types.NamespacedName {
	result := make([]types.NamespacedName, 0, len(names))
	for _, name := range names {
		result = append(result, types.NamespacedName{Namespace: "team-a", Name: name})
	}
	return result
}

type invalidated []string

func (i *invalidated) InvalidateKey(key string) { *i = append(*i, key) }

func startMemory(t *testing.T, memory *Memory) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- memory.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("Start: %v", err)
		}
	})
}

func next(t *testing.T, memory *Memory) string {
	t.Helper()
	select {
	case got := <-memory.events:
		return got.Object.GetNamespace() + "/" + got.Object.GetName()
	case <-time.After(patience):
		t.Fatal("nothing was handed over")
		return ""
	}
}

func TestMemoryCoalescesAndNeverWaits(t *testing.T) {
	var forgotten invalidated
	memory := NewMemory(&forgotten)
	// Nobody reads, nothing runs: waking returns all the same.
	for i := range 100 {
		if err := memory.Wake(t.Context(), named("one", "two"), delivery(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	if len(memory.order) != 2 || len(forgotten) != 100 || forgotten[0] != "github.com/acme/podinfo" {
		t.Fatalf("%d wait, forgotten %d times: %v", len(memory.order), len(forgotten), forgotten[:1])
	}
	startMemory(t, memory)
	if got := []string{next(t, memory), next(t, memory)}; !slices.Equal(got, []string{"team-a/one", "team-a/two"}) {
		t.Fatalf("handed over %v", got)
	}
	// What arrives after that wakes once more.
	if err := memory.Wake(t.Context(), named("two"), delivery("later")); err != nil {
		t.Fatal(err)
	}
	if got := next(t, memory); got != "team-a/two" {
		t.Fatalf("handed over %s", got)
	}
	select {
	case got := <-memory.events:
		t.Fatalf("handed over %v, which nobody woke", got)
	default:
	}
}

func TestMemoryIsBounded(t *testing.T) {
	memory := NewMemory(&invalidated{})
	memory.limit = 3
	err := memory.Wake(t.Context(), named("a", "b", "c", "d"), delivery("1"))
	if !errors.Is(err, errTooManyPending) || len(memory.order) != 3 {
		t.Fatalf("error %v with %d waiting", err, len(memory.order))
	}
	startMemory(t, memory)
	for range 3 {
		next(t, memory)
	}
	if err := memory.Wake(t.Context(), named("d"), delivery("1")); err != nil {
		t.Fatal(err)
	}
	if got := next(t, memory); got != "team-a/d" {
		t.Fatalf("handed over %s", got)
	}
}

func TestMemoryLosesNothingUnderLoad(t *testing.T) {
	memory := NewMemory(&ignoring{})
	startMemory(t, memory)
	const count = 500
	go func() {
		for i := range count {
			_ = memory.Wake(context.WithoutCancel(t.Context()), named(fmt.Sprint(i)), delivery("x"))
		}
	}()
	seen := map[string]bool{}
	for len(seen) < count {
		seen[next(t, memory)] = true
	}
}

type ignoring struct{}

func (*ignoring) InvalidateKey(string) {}

func TestByElectionAsksTheOneWhoseTurnItIs(t *testing.T) {
	elected := make(chan struct{})
	leading, following := &woken{}, &woken{}
	waker := &ByElection{Elected: elected, Leading: leading, Following: following}
	for range 2 {
		if err := waker.Wake(t.Context(), named("one"), delivery("1")); err != nil {
			t.Fatal(err)
		}
	}
	close(elected)
	if err := waker.Wake(t.Context(), named("one"), delivery("1")); err != nil {
		t.Fatal(err)
	}
	if len(following.names) != 2 || len(leading.names) != 1 {
		t.Errorf("asked the follower %d times and the leader %d times, want 2 and 1", len(following.names), len(leading.names))
	}
}
