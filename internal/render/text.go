// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package render

import (
	"strings"
	"unicode"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// maxStatusDescription is GitHub's limit for the description of a commit status, in characters.
const maxStatusDescription = 140

// CommitStatusContext is the context of Mainstem's commit status about an environment.
func CommitStatusContext(environment v1alpha1.EnvironmentName) string {
	return "mainstem/" + string(environment)
}

// CommitStatusDescription makes a sentence fit into a commit status: one line of at most 140 characters.
func CommitStatusDescription(text string) string {
	return cutText(oneLine(text), maxStatusDescription)
}

// cutText cuts a text to at most so many runes; an ellipsis says that something is gone.
func cutText(text string, runes int) string {
	all := []rune(text)
	if len(all) <= runes {
		return text
	}
	return strings.TrimRightFunc(string(all[:max(0, runes-1)]), unicode.IsSpace) + "…"
}

// oneLine puts a text on one line: every stretch of white space and control characters becomes one space, and what would
// turn the direction of writing around is dropped, so that nothing reads other than it is.
func oneLine(text string) string {
	mapped := strings.Map(func(r rune) rune {
		switch {
		case unicode.Is(unicode.Bidi_Control, r), r == '\ufeff':
			return -1
		case unicode.IsSpace(r), unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "\ufffd"))
	return strings.Join(strings.Fields(mapped), " ")
}
