package github

import (
	"fmt"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// shown gives the metrics by name, API and credential.
func shown(t *testing.T, clients *Clients) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(clients); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			key := family.GetName()
			for _, label := range metric.GetLabel() {
				key += " " + label.GetValue()
			}
			values[key] = metric.GetGauge().GetValue()
		}
	}
	return values
}

func TestWhatIsLeftOfTheLimitIsAMetric(t *testing.T) {
	clock := newStepClock()
	reset := clock.now().Add(time.Hour)
	left := 4000
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer ghp_unlimited" {
			left--
			w.Header().Set("X-Ratelimit-Limit", "5000")
			w.Header().Set("X-Ratelimit-Remaining", fmt.Sprint(left))
			w.Header().Set("X-Ratelimit-Reset", unix(reset))
		}
		_, _ = fmt.Fprint(w, repositoryJSON)
	})
	clients := NewClients(Options{Now: clock.now})
	if values := shown(t, clients); len(values) != 0 {
		t.Errorf("before any request: %v", values)
	}
	credential := mustCredential(t, tokenData("ghp_secret"))
	// The third has the same labels as the first.
	elsewhere := server.repository()
	elsewhere.APIURL = server.URL
	for _, client := range []*Client{
		clientFor(t, clients, server.repository(), credential),
		clientFor(t, clients, server.repository(), mustCredential(t, tokenData("ghp_unlimited"))),
		clientFor(t, clients, elsewhere, credential),
	} {
		if _, err := client.Info(testContext(t)); err != nil {
			t.Fatal(err)
		}
	}
	labels := fmt.Sprintf(" %s %.12s", server.repository().Host, credential.Fingerprint())
	want := map[string]float64{
		"mainstem_github_rate_limit_limit" + labels:                   5000,
		"mainstem_github_rate_limit_remaining" + labels:               3998,
		"mainstem_github_rate_limit_reset_timestamp_seconds" + labels: float64(reset.Unix()),
	}
	if values := shown(t, clients); fmt.Sprint(values) != fmt.Sprint(want) {
		t.Errorf("got %v, want %v", values, want)
	}
	clock.advance(time.Hour)
	if values := shown(t, clients); len(values) != 0 {
		t.Errorf("what was left before the limit was renewed is shown: %v", values)
	}
}
