// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// old is long enough ago for a ledger to be forgotten.
const old = "-2400h"

// crowded is an environment into which the releases p0, p1… were promoted, one a minute, the first ones long ago.
func crowded(count int, as func(i int) promotionOption) *scene {
	s := pinned().head("develop", "p0")
	for i := range count {
		name := fmt.Sprintf("p%d", i)
		when := fmt.Sprintf("%dm", -200_000+i)
		s.release(name, "develop")
		s.promotion("main", name, created(when), as(i), func(p *v1alpha1.Promotion) {
			p.Status.FinishedAt = at(when)
			if p.Status.DeployStartedAt != nil {
				p.Status.DeployStartedAt = at(when)
			}
		})
	}
	return s
}

func names(promotions []*v1alpha1.Promotion) []string {
	var found []string
	for _, p := range promotions {
		found = append(found, p.Spec.Release)
	}
	return found
}

func TestExpiredPromotions(t *testing.T) {
	superseded := ended(v1alpha1.PromotionSuperseded, old)
	// but is superseded, except for some.
	but := func(some promotionOption, which ...int) func(int) promotionOption {
		return func(i int) promotionOption {
			if slices.Contains(which, i) {
				return some
			}
			return superseded
		}
	}
	tests := map[string]struct {
		given *scene
		want  []string
	}{
		"few":                         {crowded(20, but(nil)), nil},
		"many":                        {crowded(25, but(nil)), []string{"p0", "p1", "p2", "p3", "p4"}},
		"but those that are not over": {crowded(25, but(phased(v1alpha1.PromotionPending), 0, 1)), []string{"p2", "p3", "p4"}},
		"but what is pinned":          {crowded(25, but(succeeded(old), 1)), []string{"p0", "p2", "p3", "p4"}},
		"but the newest that failed":  {crowded(25, but(ended(v1alpha1.PromotionFailed, old), 1, 2)), []string{"p0", "p1", "p3", "p4"}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			expired, _ := Expired(test.given.State)
			if got := names(expired); !slices.Equal(got, test.want) {
				t.Errorf("%v expire, want %v", got, test.want)
			}
		})
	}
}

func TestExpiredPromotionsByEnvironment(t *testing.T) {
	s := crowded(20, func(int) promotionOption { return ended(v1alpha1.PromotionSuperseded, old) })
	for i := range 20 {
		s.promotion("develop", fmt.Sprintf("p%d", i), ended(v1alpha1.PromotionSuperseded, old))
	}
	if expired, _ := Expired(s.State); len(expired) > 0 {
		t.Errorf("%v expire, although no environment has many", names(expired))
	}
}

func TestExpiredReleases(t *testing.T) {
	// many are 60 releases that nothing needs.
	many := func(options ...releaseOption) *scene {
		s := pinned()
		for i := range 60 {
			s.release(fmt.Sprintf("r%02d", i), "develop", options...)
		}
		return s
	}
	all := []string{"r00", "r01", "r02", "r03", "r04", "r05", "r06", "r07", "r08", "r09"}
	but := func(stay string) []string {
		return slices.DeleteFunc(slices.Clone(all), func(name string) bool { return name == stay })
	}
	proven := func(when string) func(*State) {
		return func(s *State) { ranIn("develop", when)(s.release("r03")) }
	}
	tests := map[string]struct {
		given *scene
		want  []string
	}{
		"all but the newest fifty":                      {many(), all},
		"none of fifty":                                 {many().do(func(s *State) { s.Releases = s.Releases[10:] }), nil},
		"not what a Promotion names":                    {many().promotion("main", "r03", ended(v1alpha1.PromotionSuperseded, old)), but("r03")},
		"not what a Promotion deployed":                 {many().promotion("main", "r59", succeeded(old, "r03")), but("r03")},
		"not what runs":                                 {many().runs("main", "r03"), but("r03")},
		"not the head of a branch":                      {many().head("develop", "r03"), but("r03")},
		"not what was proven lately":                    {many().do(proven("-2159h")), but("r03")},
		"but what was proven long ago":                  {many(ranIn("develop", "-2161h")), all},
		"not what was rejected lately":                  {many().do(func(s *State) { rejectedIn("main", "-5m")(s.release("r03")) }), but("r03")},
		"not what was proven long ago, rejected lately": {many().do(proven("-3000h")).do(func(s *State) { rejectedIn("main", "-5m")(s.release("r03")) }), but("r03")},
		"not what comes next":                           {many().do(func(s *State) { ranIn("develop", "-3000h")(s.release("r03")) }), but("r03")},
		"nothing while GitHub cannot be observed":       {many().outage("1m"), nil},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, expired := Expired(test.given.State)
			var got []string
			for _, r := range expired {
				got = append(got, r.Name)
			}
			if !slices.Equal(got, test.want) {
				t.Errorf("%v expire, want %v", got, test.want)
			}
		})
	}
}

// TestExpiredStaysAway checks that nothing is forgotten that would be found again the next moment, or that is needed the next moment.
func TestExpiredStaysAway(t *testing.T) {
	s := empty().environment("prod").lists("prod", fromReleases(""))
	for i := range 80 {
		s.do(publishing(fmt.Sprintf("1.%d.0", i)))
	}
	for range 8 {
		for _, spec := range Discover(s.State) {
			s.Releases = append(s.Releases, &v1alpha1.Release{Spec: spec})
			s.Releases[len(s.Releases)-1].Name = spec.Tag
		}
		s.GitHub.Published = s.GitHub.Published[:max(0, len(s.GitHub.Published)-10)]
	}
	s.Now = s.Now.Add(1000 * 24 * time.Hour)
	s.GitHub.Published = nil
	s.do(publishing("1.60.0", "1.0.0"))
	_, expired := Expired(s.State)
	if len(expired) == 0 {
		t.Fatal("nothing expires: this proves nothing")
	}
	s.Releases = slices.DeleteFunc(s.Releases, func(r *v1alpha1.Release) bool { return slices.Contains(expired, r) })
	if found := Discover(s.State); len(found) > 0 {
		t.Errorf("%s would be found again", briefSpecs(found))
	}
	if promotions, again := Expired(s.State); len(again) > 0 || len(promotions) > 0 {
		t.Errorf("%d more expire at once", len(again))
	}
}
