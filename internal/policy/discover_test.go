// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// publishing adds GitHub releases at one commit each: v1.0.0 is at commit 100.
func publishing(versions ...string) func(*State) {
	return func(s *State) {
		for _, version := range versions {
			name := strings.NewReplacer(".", "", "-", "", "r", "", "c", "").Replace(version)
			s.GitHub.Published = append(s.GitHub.Published, Published{Tag: "v" + version, Commit: Commit{SHA: sha(name), Tree: "tree-" + name}})
		}
	}
}

func briefSpecs(specs []v1alpha1.ReleaseSpec) string {
	words := make([]string, 0, len(specs))
	for i := range specs {
		spec := &specs[i]
		word := fmt.Sprintf("%d:%s", spec.Sequence, strings.TrimRight(spec.Commit, "0"))
		if spec.Branch != "" {
			word += "@" + spec.Branch
		}
		if spec.Tag != "" {
			word += "#" + spec.Tag
		}
		if spec.Origin != nil {
			word += fmt.Sprintf("<%s!%d", spec.Origin.Release, spec.Origin.PullRequest)
		}
		words = append(words, word)
	}
	return strings.Join(words, " ")
}

func TestDiscover(t *testing.T) {
	releases := func(options ...entryOption) *scene {
		return empty().environment("prod").lists("prod", append([]entryOption{fromReleases(">=1.0.0")}, options...)...)
	}
	tests := map[string]struct {
		given *scene
		want  string
	}{
		"nothing while GitHub cannot be observed": {standard().head("develop", "d1").outage("1m"), ""},
		"heads of branches, entries first":        {standard().head("main", "m1").head("develop", "d1"), "1:d1@develop 2:m1@main"},
		"a commit that two branches share once":   {standard().head("main", "d1").head("develop", "d1"), "1:d1@develop"},
		"a known commit not again":                {standard().release("d1", "develop").head("develop", "d1"), ""},
		"the next in sequence":                    {standard().release("d1", "develop").release("d2", "develop").head("develop", "d3"), "3:d3@develop"},
		"no branch that does not exist":           {standard().do(func(s *State) { s.GitHub.Branches["develop"] = Branch{} }), ""},
		"nothing whose content is not known":      {standard().do(func(s *State) { s.GitHub.Branches["develop"] = Branch{Found: true, Head: Commit{SHA: sha("d1")}} }), ""},
		"a merge with what it merged": {
			standard().release("d1", "develop").release("m1", "main").head("main", "m2").merge("m2", 7, "d1", "m1"), "3:m2@main<d1!7"},
		"a merge of ours that the branch has left behind": {
			standard().release("d1", "develop").promotion("main", "d1").pullRequest("main-d1-1", 7, v1alpha1.PullRequestMerged, "d1").head("main", "m3").
				do(func(s *State) {
					s.Promotions[0].Status.PullRequest.MergeCommit = sha("m2")
					s.GitHub.Commits[sha("m2")] = Commit{SHA: sha("m2"), Tree: "tree-m2"}
				}), "2:m2@main 3:m3@main"},
		"published versions in order":             {releases().do(publishing("1.10.0", "1.2.0", "1.9.0")), "1:12#v1.2.0 2:19#v1.9.0 3:11#v1.10.0"},
		"none out of the range, and none without": {releases().do(publishing("0.9.0", "1.2.0", "nightly")), "1:12#v1.2.0"},
		"no prereleases":                          {releases().do(publishing("1.2.0-rc1", "1.1.0")), "1:11#v1.1.0"},
		"prereleases where they are asked for":    {releases(withPrereleases).do(publishing("1.2.0-rc1", "1.1.0")), "1:11#v1.1.0 2:1201#v1.2.0-rc1"},
		"none that GitHub marks as a prerelease":  {releases().do(publishing("1.2.0")).do(func(s *State) { s.GitHub.Published[0].Prerelease = true }), ""},
		"a tag of a commit of a branch, with it":  {releases().release("12", "main").do(publishing("1.2.0")), "2:12@main#v1.2.0"},
		"a tag of a commit that a branch is known to hold, with it": {releases().do(publishing("1.2.0")).
			do(func(s *State) { s.GitHub.Homes = map[string]string{sha("12"): "release/1.x"} }), "1:12@release/1.x#v1.2.0"},
		"two tags of one commit as two": {releases().do(publishing("1.2.0")).do(func(s *State) {
			s.GitHub.Published = append(s.GitHub.Published, Published{Tag: "v1.3.0", Commit: s.GitHub.Published[0].Commit})
		}), "1:12#v1.2.0 2:12#v1.3.0"},
		"a tag of the very commit that a branch is at": {
			standard().environment("prod", after("main")).lists("prod", fromReleases("")).head("main", "12").do(publishing("1.2.0")), "1:12@main 2:12@main#v1.2.0"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := briefSpecs(Discover(test.given.State)); got != test.want {
				t.Errorf("Discover finds %q, want %q", got, test.want)
			}
		})
	}
}

func TestDiscoverIsBounded(t *testing.T) {
	s := empty().environment("prod").lists("prod", fromReleases(""))
	for i := range 200 {
		s.do(publishing(fmt.Sprintf("1.%d.0", i)))
	}
	found := Discover(s.State)
	if len(found) != publishedAtOnce {
		t.Fatalf("Discover finds %d releases at once, want %d", len(found), publishedAtOnce)
	}
	if first, last := found[0].Version, found[len(found)-1].Version; first != "1.180.0" || last != "1.199.0" {
		t.Errorf("Discover finds %s to %s, want the newest", first, last)
	}
}
