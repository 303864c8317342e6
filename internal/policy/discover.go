// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"cmp"
	"slices"

	"github.com/Masterminds/semver/v3"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// publishedAtOnce bounds how many GitHub releases become Releases when an Application first follows a repository that has many:
// the newest versions count.
const publishedAtOnce = 20

// Discover says which Releases are to be made for what was observed: the heads of branches, published GitHub releases, and the
// commits that merges of promotion pull requests made. Their sequence continues where the existing ones end.
func Discover(s *State) []v1alpha1.ReleaseSpec {
	d := discovery{state: s, next: 1}
	for _, r := range s.Releases {
		d.next = max(d.next, r.Spec.Sequence+1)
	}
	if s.GitHub.Problem != nil {
		return nil
	}
	for _, p := range s.Promotions {
		d.merged(p)
	}
	for _, entry := range entriesFirst(s) {
		if entry.Source == nil {
			continue
		}
		if branch := s.GitHub.Branches[entry.Source.Branch]; branch.Found {
			d.add(d.specOf(branch.Head, entry.Source.Branch))
		}
	}
	for _, entry := range entriesFirst(s) {
		if entry.Source != nil && entry.Source.Release != nil {
			d.published(entry.Source.Release)
		}
	}
	return d.found
}

type discovery struct {
	state *State
	next  int64
	found []v1alpha1.ReleaseSpec
}

// entriesFirst lists the entries whose Environment has no upstream before the others, so that a commit that two branches share
// is known by the branch it came in on.
func entriesFirst(s *State) []*v1alpha1.ApplicationEnvironment {
	var entries []*v1alpha1.ApplicationEnvironment
	for i := range s.Application.Spec.Environments {
		entries = append(entries, &s.Application.Spec.Environments[i])
	}
	slices.SortStableFunc(entries, func(a, b *v1alpha1.ApplicationEnvironment) int {
		return cmp.Compare(min(len(s.upstreams(a.Name)), 1), min(len(s.upstreams(b.Name)), 1))
	})
	return entries
}

func (d *discovery) add(spec v1alpha1.ReleaseSpec) {
	known := d.state.releaseOf(spec.Commit, spec.Tag) != nil || slices.ContainsFunc(d.found, func(f v1alpha1.ReleaseSpec) bool {
		return f.Commit == spec.Commit && f.Tag == spec.Tag
	})
	if known || spec.Commit == "" || spec.Content == "" {
		return
	}
	spec.Sequence = d.next
	d.next++
	d.found = append(d.found, spec)
}

// merged makes the Release of a merge commit, even where the branch has moved on since.
func (d *discovery) merged(p *v1alpha1.Promotion) {
	entry := d.state.entry(p.Spec.Environment)
	pull := p.Status.PullRequest
	if pull == nil || pull.MergeCommit == "" || entry == nil || entry.Source == nil {
		return
	}
	if commit, known := d.state.GitHub.Commits[pull.MergeCommit]; known {
		d.add(d.specOf(commit, entry.Source.Branch))
	}
}

func (d *discovery) specOf(commit Commit, branch string) v1alpha1.ReleaseSpec {
	spec := v1alpha1.ReleaseSpec{
		Application: d.state.Application.Name,
		Commit:      commit.SHA,
		Content:     commit.Tree,
		Parents:     commit.Parents[:min(len(commit.Parents), 16)],
		Branch:      branch,
		Author:      cut(commit.Author, 255),
		Message:     cut(commit.Message, 256),
		URL:         commit.URL,
	}
	if !commit.AuthoredAt.IsZero() {
		spec.AuthoredAt = &metav1.Time{Time: commit.AuthoredAt}
	}
	if merge, is := d.state.GitHub.Merges[commit.SHA]; is {
		if r := d.state.releaseAt(merge.Head); r != nil {
			spec.Origin = &v1alpha1.ReleaseOrigin{Release: r.Name, PullRequest: merge.PullRequest}
		}
	}
	return spec
}

// published makes Releases of the newest published GitHub releases that a source follows.
func (d *discovery) published(source *v1alpha1.ReleaseSource) {
	var specs []v1alpha1.ReleaseSpec
	for i := range d.state.GitHub.Published {
		release := &d.state.GitHub.Published[i]
		version, err := semver.NewVersion(release.Tag)
		if err != nil {
			continue
		}
		spec := d.specOf(release.Commit, d.branchOf(release.Commit.SHA))
		spec.Tag, spec.Version, spec.Prerelease = release.Tag, version.String(), release.Prerelease
		spec.URL = cmp.Or(release.URL, spec.URL)
		if matchesSource(&spec, source) {
			specs = append(specs, spec)
		}
	}
	slices.SortStableFunc(specs, func(a, b v1alpha1.ReleaseSpec) int {
		return semver.MustParse(b.Version).Compare(semver.MustParse(a.Version))
	})
	specs = specs[:min(len(specs), publishedAtOnce)]
	slices.Reverse(specs)
	for _, spec := range specs {
		d.add(spec)
	}
}

// branchOf is a branch that is known to hold a commit, so that Flux can fetch it by branch and commit, which nobody can move.
func (d *discovery) branchOf(commit string) string {
	for _, r := range d.state.Releases {
		if r.Spec.Commit == commit && r.Spec.Branch != "" {
			return r.Spec.Branch
		}
	}
	for _, f := range d.found {
		if f.Commit == commit && f.Branch != "" {
			return f.Branch
		}
	}
	return d.state.GitHub.Homes[commit]
}
