// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// listed is how many names a sentence lists before it says how many more there are.
const listed = 8

func list(names []string) string {
	sorted := slices.Sorted(slices.Values(names))
	if len(sorted) > listed {
		return fmt.Sprintf("%s and %d more", strings.Join(sorted[:listed], ", "), len(sorted)-listed)
	}
	return strings.Join(sorted, ", ")
}

// sayings are what is said of environments, in the order in which it was first said. What is true of several is told once.
type sayings struct {
	words []string
	of    map[string][]v1alpha1.EnvironmentName
}

func (s *sayings) add(env v1alpha1.EnvironmentName, words string) {
	if s.of == nil {
		s.of = map[string][]v1alpha1.EnvironmentName{}
	}
	if s.of[words] == nil {
		s.words = append(s.words, words)
	}
	s.of[words] = append(s.of[words], env)
}

// told is each saying with the environments that it is about.
func (s *sayings) told(tell func(envs, words string) string) []string {
	var all []string
	for _, words := range s.words {
		all = append(all, tell(joined(s.of[words]), words))
	}
	return all
}

func joined(names []v1alpha1.EnvironmentName) string {
	words := make([]string, 0, len(names))
	for _, n := range names {
		words = append(words, string(n))
	}
	return strings.Join(words, ", ")
}

// commits counts commits in words.
func commits(n int) string {
	if n == 1 {
		return "1 commit"
	}
	return fmt.Sprintf("%d commits", n)
}

// instant is a moment as messages write it: it does not run.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// clock is a moment in few characters. It names the day only where that is needed to be clear, which is never decided by the
// present moment: a message must not change because time passes.
func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// cut bounds text to a number of bytes without cutting a character in two.
func cut(text string, most int) string {
	if len(text) <= most {
		return text
	}
	kept := text[:most-len("…")]
	for kept != "" && !strings.HasPrefix(text, strings.ToValidUTF8(kept, "")) {
		kept = kept[:len(kept)-1]
	}
	return strings.ToValidUTF8(kept, "") + "…"
}
