// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package render

import (
	"net/url"
	"regexp"
	"strings"
)

// Commit messages, names and comments are written by strangers, and GitHub acts upon what stands in a pull request's body:
// it notifies who is mentioned, links and closes issues that are referred to, and hides HTML comments. escapeText makes
// text say what it says and do nothing.

// markdownEscapes writes every character with a meaning in Markdown so that it has none. A backslash is not enough for @
// and #: GitHub looks for mentions and references in what Markdown has made, so a zero-width space follows them.
var markdownEscapes = strings.NewReplacer(
	"&", "&amp;", "<", "&lt;", ">", "&gt;",
	"\\", "\\\\", "`", "\\`", "*", "\\*", "_", "\\_", "~", "\\~", "|", "\\|",
	"[", "\\[", "]", "\\]", "$", "\\$",
	"#", "\\#&#8203;", "@", "@&#8203;",
	"://", ":&#8203;//",
)

// Words that GitHub makes links or references of without any character of Markdown.
var (
	issueReference = regexp.MustCompile(`(?i)(gh-)(\d)`)
	bareAddress    = regexp.MustCompile(`(?i)(www\.)`)
)

// escapeText makes one line of Markdown that shows text, cut to so many runes, and does nothing else: no markup, HTML,
// mention, reference to an issue, or link.
func escapeText(text string, runes int) string {
	escaped := markdownEscapes.Replace(cutText(oneLine(text), runes))
	escaped = issueReference.ReplaceAllString(escaped, "${1}&#8203;${2}")
	return bareAddress.ReplaceAllString(escaped, "${1}&#8203;")
}

// link makes a Markdown link out of a label, which must be Markdown already, and an address. An address that is not http
// or https, or that could end the link early, gives the label alone.
func link(label, address string) string {
	parsed, err := url.Parse(address)
	if err != nil || parsed.Host == "" || (parsed.Scheme != "https" && parsed.Scheme != "http") {
		return label
	}
	target := parsed.String()
	if len(target) > maxAddress || strings.ContainsAny(target, " <>()[]\\\"'`|@#") {
		return label
	}
	return "[" + label + "](" + target + ")"
}

// maxAddress is the longest address that is linked, in bytes, as in the API.
const maxAddress = 2048

// code shows a commit's digits, or another text of which nothing but letters and digits is left, as code.
func code(digits string) string {
	return "`" + notAlphanumeric.ReplaceAllString(digits, "") + "`"
}

var notAlphanumeric = regexp.MustCompile(`[^A-Za-z0-9]+`)
