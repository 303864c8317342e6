// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package events records events where people look: on Kubernetes objects and, where its address is given, with Flux's
// notification-controller, which carries them to chat and the like.
package events

import (
	"fmt"

	"github.com/fluxcd/pkg/runtime/events"
	"k8s.io/apimachinery/pkg/runtime"
	ctrl "sigs.k8s.io/controller-runtime"
)

// Recorder records events.
type Recorder struct{ flux *events.Recorder }

// New makes a Recorder. address is notification-controller's, as Flux controllers take it in --events-addr; it may be empty.
func New(mgr ctrl.Manager, address, controller string) (*Recorder, error) {
	recorder, err := events.NewRecorder(mgr, ctrl.Log.WithName("events"), address, controller)
	if err != nil {
		return nil, fmt.Errorf("sending events to %s: %w", address, err)
	}
	return &Recorder{flux: recorder}, nil
}

// Eventf records an event about an object, in the form of events.k8s.io. Flux's notification-controller knows neither the second
// object nor an action. It has the parameters of that API's recorder.
//
//nolint:revive // The signature is events.k8s.io's.
func (r *Recorder) Eventf(regarding, _ runtime.Object, eventtype, reason, _, note string, args ...any) {
	r.flux.Eventf(regarding, eventtype, reason, note, args...)
}
