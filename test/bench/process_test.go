// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package bench

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	// ticks is how many of the kernel's clock ticks a second has, in /proc.
	ticks = 100
	// metricsTimeout bounds one look at the metrics.
	metricsTimeout = 10 * time.Second
)

// processorTime is what a process has used of the processors so far, in user and system mode, as proc(5) tells it.
func processorTime(pid int) (time.Duration, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, fmt.Errorf("reading the processor time: %w", err)
	}
	// The program's name, in parentheses, may hold spaces. After it, utime and stime are the 12th and 13th fields.
	fields := bytes.Fields(content[bytes.LastIndexByte(content, ')')+1:])
	const utime, stime = 11, 12
	if len(fields) <= stime {
		return 0, fmt.Errorf("reading the processor time: %q", content)
	}
	var total time.Duration
	for _, field := range [][]byte{fields[utime], fields[stime]} {
		spent, err := strconv.ParseInt(string(field), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("reading the processor time: %w", err)
		}
		total += time.Duration(spent) * time.Second / ticks
	}
	return total, nil
}

// memory of a process, in MiB.
type memory struct {
	// resident is what it has now, peak the most that it ever had.
	resident, peak float64
}

func memoryOf(pid int) (memory, error) {
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return memory{}, fmt.Errorf("reading the memory: %w", err)
	}
	var found memory
	for line := range strings.Lines(string(content)) {
		key, value, _ := strings.Cut(line, ":")
		kibibytes, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(value), " kB"), 64)
		if err != nil {
			continue
		}
		switch key {
		case "VmRSS":
			found.resident = kibibytes / 1024
		case "VmHWM":
			found.peak = kibibytes / 1024
		}
	}
	return found, nil
}

// metrics are samples by their series, as in name{label="value"}.
type metrics map[string]float64

// readMetrics reads Prometheus' text format.
func readMetrics(ctx context.Context, url string) (metrics, error) {
	ctx, cancel := context.WithTimeout(ctx, metricsTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	const maxMetrics = 16 << 20
	return parseMetrics(io.LimitReader(response.Body, maxMetrics))
}

func parseMetrics(in io.Reader) (metrics, error) {
	found := metrics{}
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		series, text, ok := cutLast(lines.Text(), ' ')
		if !ok || strings.HasPrefix(series, "#") {
			continue
		}
		if value, err := strconv.ParseFloat(text, 64); err == nil {
			found[series] = value
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	return found, nil
}

func cutLast(text string, separator byte) (before, after string, found bool) {
	at := strings.LastIndexByte(text, separator)
	if at < 0 {
		return text, "", false
	}
	return text[:at], text[at+1:], true
}

// sum adds the samples of a name whose labels hold all of these texts.
func (m metrics) sum(name string, labels ...string) float64 {
	total := 0.0
samples:
	for series, value := range m {
		if series != name && !strings.HasPrefix(series, name+"{") {
			continue
		}
		for _, label := range labels {
			if !strings.Contains(series, label) {
				continue samples
			}
		}
		total += value
	}
	return total
}
