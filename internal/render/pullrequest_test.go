// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package render_test

import (
	"fmt"
	"html"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/render"
)

var ours = render.Marker{Instance: "eu-west-1", Namespace: "team-a", Application: "podinfo", Environment: "main"}

// pullRequestFor is a pull request that promotes podinfo into main, changed by the given functions.
func pullRequestFor(change ...func(*render.PullRequest)) render.PullRequest {
	in := render.PullRequest{
		Marker:    ours,
		Base:      "main",
		Release:   scopeFor().Release,
		Upstreams: []v1alpha1.EnvironmentName{"develop"},
		Merge:     v1alpha1.MergeAutomatic,
		Commits: []render.PullRequestCommit{
			{SHA: commit, Message: "Greet in the reader's language\n\nCloses #12", Author: "alice", URL: "https://github.com/acme/podinfo/commit/" + commit},
			{SHA: commit2, Message: "Raise the number of replicas", Author: "Bob B."},
		},
		Gates: []v1alpha1.GateStatus{
			{Name: "proven", Outcome: v1alpha1.GatePassed, Reason: "Proven", Message: "proven in develop by its commit"},
			{Name: "environment/soak", Outcome: v1alpha1.GateWaiting, Reason: "Soaking", Message: "soak until 2026-01-02T14:20:00Z"},
		},
		Approvals: []v1alpha1.ApprovalSpec{
			{Approver: "oidc:carol", Decision: v1alpha1.DecisionApprove, Comment: "seen on develop"},
		},
		EnvironmentURL: "https://podinfo.example.com",
		CompareURL:     "https://github.com/acme/podinfo/compare/main...a1b2c3d4e5f6",
	}
	in.Release.Spec.URL = "https://github.com/acme/podinfo/commit/" + commit
	for _, apply := range change {
		apply(&in)
	}
	return in
}

// hostile is text that would do something if it were not escaped.
const hostile = "<!-- --> @acme/all fixes #1, closes acme/x#2, resolves GH-3, fixes https://github.com/a/b/issues/4 www.evil.example " +
	"**b** _i_ `c` [x](javascript:alert(1)) ![y](z) | a | <script> &lt; \\ $x$ ~~s~~ \u202egnol"

func TestPullRequestBody(t *testing.T) {
	cases := []struct {
		name, reason string
		in           render.PullRequest
	}{
		{"automatic", "people see what is promoted, why not yet, who said yes, and where to look", pullRequestFor()},
		{"manual tag", "a tag is what people call a release; a person is told that merging does not deploy", pullRequestFor(func(in *render.PullRequest) {
			in.Release.Spec.Tag, in.Merge = "v1.2.0", v1alpha1.MergeManual
			in.Release.Spec.URL = "https://github.com/acme/podinfo/releases/tag/v1.2.0"
			in.Upstreams = []v1alpha1.EnvironmentName{"develop", "staging"}
			in.Approvals = []v1alpha1.ApprovalSpec{{Approver: "carol", Decision: v1alpha1.DecisionReject}}
			in.TotalCommits = 300
		})},
		{"bare", "sections without content are left out", pullRequestFor(func(in *render.PullRequest) {
			in.Commits, in.Gates, in.Approvals, in.Upstreams = nil, nil, nil, nil
			in.EnvironmentURL, in.CompareURL, in.Release.Spec.URL = "", "", ""
		})},
		{"hostile", "text by strangers is shown as it is and does nothing", pullRequestFor(func(in *render.PullRequest) {
			in.Commits = []render.PullRequestCommit{{SHA: "`" + commit, Message: hostile, Author: "@eve", URL: "javascript:alert(1)"}}
			in.Gates = []v1alpha1.GateStatus{{Name: "environment/ci", Outcome: v1alpha1.GateFailed, Message: hostile}}
			in.Approvals = []v1alpha1.ApprovalSpec{{Approver: "@mallory", Decision: v1alpha1.DecisionApprove, Comment: "fine\n# by me"}}
			in.EnvironmentURL = "https://x.example/) [click](https://evil.example"
			in.CompareURL = "https://x.example/@acme"
			in.Release.Spec.URL = "javascript://x.example/%0aalert"
		})},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			golden(t, goldenName("pullrequest", c.name, "md"), render.PullRequestTitle(c.in)+"\n\n"+render.PullRequestBody(c.in)+"\n")
		})
	}
}

