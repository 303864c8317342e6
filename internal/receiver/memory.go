// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"context"
	"errors"
	"sync"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"
	"sigs.k8s.io/controller-runtime/pkg/handler"
	"sigs.k8s.io/controller-runtime/pkg/source"

	mainstemv1 "github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// maxPending bounds the Applications that wait to be taken from the channel. Each waits once, so this is far above what a
// cluster has.
const maxPending = 1 << 16

var errTooManyPending = errors.New("too many Applications wait to be woken")

// Invalidator forgets what was observed of a repository; the key is [github.Event.Key].
type Invalidator interface {
	InvalidateKey(key string)
}

// Memory wakes within this process: it forgets what was observed of the repository and hands the Applications to the controller
// that has [Memory.Source]. Make one with [NewMemory] and add it to the manager.
type Memory struct {
	invalidator Invalidator
	limit       int
	events      chan event.GenericEvent
	arrived     chan struct{}

	mutex   sync.Mutex
	waiting map[types.NamespacedName]bool
	order   []types.NamespacedName
}

// NewMemory makes a waker that tells invalidator first.
func NewMemory(invalidator Invalidator) *Memory {
	return &Memory{
		invalidator: invalidator, limit: maxPending,
		events: make(chan event.GenericEvent), arrived: make(chan struct{}, 1),
		waiting: map[types.NamespacedName]bool{},
	}
}

// Source gives the Applications to wake. It is for one controller.
func (m *Memory) Source() source.Source {
	return source.Channel(m.events, &handler.EnqueueRequestForObject{})
}

// Wake never waits for the reader. An Application that is already waiting waits once.
func (m *Memory) Wake(_ context.Context, applications []types.NamespacedName, delivery Delivery) error {
	m.invalidator.InvalidateKey(delivery.Event.Key())
	err := m.enqueue(applications)
	select {
	case m.arrived <- struct{}{}:
	default: // the sender has yet to look, and will find these too
	}
	return err
}

func (m *Memory) enqueue(applications []types.NamespacedName) error {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	for _, name := range applications {
		if m.waiting[name] {
			continue
		}
		if len(m.order) >= m.limit {
			return errTooManyPending
		}
		m.waiting[name] = true
		m.order = append(m.order, name)
	}
	return nil
}

// NeedLeaderElection says that it runs on every replica: it must be ready when this one becomes the leader.
func (m *Memory) NeedLeaderElection() bool { return false }

// Start hands over what waits, in the order of arrival, until ctx ends.
func (m *Memory) Start(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-m.arrived:
		}
		for name, more := m.take(); more; name, more = m.take() {
			application := &mainstemv1.Application{}
			application.Namespace, application.Name = name.Namespace, name.Name
			select {
			case <-ctx.Done():
				return nil
			case m.events <- event.GenericEvent{Object: application}:
			}
		}
	}
}

// take gives the next Application. It no longer waits from then on: what arrives while it is reconciled wakes it once more.
func (m *Memory) take() (types.NamespacedName, bool) {
	m.mutex.Lock()
	defer m.mutex.Unlock()
	if len(m.order) == 0 {
		m.order = nil
		return types.NamespacedName{}, false
	}
	next := m.order[0]
	m.order = m.order[1:]
	delete(m.waiting, next)
	return next, true
}
