// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"text/tabwriter"
	"time"
)

// jsonVariable names the file that the figures are written to; without it, nothing is written.
const jsonVariable = "BENCH_JSON"

// figure is one thing that was measured.
type figure struct {
	Benchmark string  `json:"benchmark"`
	Name      string  `json:"name"`
	Value     float64 `json:"value"`
	Unit      string  `json:"unit"`
	// Baseline is what it is compared with, of the same run and in the same unit.
	Baseline     *float64 `json:"baseline,omitempty"`
	BaselineName string   `json:"baselineName,omitempty"`
	// Aim is the largest value that is aimed at.
	Aim *float64 `json:"aim,omitempty"`
	Met *bool    `json:"met,omitempty"`
}

var (
	figures      []figure
	figuresMutex sync.Mutex
)

// report keeps a figure, and gives it to the benchmark as a metric.
func report(b *testing.B, f figure) {
	b.Helper()
	f.Benchmark = strings.TrimPrefix(b.Name(), "Benchmark")
	if f.Aim != nil {
		met := f.Value <= *f.Aim
		f.Met = &met
	}
	b.ReportMetric(f.Value, strings.ReplaceAll(f.Name, " ", "-")+"-"+strings.ReplaceAll(f.Unit, " ", "-"))
	figuresMutex.Lock()
	defer figuresMutex.Unlock()
	figures = append(figures, f)
}

// plain is a figure that is compared with nothing.
func plain(name string, value float64, unit string) figure {
	return figure{Name: name, Value: value, Unit: unit}
}

// atMost sets an aim.
func (f figure) atMost(aim float64) figure {
	f.Aim = &aim
	return f
}

// beside sets the baseline, and no aim.
func (f figure) beside(name string, baseline float64) figure {
	f.Baseline, f.BaselineName = &baseline, name
	return f
}

// against sets the baseline, and as the aim so many times the baseline.
func (f figure) against(name string, baseline, times float64) figure {
	return f.beside(name, baseline).atMost(baseline * times)
}

func TestMain(m *testing.M) {
	code := m.Run()
	if len(figures) > 0 {
		writeTable(os.Stdout)
		if err := writeJSON(os.Getenv(jsonVariable)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			code = max(code, 1)
		}
	}
	os.Exit(code)
}

func writeTable(out io.Writer) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprint(table, "\nbenchmark\tfigure\tmeasured\tbaseline\taim\t\n")
	for i := range figures {
		f := &figures[i]
		baseline, aim, met := "", "", ""
		if f.Baseline != nil {
			baseline = fmt.Sprintf("%s (%s)", amount(*f.Baseline), f.BaselineName)
		}
		if f.Aim != nil {
			aim, met = "≤ "+amount(*f.Aim), "missed"
			if *f.Met {
				met = "met"
			}
		}
		_, _ = fmt.Fprintf(table, "%s\t%s\t%s %s\t%s\t%s\t%s\n", f.Benchmark, f.Name, amount(f.Value), f.Unit, baseline, aim, met)
	}
	_ = table.Flush() // it goes to the terminal
	_, _ = fmt.Fprintf(out, "\nload average at the end: %s on %d CPUs\n", load(), runtime.NumCPU())
}

// amount rounds to what matters.
func amount(value float64) string {
	switch {
	case value == math.Trunc(value):
		return fmt.Sprintf("%.0f", value)
	case math.Abs(value) >= 100:
		return fmt.Sprintf("%.0f", value)
	case math.Abs(value) >= 10:
		return fmt.Sprintf("%.1f", value)
	}
	return fmt.Sprintf("%.2f", value)
}

func writeJSON(path string) error {
	if path == "" {
		return nil
	}
	content, err := json.MarshalIndent(struct {
		Time time.Time `json:"time"`
		CPUs int       `json:"cpus"`
		Go   string    `json:"go"`
		// Load is the machine's load average over the last 1, 5 and 15 minutes: who else was there.
		Load    string   `json:"load"`
		Figures []figure `json:"figures"`
	}{time.Now().UTC().Truncate(time.Second), runtime.NumCPU(), runtime.Version(), load(), figures}, "", "  ")
	if err == nil {
		err = os.MkdirAll(filepath.Dir(path), 0o750)
	}
	if err == nil {
		err = os.WriteFile(path, append(content, '\n'), 0o600)
	}
	if err != nil {
		return fmt.Errorf("writing the figures to %s: %w", path, err)
	}
	return nil
}

// load is the first part of proc(5)'s loadavg; empty where there is none.
func load() string {
	content, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return ""
	}
	return strings.Join(strings.Fields(string(content))[:3], " ")
}

// percentile is the smallest of the durations that so many percent do not exceed, in milliseconds.
func percentile(durations []time.Duration, percent float64) float64 {
	if len(durations) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(durations))
	rank := int(math.Ceil(percent / 100 * float64(len(sorted))))
	return milliseconds(sorted[max(rank, 1)-1])
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
