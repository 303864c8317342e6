// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package github

import (
	"net/url"

	"github.com/prometheus/client_golang/prometheus"
)

// labelLength is how much of a credential's fingerprint a metric shows: enough to tell them apart.
const labelLength = 12

// The primary rate limit of each credential, as GitHub said it last.
var (
	limitLabels   = []string{"api", "credential"}
	limitOf       = prometheus.NewDesc("mainstem_github_rate_limit_limit", "Requests to GitHub that a credential has in an hour.", limitLabels, nil)
	limitLeft     = prometheus.NewDesc("mainstem_github_rate_limit_remaining", "Requests to GitHub that a credential has left until the reset.", limitLabels, nil)
	limitRenewsAt = prometheus.NewDesc("mainstem_github_rate_limit_reset_timestamp_seconds", "When a credential has all of its requests again, in Unix time.", limitLabels, nil)
)

// Describe names the metrics that [Clients.Collect] gives.
func (c *Clients) Describe(descriptions chan<- *prometheus.Desc) {
	for _, description := range []*prometheus.Desc{limitOf, limitLeft, limitRenewsAt} {
		descriptions <- description
	}
}

// Collect gives what is left of the primary rate limit, by API host and a credential's fingerprint. A credential that asked for nothing
// since its limit was renewed is left out, as one is that has no limit.
func (c *Clients) Collect(metrics chan<- prometheus.Metric) {
	for labels, budget := range c.budgets() {
		metrics <- prometheus.MustNewConstMetric(limitOf, prometheus.GaugeValue, float64(budget.Limit), labels[:]...)
		metrics <- prometheus.MustNewConstMetric(limitLeft, prometheus.GaugeValue, float64(budget.Remaining), labels[:]...)
		metrics <- prometheus.MustNewConstMetric(limitRenewsAt, prometheus.GaugeValue, float64(budget.Reset.Unix()), labels[:]...)
	}
}

// budgets gives what is left to the credentials that are in use, by the values of limitLabels. Where two have the same, as at two API
// roots of one host, it is the smaller one.
func (c *Clients) budgets() map[[2]string]Budget {
	c.mu.Lock()
	held := c.connections.Values()
	c.mu.Unlock()
	now := c.options.Now()
	budgets := make(map[[2]string]Budget, len(held))
	for _, shared := range held {
		budget := shared.limits.current()
		root, err := url.Parse(shared.apiURL)
		if err != nil || !budget.Known || !budget.Reset.After(now) {
			continue
		}
		labels := [2]string{root.Host, shared.fingerprint[:min(labelLength, len(shared.fingerprint))]}
		if known, ok := budgets[labels]; !ok || budget.Remaining < known.Remaining {
			budgets[labels] = budget
		}
	}
	return budgets
}