// TestPullRequestBodyIsBounded : GitHub refuses a longer body, and the pull request would never be opened.
func TestPullRequestBodyIsBounded(t *testing.T) {
	in := pullRequestFor(func(in *render.PullRequest) {
		wide := strings.Repeat("#@", 5000)
		in.Release.Spec.Tag, in.Base = wide, wide
		in.Commits, in.Gates, in.Approvals = nil, nil, nil
		for i := range 1000 {
			in.Commits = append(in.Commits, render.PullRequestCommit{SHA: commit, Message: wide, Author: wide, URL: fmt.Sprintf("https://h/%d/%s", i, strings.Repeat("p", 2000))})
			in.Gates = append(in.Gates, v1alpha1.GateStatus{Name: wide, Message: wide, Outcome: v1alpha1.GateUnknown})
			in.Approvals = append(in.Approvals, v1alpha1.ApprovalSpec{Approver: wide, Comment: wide})
		}
		in.TotalCommits = 5000
	})
	body := render.PullRequestBody(in)
	if len(body) > 65536 {
		t.Errorf("the body has %d bytes, GitHub takes 65536 characters", len(body))
	}
	for _, section := range []string{"### Gates", "### Approvals", "### Commits"} {
		_, after, found := strings.Cut(body, section)
		if !found || !regexp.MustCompile(`(?s)^.{500,}?…and \d+ more`).MatchString(after) {
			t.Errorf("%s is missing, empty, or does not say how much is left out", section)
		}
	}
	rows := strings.Count(body, "- [`")
	if want := fmt.Sprintf("…and %d more", 5000-rows); !strings.Contains(body, want) {
		t.Errorf("%d commits are shown, but the body does not say %q", rows, want)
	}
	if title := render.PullRequestTitle(in); utf8.RuneCountInString(title) > 256 {
		t.Errorf("the title has %d characters, GitHub takes 256", utf8.RuneCountInString(title))
	}
}

// words are texts that could become something else in a body.
var words = rapid.OneOf(
	rapid.String(),
	rapid.SampledFrom([]string{
		"<!-- mainstem:promotion ", " -->", "\n", "\r\n", "\u2028", "--!>", "`", "|", "\\",
		render.PullRequestMarker(render.Marker{Instance: "evil", Namespace: "n", Application: "a", Environment: "e"}),
		"@acme/all", "#1", "GH-1", "gh-2", "https://github.com/a/b/pull/1", "www.evil.example", "<img src=x>", "&lt;", "](", "$", "\u202e",
	}),
)

func TestMarkerCannotBeForged(t *testing.T) {
	text := rapid.Custom(func(t *rapid.T) string { return strings.Join(rapid.SliceOfN(words, 0, 6).Draw(t, "words"), "") })
	rapid.Check(t, func(t *rapid.T) {
		in := pullRequestFor(func(in *render.PullRequest) {
			in.Commits = []render.PullRequestCommit{{SHA: text.Draw(t, "sha"), Message: text.Draw(t, "message"), Author: text.Draw(t, "author"), URL: text.Draw(t, "url")}}
			in.Gates = []v1alpha1.GateStatus{{Name: text.Draw(t, "gate"), Outcome: v1alpha1.GateWaiting, Message: text.Draw(t, "why")}}
			in.Approvals = []v1alpha1.ApprovalSpec{{Approver: text.Draw(t, "approver"), Comment: text.Draw(t, "comment")}}
			in.Release.Spec.Tag, in.Release.Spec.URL = text.Draw(t, "tag"), text.Draw(t, "release url")
			in.Base, in.EnvironmentURL, in.CompareURL = text.Draw(t, "base"), text.Draw(t, "environment url"), text.Draw(t, "compare url")
		})
		body := render.PullRequestBody(in)
		if found, ok := render.ParseMarker(body); !ok || found != ours {
			t.Fatalf("the marker is read as %+v (%v) in\n%s", found, ok, body)
		}
		first, rest, _ := strings.Cut(body, "\n")
		if found, ok := render.ParseMarker(rest); ok {
			t.Fatalf("%+v was forged in\n%s", found, rest)
		}
		if first != render.PullRequestMarker(ours) || strings.Contains(rest, "<") {
			t.Fatalf("HTML got in:\n%s", body)
		}
		if body != render.PullRequestBody(in) {
			t.Fatal("the same input gave another body")
		}
		if !utf8.ValidString(body) {
			t.Fatal("the body is not UTF-8")
		}
	})
}

var (
	// active matches what GitHub acts upon in a text whose Markdown is done.
	active = regexp.MustCompile(`(?i)@[a-z0-9]|#\d|gh-\d|[a-z]://|www\.[a-z]`)
	// backslash matches an escaped character of Markdown.
	backslash = regexp.MustCompile(`\\([[:punct:]])`)
	// printable matches a text that is shown unchanged: on one line, and short enough.
	printable = regexp.MustCompile(`^[[:print:]]{1,190}$`)
)

