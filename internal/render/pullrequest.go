// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package render

import (
	"fmt"
	"strings"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// Bounds of a promotion pull request. Lengths of texts are in runes; whole lengths are in bytes, of which there are never
// fewer than characters.
const (
	// maxBody is GitHub's limit for a pull request's body, in characters.
	maxBody = 65536
	// maxTitle is GitHub's limit for a title, in characters.
	maxTitle = 256
	// maxGates and maxApprovals bound the sections that come before the commits, which get what is left.
	maxGates     = 24 << 10
	maxApprovals = 12 << 10
	// maxMore bounds the line that says how much was left out.
	maxMore = 64

	maxMessage = 200
	maxPerson  = 100
)

// PullRequest is what a promotion pull request says. The text of whoever wrote commits and comments can be anything.
type PullRequest struct {
	// Marker says for whom it is.
	Marker Marker
	// Base is the branch that it is to be merged into.
	Base string
	// Release is what is promoted.
	Release *v1alpha1.Release
	// Upstreams are the environments in which the release is proven.
	Upstreams []v1alpha1.EnvironmentName
	// Merge says who merges.
	Merge v1alpha1.MergeMode
	// Commits are those that the base lacks, in the order in which they are to be shown.
	Commits []PullRequestCommit
	// TotalCommits is how many the base lacks, when Commits are not all of them.
	TotalCommits int
	// Gates is how every gate stands.
	Gates []v1alpha1.GateStatus
	// Approvals are those that count, or counted.
	Approvals []v1alpha1.ApprovalSpec
	// EnvironmentURL is where people find the application in the environment; see [EnvironmentURL].
	EnvironmentURL string
	// CompareURL is where people see the whole difference.
	CompareURL string
}

// PullRequestCommit is one commit of a promotion pull request.
type PullRequestCommit struct {
	// SHA is the full SHA.
	SHA string
	// Message is the commit's message; its first line is shown.
	Message string
	// Author is the author's login or name.
	Author string
	// URL is the commit's page.
	URL string
}

// PullRequestBranch is the head branch of an installation's promotion pull request into a base.
func PullRequestBranch(instance, base string) string {
	return "mainstem/" + instance + "/" + base
}

// CompareURL is where people see on GitHub what a commit has that a branch lacks.
func CompareURL(repository, branch, commit string) string {
	return strings.TrimSuffix(SourceURL(repository), ".git") + "/compare/" + branch + "..." + commit
}

// PullRequestTitle is the title of a promotion pull request, of at most 256 characters.
func PullRequestTitle(in PullRequest) string {
	title := fmt.Sprintf("Promote %s %s to %s", in.Marker.Application, releaseTitle(in.Release), in.Marker.Environment)
	return cutText(oneLine(title), maxTitle)
}

// releaseTitle is what people call a release: its tag, else the commit.
func releaseTitle(release *v1alpha1.Release) string {
	if release.Spec.Tag != "" {
		return release.Spec.Tag
	}
	return shortCommit(release.Spec.Commit)
}

// PullRequestBody is the body of a promotion pull request in GitHub's Markdown, of at most 65,536 characters: the marker,
// what is promoted and who merges it, the gates, who approved, and the commits. Where there is no room for all of a list, a
// line says how many are left out. The same input gives the same body, so that it is updated only when something changed.
func PullRequestBody(in PullRequest) string {
	var body strings.Builder
	body.WriteString(PullRequestMarker(in.Marker))
	body.WriteString("\n\n" + introduction(in))
	if len(in.Gates) > 0 {
		body.WriteString("\n### Gates\n\n| Gate | Outcome | |\n| --- | --- | --- |\n")
		body.WriteString(list(gateRows(in.Gates), len(in.Gates), maxGates))
	}
	if len(in.Approvals) > 0 {
		body.WriteString("\n### Approvals\n\n")
		body.WriteString(list(approvalRows(in.Approvals), len(in.Approvals), maxApprovals))
	}
	if len(in.Commits) > 0 {
		body.WriteString("\n### Commits\n\n")
		total := max(in.TotalCommits, len(in.Commits))
		footer := commitsFooter(in.CompareURL)
		body.WriteString(list(commitRows(in.Commits), total, maxBody-body.Len()-len(footer)))
		body.WriteString(footer)
	}
	return strings.TrimSuffix(body.String(), "\n")
}

// introduction says what is promoted, why it may be, and who merges it.
func introduction(in PullRequest) string {
	release := in.Release.Spec
	promoted := link(code(shortCommit(release.Commit)), release.URL)
	if release.Tag != "" {
		promoted = link(escapeText(release.Tag, maxPerson), release.URL) + " (" + code(shortCommit(release.Commit)) + ")"
	}
	environment := link(escapeText(in.Marker.Environment, maxPerson), in.EnvironmentURL)
	text := fmt.Sprintf("Promotes **%s** %s to **%s** by a merge into %s.",
		escapeText(in.Marker.Application, maxPerson), promoted, environment, escapeText(in.Base, maxMessage))
	if proven := provenIn(in.Upstreams); proven != "" {
		text += " " + proven
	}
	switch in.Merge {
	case v1alpha1.MergeManual:
		text += "\n\nA person merges it. A merge is not a deploy: the release is deployed once all gates pass."
	case v1alpha1.MergeAutomatic:
		text += "\n\nMainstem merges it once all gates pass. Close it to decline the release."
	}
	return text + "\n"
}

// provenIn is the sentence about the upstream environments.
func provenIn(upstreams []v1alpha1.EnvironmentName) string {
	if len(upstreams) == 0 {
		return ""
	}
	names := make([]string, len(upstreams))
	for i, name := range upstreams {
		names[i] = "**" + escapeText(string(name), maxPerson) + "**"
	}
	return "It is proven in " + strings.Join(names, ", ") + "."
}

func gateRows(gates []v1alpha1.GateStatus) []string {
	rows := make([]string, len(gates))
	for i, gate := range gates {
		rows[i] = fmt.Sprintf("| %s | %s | %s |\n",
			escapeText(gate.Name, maxMessage), escapeText(string(gate.Outcome), maxPerson), escapeText(gate.Message, maxMessage))
	}
	return rows
}

func approvalRows(approvals []v1alpha1.ApprovalSpec) []string {
	rows := make([]string, len(approvals))
	for i, approval := range approvals {
		verb := "approved"
		if approval.Decision == v1alpha1.DecisionReject {
			verb = "rejected"
		}
		rows[i] = "- " + escapeText(approval.Approver, maxPerson) + " " + verb
		if approval.Comment != "" {
			rows[i] += ": " + escapeText(approval.Comment, maxMessage)
		}
		rows[i] += "\n"
	}
	return rows
}

func commitRows(commits []PullRequestCommit) []string {
	rows := make([]string, len(commits))
	for i, commit := range commits {
		subject, _, _ := strings.Cut(strings.TrimSpace(commit.Message), "\n")
		rows[i] = "- " + link(code(shortCommit(commit.SHA)), commit.URL) + " " + escapeText(subject, maxMessage)
		if commit.Author != "" {
			rows[i] += " — " + escapeText(commit.Author, maxPerson)
		}
		rows[i] += "\n"
	}
	return rows
}

// commitsFooter links the whole difference.
func commitsFooter(compareURL string) string {
	const label = "All changes"
	if linked := link(label, compareURL); linked != label {
		return "\n" + linked + "\n"
	}
	return ""
}

// list joins as many rows as fit into so many bytes. When they are not all, or there are more of them in total, a line says
// how many are missing.
func list(rows []string, total, size int) string {
	var out strings.Builder
	shown := 0
	for _, row := range rows {
		if out.Len()+len(row)+maxMore > size {
			break
		}
		out.WriteString(row)
		shown++
	}
	if shown < total {
		fmt.Fprintf(&out, "\n…and %d more\n", total-shown)
	}
	return out.String()
}
