// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package events records events where people look: on Kubernetes objects and, where its address is given, with Flux's
// notification-controller, which carries them to chat and the like.
package events

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/fluxcd/pkg/runtime/events"
	"github.com/go-logr/logr"
	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/tools/record"
	ctrl "sigs.k8s.io/controller-runtime"
)

const (
	// maxWaiting bounds the events that wait for notification-controller.
	maxWaiting = 1024
	// drainTime is for how long what waits is still sent when the operator stops: the next leader waits for the lease meanwhile.
	drainTime = 3 * time.Second
)

// Recorder records events. Add it to the manager: [Recorder.Start] sends what waits for notification-controller.
type Recorder struct {
	kubernetes record.EventRecorder
	// flux posts to notification-controller and nowhere else. A post takes as long as its tries take, most of a minute where
	// nobody answers: no reconciliation waits for one.
	flux    record.EventRecorder
	posts   bool
	waiting chan post
	dropped atomic.Int64
	drain   time.Duration
	log     logr.Logger
}

// post is an event on its way to notification-controller.
type post struct {
	regarding               runtime.Object
	eventtype, reason, note string
}

// New makes a Recorder. address is notification-controller's, as Flux controllers take it in --events-addr; it may be empty.
func New(mgr ctrl.Manager, address, controller string) (*Recorder, error) {
	// Without an address, Flux's recorder is one of Kubernetes' own that takes over the annotations meant for events.
	log := ctrl.Log.WithName("events")
	kubernetes, err := events.NewRecorder(mgr, log, "", controller)
	if err != nil {
		return nil, fmt.Errorf("recording events: %w", err)
	}
	return newRecorder(log, mgr.GetScheme(), kubernetes, address, controller)
}

func newRecorder(log logr.Logger, scheme *runtime.Scheme, kubernetes record.EventRecorder, address, controller string) (*Recorder, error) {
	flux, err := events.NewRecorderForScheme(scheme, nowhere{}, log, address, controller)
	if err != nil {
		return nil, fmt.Errorf("sending events to %s: %w", address, err)
	}
	return &Recorder{
		kubernetes: kubernetes, flux: flux, posts: address != "",
		waiting: make(chan post, maxWaiting), drain: drainTime, log: log,
	}, nil
}

// Eventf records an event about an object, in the form of events.k8s.io, and waits for nobody. Flux's notification-controller knows
// neither the second object nor an action, and nothing that is cluster-scoped: events about that are Kubernetes' alone. It has the
// parameters of that API's recorder.
//
//nolint:revive // The signature is events.k8s.io's.
func (r *Recorder) Eventf(regarding, _ runtime.Object, eventtype, reason, _, note string, args ...any) {
	r.kubernetes.Eventf(regarding, eventtype, reason, note, args...)
	if object, err := meta.Accessor(regarding); !r.posts || err != nil || object.GetNamespace() == "" {
		return
	}
	// What reconciles the object goes on changing it.
	event := post{regarding: regarding.DeepCopyObject(), eventtype: eventtype, reason: reason, note: fmt.Sprintf(note, args...)}
	select {
	case r.waiting <- event:
	default:
		if r.dropped.Add(1) == 1 {
			r.log.Info("Too many events wait for notification-controller: further ones are recorded on their objects alone", "waiting", cap(r.waiting))
		}
	}
}

// NeedLeaderElection says that it runs where the controllers do.
func (r *Recorder) NeedLeaderElection() bool { return true }

// Start sends events to notification-controller, in their order, until ctx ends, and then for a moment what still waits.
func (r *Recorder) Start(ctx context.Context) error {
	draining, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		r.send(ctx, draining)
	}()
	<-ctx.Done()
	patience := time.NewTimer(r.drain)
	defer patience.Stop()
	select {
	case <-sent:
	case <-patience.C:
		r.log.Info("Stopping with events that notification-controller has not taken", "waiting", len(r.waiting))
	}
	return nil
}

// send posts one event after the other until ctx ends and none waits, or draining ends.
func (r *Recorder) send(ctx, draining context.Context) {
	for draining.Err() == nil {
		select {
		case event := <-r.waiting:
			r.post(event)
			continue
		default:
		}
		select {
		case event := <-r.waiting:
			r.post(event)
		case <-ctx.Done():
			if len(r.waiting) == 0 {
				return
			}
		}
	}
}

func (r *Recorder) post(event post) {
	if dropped := r.dropped.Swap(0); dropped > 0 {
		r.log.Info("Events were not sent to notification-controller", "events", dropped)
	}
	r.flux.Event(event.regarding, event.eventtype, event.reason, event.note)
}

// nowhere is the Kubernetes recorder of what only posts.
type nowhere struct{}

func (nowhere) Event(runtime.Object, string, string, string)          {}
func (nowhere) Eventf(runtime.Object, string, string, string, ...any) {}

func (nowhere) AnnotatedEventf(runtime.Object, map[string]string, string, string, string, ...any) {}
