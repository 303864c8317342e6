// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package bench

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"

	"github.com/mainstem-dev/mainstem/test/rig"
)

// startOperator starts the operator for the first time and returns when it is ready.
func (w *world) startOperator(b *testing.B) {
	b.Helper()
	addresses, err := rig.FreeAddresses(b.Context(), 4)
	if err != nil {
		b.Fatal(err)
	}
	kubeconfig := filepath.Join(w.dir, "mainstem.kubeconfig")
	if err := rig.WriteKubeconfig(w.operator, kubeconfig); err != nil {
		b.Fatal(err)
	}
	w.metricsURL = "http://" + addresses[0] + "/metrics"
	w.relay.lead(addresses[2])
	err = w.rig.StartProcess(b.Context(), rig.Process{
		Name: operatorName,
		Path: w.binary(),
		Args: []string{
			"--instance=" + instance, "--system-namespace=" + operatorNamespace,
			"--metrics-bind-address=" + addresses[0], "--health-probe-bind-address=" + addresses[1], "--webhook-bind-address=" + addresses[2],
			"--pprof-bind-address=" + addresses[3], "--log-level=info", "--log-encoding=json",
		},
		Env:      []string{"KUBECONFIG=" + kubeconfig},
		ReadyURL: "http://" + addresses[1] + "/readyz",
	})
	if err != nil {
		b.Fatal(err)
	}
	fmt.Fprintf(os.Stderr, "the operator's profiles are at http://%s/debug/pprof/\n", addresses[3])
}

// usage is what the operator has used so far.
type usage struct {
	// writes are its requests to the API server that are no reads, and reconciliations those of Applications.
	writes, reconciliations float64
	// calls are those to GitHub, charged those of them that count against the limit.
	calls, charged float64
	processor      time.Duration
}

func (w *world) usage(b *testing.B) usage {
	b.Helper()
	m, err := readMetrics(b.Context(), w.metricsURL)
	if err != nil {
		b.Fatal(err)
	}
	u := w.calls()
	u.reconciliations = m.sum("controller_runtime_reconcile_total", `controller="application"`)
	// One request that is no GET asks who the operator is, when it starts, and changes nothing.
	u.writes = m.sum("rest_client_requests_total") - m.sum("rest_client_requests_total", `method="GET"`) - 1
	pid, err := w.rig.PID(operatorName)
	if err != nil {
		b.Fatal(err)
	}
	if u.processor, err = processorTime(pid); err != nil {
		b.Fatal(err)
	}
	return u
}

func (u usage) since(before usage) usage {
	return usage{
		writes: u.writes - before.writes, reconciliations: u.reconciliations - before.reconciliations,
		calls: u.calls - before.calls, charged: u.charged - before.charged, processor: u.processor - before.processor,
	}
}

// story tells what was written, and what GitHub was asked, between two moments, for those who look for what costs.
type story struct{ requests, calls metrics }

func (w *world) story(b *testing.B) story {
	b.Helper()
	s := story{w.requests(b), metrics{}}
	for route, count := range w.github.Calls() {
		s.calls[route] = float64(count.Total)
	}
	return s
}

// tell logs what happened since.
func (w *world) tell(b *testing.B, since story) {
	b.Helper()
	now := w.story(b)
	b.Logf("API server: %v", difference(now.requests, since.requests))
	b.Logf("GitHub: %v", difference(now.calls, since.calls))
}

// requests counts what the API server was asked for but to read, by verb and resource.
func (w *world) requests(b *testing.B) metrics {
	b.Helper()
	set, err := kubernetes.NewForConfig(w.rig.Admin())
	if err != nil {
		b.Fatal(err)
	}
	content, err := set.RESTClient().Get().AbsPath("/metrics").DoRaw(b.Context())
	if err != nil {
		b.Fatalf("reading the API server's metrics: %v", err)
	}
	all, err := parseMetrics(bytes.NewReader(content))
	if err != nil {
		b.Fatal(err)
	}
	writes := metrics{}
	for series, value := range all {
		if !strings.HasPrefix(series, "apiserver_request_total{") {
			continue
		}
		verb := labelOf(series, "verb")
		if verb == "GET" || verb == "LIST" || verb == "WATCH" {
			continue
		}
		key := strings.TrimSuffix(verb+" "+labelOf(series, "resource")+"/"+labelOf(series, "subresource"), "/") + " " + labelOf(series, "code")
		writes[key] += value
	}
	return writes
}

func labelOf(series, name string) string {
	_, rest, _ := strings.Cut(series, name+`="`)
	value, _, _ := strings.Cut(rest, `"`)
	return value
}

// settle waits until the operator has nothing left to do: no source is there that nobody uses, and it has written nothing for a
// while.
func (w *world) settle(b *testing.B) {
	b.Helper()
	const quiet = 7 * time.Second // Environments count their Applications at most every 5 s.
	before, since := w.usage(b).writes, time.Now()
	w.await(b, "the operator writes, or has sources to remove", func() bool {
		if time.Since(since) < quiet {
			return false
		}
		now := w.usage(b).writes
		settled := now == before && w.moments.unused() == 0
		before, since = now, time.Now()
		return settled
	})
}

// drained says whether every Application was reconciled since the operator started, and none waits for its turn.
func (w *world) drained(b *testing.B) bool {
	b.Helper()
	m, err := readMetrics(b.Context(), w.metricsURL)
	if err != nil {
		return false // it does not listen yet
	}
	return m.sum("controller_runtime_reconcile_total", `controller="application"`) >= float64(len(w.apps)) &&
		m.sum("workqueue_depth", `name="application"`) == 0 && m.sum("controller_runtime_active_workers", `controller="application"`) == 0
}
