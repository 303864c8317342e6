// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestCycle(t *testing.T) {
	tests := map[string]struct {
		environments map[string][]string
		start        string
		want         string
	}{
		"no environments":     {nil, "develop", ""},
		"an entry":            {map[string][]string{"develop": nil}, "develop", ""},
		"a line":              {map[string][]string{"develop": nil, "staging": {"develop"}, "main": {"staging"}}, "main", ""},
		"a diamond":           {map[string][]string{"a": nil, "b": {"a"}, "c": {"a"}, "d": {"b", "c"}}, "d", ""},
		"an upstream missing": {map[string][]string{"main": {"gone"}}, "main", ""},
		"itself":              {map[string][]string{"a": {"a"}}, "a", "a → a"},
		"two, from one":       {map[string][]string{"develop": {"main"}, "main": {"develop"}}, "develop", "develop → main → develop"},
		"two, from the other": {map[string][]string{"develop": {"main"}, "main": {"develop"}}, "main", "develop → main → develop"},
		// staging comes after develop, main after staging, develop after main: releases would flow in this order.
		"three, in the order of flow": {map[string][]string{"develop": {"main"}, "staging": {"develop"}, "main": {"staging"}}, "main", "develop → staging → main → develop"},
		"downstream of a circle":      {map[string][]string{"a": {"b"}, "b": {"a"}, "x": {"a"}, "y": {"x"}}, "y", "a → b → a"},
		"upstream of a circle":        {map[string][]string{"entry": nil, "a": {"entry", "b"}, "b": {"a"}}, "entry", ""},
		"beside a circle":             {map[string][]string{"a": {"b"}, "b": {"a"}, "x": nil}, "x", ""},
		// The own circle is longer than the one upstream, and still the one to tell.
		"its own wins over one upstream": {map[string][]string{"a": {"b", "x"}, "b": {"c"}, "c": {"a"}, "x": {"x"}}, "a", "a → c → b → a"},
		"the shorter of two":             {map[string][]string{"a": {"b", "d"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}, "a", "a → d → a"},
		"an upstream named twice":        {map[string][]string{"a": {"b", "b"}, "b": {"a", "a"}}, "a", "a → b → a"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := strings.Join(Cycle(test.environments, test.start), " → "); got != test.want {
				t.Errorf("Cycle is %q, want %q", got, test.want)
			}
		})
	}
}

// anyGraph draws Environments with any upstreams, some of which do not exist.
func anyGraph(t *rapid.T) map[string][]string {
	count := rapid.IntRange(1, 8).Draw(t, "count")
	graph := map[string][]string{}
	for i := range count {
		ups := rapid.SliceOfN(rapid.IntRange(0, count), 0, 3).Draw(t, fmt.Sprintf("after-%d", i))
		name := fmt.Sprintf("e%d", i)
		graph[name] = []string{}
		for _, up := range ups {
			graph[name] = append(graph[name], fmt.Sprintf("e%d", up))
		}
	}
	return graph
}

// reaches says whether a walk of at least one step upstream leads from one name to another. It is written differently from the
// code that is tested: by closing the relation instead of walking.
func reaches(graph map[string][]string) func(from, to string) bool {
	closure := map[[2]string]bool{}
	for name, ups := range graph {
		for _, up := range ups {
			closure[[2]string{name, up}] = true
		}
	}
	for through := range graph {
		for from := range graph {
			for to := range graph {
				if closure[[2]string{from, through}] && closure[[2]string{through, to}] {
					closure[[2]string{from, to}] = true
				}
			}
		}
	}
	return func(from, to string) bool { return closure[[2]string{from, to}] }
}

func TestCycleIsARealCircleOrThereIsNone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		graph := anyGraph(t)
		start := fmt.Sprintf("e%d", rapid.IntRange(0, len(graph)-1).Draw(t, "start"))
		reach := reaches(graph)
		circular := func(name string) bool { return reach(name, name) && (name == start || reach(start, name)) }
		exists := false
		for name := range graph {
			exists = exists || circular(name)
		}

		cycle := Cycle(graph, start)
		if exists != (cycle != nil) {
			t.Fatalf("there is a circle: %t; Cycle is %v", exists, cycle)
		}
		if cycle == nil {
			return
		}
		names := cycle[:len(cycle)-1]
		if len(names) == 0 || cycle[0] != cycle[len(names)] || cycle[0] != slices.Min(names) {
			t.Fatalf("%v does not begin and end with its first name", cycle)
		}
		if len(slices.Compact(slices.Sorted(slices.Values(names)))) != len(names) {
			t.Fatalf("%v goes through a name twice", cycle)
		}
		for i, name := range names {
			if next := cycle[i+1]; !slices.Contains(graph[next], name) {
				t.Fatalf("%v: %s does not come after %s", cycle, next, name)
			}
			if !circular(name) {
				t.Fatalf("%v: %s does not concern %s", cycle, name, start)
			}
		}
		if reach(start, start) && !slices.Contains(names, start) {
			t.Fatalf("%s is on a circle, but %v is told", start, cycle)
		}
	})
}

func TestCycleIsTheSameForTheSameGraph(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		graph := anyGraph(t)
		start := fmt.Sprintf("e%d", rapid.IntRange(0, len(graph)-1).Draw(t, "start"))
		shuffled := map[string][]string{}
		for name, ups := range graph {
			shuffled[name] = slices.Clone(ups)
			slices.Reverse(shuffled[name])
		}
		if a, b := Cycle(graph, start), Cycle(shuffled, start); !slices.Equal(a, b) {
			t.Fatalf("%v became %v when lists were turned round", a, b)
		}
	})
}
