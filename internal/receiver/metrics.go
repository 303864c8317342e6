// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mainstem-dev/mainstem/internal/github"
)

// outcome is what became of a delivery, as a metric's label.
type outcome string

const (
	// outcomeWoken : Applications were woken.
	outcomeWoken outcome = "woken"
	// outcomeRepeated : the same delivery was taken shortly before.
	outcomeRepeated outcome = "repeated"
	// outcomePinged : GitHub tried the webhook.
	outcomePinged outcome = "pinged"
	// outcomeIgnored : an event that means nothing here.
	outcomeIgnored outcome = "ignored"
	// outcomeUnknownRepository : no Application is of that repository.
	outcomeUnknownRepository outcome = "unknown_repository"
	// outcomeUnsigned : there is no SHA-256 signature.
	outcomeUnsigned outcome = "unsigned"
	// outcomeForged : no secret of the repository's Applications made the signature.
	outcomeForged outcome = "forged"
	// outcomeTooLarge : the body is above its cap.
	outcomeTooLarge outcome = "too_large"
	// outcomeMalformed : the body is cut or not what GitHub sends.
	outcomeMalformed outcome = "malformed"
	// outcomeUnsupported : another method or content type.
	outcomeUnsupported outcome = "unsupported"
	// outcomeBusy : too many deliveries at once.
	outcomeBusy outcome = "busy"
	// outcomeFailed : the API server could not be asked or written to.
	outcomeFailed outcome = "failed"
)

// otherEvents is the label of every event that means nothing here: the header is anybody's to write, and labels must be few.
const otherEvents = "other"

func eventLabel(kind string) string {
	if github.Known(kind) {
		return kind
	}
	return otherEvents
}

// Metrics counts deliveries.
type Metrics struct {
	deliveries *prometheus.CounterVec
	backlog    prometheus.Gauge
}

// NewMetrics registers mainstem_webhook_deliveries_total{event,outcome} and mainstem_webhook_backlog.
func NewMetrics(registerer prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "mainstem_webhook_deliveries_total",
			Help: "Webhook deliveries from GitHub, by event and by what became of them.",
		}, []string{"event", "outcome"}),
		backlog: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "mainstem_webhook_backlog",
			Help: "Failed webhook deliveries that this replica will handle once the API server answers.",
		}),
	}
	for _, collector := range []prometheus.Collector{m.deliveries, m.backlog} {
		if err := registerer.Register(collector); err != nil {
			return nil, fmt.Errorf("registering the metrics of the webhook receiver: %w", err)
		}
	}
	return m, nil
}