// TestTextDoesNothing : in a commit's row nothing of the message is left that GitHub would act upon, and all of it is shown.
func TestTextDoesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		message := strings.Join(rapid.SliceOfN(words, 1, 5).Draw(t, "words"), "")
		in := pullRequestFor(func(in *render.PullRequest) {
			in.Commits = []render.PullRequestCommit{{SHA: commit, Message: message}}
			in.CompareURL = ""
		})
		_, row, found := strings.Cut(render.PullRequestBody(in), "- `a1b2c3d4e5f6`")
		if !found {
			t.Fatalf("no row for the commit")
		}
		shown := html.UnescapeString(backslash.ReplaceAllString(row, "$1"))
		if did := active.FindString(shown); did != "" {
			t.Fatalf("%q is left to act in %q", did, row)
		}
		if strings.ContainsAny(row, "\n\r\u2028\u202e") {
			t.Fatalf("%q is more than a line, or turns it around", row)
		}
		shown = strings.TrimSpace(strings.ReplaceAll(shown, "\u200b", ""))
		subject, _, _ := strings.Cut(strings.TrimSpace(message), "\n")
		want := strings.Join(strings.Fields(strings.Map(func(r rune) rune {
			if r == '\u202e' {
				return -1
			}
			return r
		}, subject)), " ")
		if printable.MatchString(want) && shown != want {
			t.Fatalf("%q is shown as %q", want, shown)
		}
	})
}

func TestParseMarker(t *testing.T) {
	marker := render.PullRequestMarker(ours)
	foreign := render.Marker{Instance: "us-east-1", Namespace: "team-a", Application: "podinfo", Environment: "main"}
	odd := render.Marker{Instance: `-->"<!--`, Namespace: "n\n", Application: "\\", Environment: "ü"}
	cases := []struct {
		name, reason string
		body         string
		want         render.Marker
		found        bool
	}{
		{"alone", "it is all that it takes", marker, ours, true},
		{"edited", "people edit bodies, and GitHub's form sends other line ends", "A note.\r\n  " + marker + " \r\nMore.", ours, true},
		{"foreign", "another installation's is read, so that it can be respected", render.PullRequestMarker(foreign), foreign, true},
		{"two", "the first is ours, what follows may come from anywhere", marker + "\n" + render.PullRequestMarker(foreign), ours, true},
		{"odd names", "no name can end the comment", render.PullRequestMarker(odd), odd, true},
		{"quoted", "in the middle of a line it is somebody's text", "> " + marker, render.Marker{}, false},
		{"no instance", "all four are needed to know whose it is", render.PullRequestMarker(render.Marker{Namespace: "n", Application: "a", Environment: "e"}), render.Marker{}, false},
		{"no namespace", "two namespaces can have one application's name", render.PullRequestMarker(render.Marker{Instance: "i", Application: "a", Environment: "e"}), render.Marker{}, false},
		{"no application", "as above", render.PullRequestMarker(render.Marker{Instance: "i", Namespace: "n", Environment: "e"}), render.Marker{}, false},
		{"no environment", "as above", render.PullRequestMarker(render.Marker{Instance: "i", Namespace: "n", Application: "a"}), render.Marker{}, false},
		{"broken", "and neither does a damaged one", "<!-- mainstem:promotion {oops -->", render.Marker{}, false},
		{"not ended", "the comment has to end on its line", strings.TrimSuffix(marker, " -->"), render.Marker{}, false},
		{"none", "most pull requests are not ours", "Fix a typo", render.Marker{}, false},
		{"empty", "and some say nothing", "", render.Marker{}, false},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, found := render.ParseMarker(c.body)
			if got != c.want || found != c.found {
				t.Errorf("read %+v (%v), want %+v (%v): %s", got, found, c.want, c.found, c.reason)
			}
		})
	}
	if strings.Count(render.PullRequestMarker(odd), "-->") != 1 {
		t.Errorf("%s ends before its end", render.PullRequestMarker(odd))
	}
}

func TestPullRequestBranch(t *testing.T) {
	if got := render.PullRequestBranch("eu-west-1", "release/1.x"); got != "mainstem/eu-west-1/release/1.x" {
		t.Errorf("branch is %s", got)
	}
}

func TestCommitStatus(t *testing.T) {
	if got := render.CommitStatusContext("main"); got != "mainstem/main" {
		t.Errorf("context is %s", got)
	}
	cases := []struct{ name, text, want string }{
		{"short", "soak until 14:20Z", "soak until 14:20Z"},
		{"as long as may be", strings.Repeat("ü", 140), strings.Repeat("ü", 140)},
		{"too long", strings.Repeat("ü", 141), strings.Repeat("ü", 139) + "…"},
		{"no space before the ellipsis", strings.Repeat("ü", 138) + " x y", strings.Repeat("ü", 138) + "…"},
		{"lines", "one\n\ttwo\x00three", "one two three"},
		{"invalid UTF-8", "a\xffb", "a\ufffdb"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			if got := render.CommitStatusDescription(c.text); got != c.want {
				t.Errorf("description is %q, want %q", got, c.want)
			}
		})
	}
}
