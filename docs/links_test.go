// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package docs

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#{1,6} +(.+)$`)
	// notInAnchor is what GitHub leaves out of a heading's anchor.
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
	// inCheckout matches inline code that is a path of the checkout.
	inCheckout = regexp.MustCompile(`^(api|cmd|config|docs|hack|internal|test)(/[A-Za-z0-9_.-]+)+/?$`)
	makeTarget = regexp.MustCompile(`^make ([a-z0-9-]+(?: [a-z0-9-]+)*)`)
)

func TestLinksLeadSomewhere(t *testing.T) {
	anchors := map[string]map[string]bool{}
	anchorsOf := func(path string) map[string]bool {
		if anchors[path] == nil {
			anchors[path] = map[string]bool{}
			for _, match := range heading.FindAllStringSubmatch(readPage(t, path).prose, -1) {
				plain := notInAnchor.ReplaceAllString(strings.ToLower(match[1]), "")
				anchors[path][strings.ReplaceAll(plain, " ", "-")] = true
			}
		}
		return anchors[path]
	}
	all := slices.Collect(maps.Values(pages(t)))
	for _, path := range frontPages {
		all = append(all, readPage(t, path))
	}
	for _, p := range all {
		for _, match := range link.FindAllStringSubmatch(p.prose, -1) {
			if strings.HasPrefix(match[1], "https://") {
				continue
			}
			file, anchor, hasAnchor := strings.Cut(match[1], "#")
			target := p.path
			if file != "" {
				target = filepath.Join(filepath.Dir(p.path), file)
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: the link %s leads nowhere", p.path, match[1])
			} else if hasAnchor && !anchorsOf(target)[anchor] {
				t.Errorf("%s: there is no heading for the link %s", p.path, match[1])
			}
		}
	}
}

func TestPathsAndTargetsExist(t *testing.T) {
	makefile, err := os.ReadFile("../Makefile")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pages(t) {
		for _, code := range p.code {
			if inCheckout.MatchString(code) {
				if _, err := os.Stat(filepath.Join("..", code)); err != nil {
					t.Errorf("%s: there is no %s", p.path, code)
				}
			}
			if match := makeTarget.FindStringSubmatch(code); match != nil {
				for _, target := range strings.Fields(match[1]) {
					if !strings.Contains(string(makefile), "\n"+target+":") {
						t.Errorf("%s: there is no target %s in the Makefile", p.path, target)
					}
				}
			}
		}
	}
}
