// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package policy

import (
	"strings"
	"testing"
	"time"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// handled says which request to look Flux has handled last.
func handled(request string) func(*Flux) { return func(f *Flux) { f.Handled = request } }

func TestDeploying(t *testing.T) {
	// told is d1, of which Flux was told five minutes ago. d0 ran before.
	told := func() *scene {
		return pinned().release("d0", "develop", ranIn("develop", "-2h")).release("d1", "develop", ranIn("develop", "-1h")).runs("main", "d0").
			promotion("main", "d1", toldFlux("-5m")).do(func(s *State) { s.Sources["main"] = FluxSource{Exists: true, Commit: sha("d1")} })
	}
	applied := func() *scene { return told().runs("main", "d1") }
	tests := map[string]struct {
		given *scene
		want  string
	}{
		"healthy":                             {applied(), "Succeeded Succeeded"},
		"healthy, to the last second":         {applied().do(func(s *State) { s.Now = noon.Add(time.Hour) }), "Succeeded Succeeded"},
		"what ran before is healthy":          {told(), "Deploying Deploying"},
		"healthy, but for another Release":    {applied().flux("main", func(f *Flux) { f.Release = "d1-v1.0.0" }), "Deploying Deploying"},
		"healthy, but the spec is newer":      {applied().flux("main", func(f *Flux) { f.GenerationObserved = false }), "Deploying Deploying"},
		"healthy, but suspended":              {applied().flux("main", func(f *Flux) { f.Suspended = true }), "Deploying Deploying"},
		"ready, but no health is asked for":   {applied().flux("main", func(f *Flux) { f.ChecksHealth = false }), "Deploying Deploying"},
		"ready, but the source is elsewhere":  {applied().flux("main", func(f *Flux) { f.SourceCommit = sha("d0") }), "Deploying Deploying"},
		"Flux is looking":                     {applied().flux("main", func(f *Flux) { f.Ready = "Unknown" }), "Deploying Deploying"},
		"failed":                              {told().fails("main", "d1", "-1m"), "Failed FluxFailed"},
		"failed in the very second":           {told().fails("main", "d1", "-5m").flux("main", handled("main-d1-1")), "Failed FluxFailed"},
		"failed at another attempt in it":     {told().fails("main", "d1", "-5m").flux("main", handled("main-d1-0")), "Deploying Deploying"},
		"failed in it, nobody knows for whom": {told().fails("main", "d1", "-5m"), "Deploying Deploying"},
		"failed before it is told to begin":   {told().fails("main", "d1", "-6m").flux("main", handled("main-d1-1")), "Failed FluxFailed"},
		"failed at an attempt before":         {told().fails("main", "d1", "-6m"), "Deploying Deploying"},
		"failed at what ran before":           {told().fails("main", "d0", "-1m"), "Deploying Deploying"},
		"failed to fetch, which is not tried": {told().fails("main", "d1", "-1m").flux("main", func(f *Flux) { f.Reason = "ArtifactFailed" }), "Deploying Deploying"},
		"waits for a dependency":              {told().fails("main", "d1", "-1m").flux("main", func(f *Flux) { f.Reason = "DependencyNotReady" }), "Deploying Deploying"},
		"a second before the deadline":        {told().do(func(s *State) { s.Now = noon.Add(5*time.Minute - time.Second) }), "Deploying Deploying"},
		"at the deadline":                     {told().do(func(s *State) { s.Now = noon.Add(5 * time.Minute) }), "Failed DeadlineExceeded"},
		"at a deadline that is set":           {told().with("main", deployWithin(5*time.Minute)), "Failed DeadlineExceeded"},
		"its branch was rewritten":            {told().rewritten("develop", "e1", "d1"), "Cancelled CommitUnreachable"},
		"its branch was rewritten, fetched":   {told().rewritten("develop", "e1", "d1").fetched("develop", "d1"), "Deploying Deploying"},
		"its Release is gone":                 {told().do(func(s *State) { s.Releases = s.Releases[:1] }), "Failed ReleaseNotFound"},
		"its Environment is gone":             {told().do(func(s *State) { delete(s.Environments, "main") }), "Cancelled EnvironmentGone"},
		"a newer one takes its place":         {told().release("d2", "develop", ranIn("develop", "-1m")), "Superseded Superseded"},
		"not if the newer one's gates wait":   {told().with("main", guarded(soaking(time.Hour))).runs("develop", "d1").release("d2", "develop", ranIn("develop", "-1m")), "Deploying Deploying"},
		"not while held":                      {told().hold("main").release("d2", "develop", ranIn("develop", "-1m")), "Deploying Deploying"},
		"not where people start":              {told().with("main", startedByPeople).release("d2", "develop", ranIn("develop", "-1m")), "Deploying Deploying"},
		"not what a person asked for":         {told().do(func(s *State) { s.Promotions[0].Spec.RequestedBy = alice }).release("d2", "develop", ranIn("develop", "-1m")), "Deploying Deploying"},
		"only every second one":               {told().release("d2", "develop", ranIn("develop", "-1m")).promotion("main", "d0", toldFlux("-9m"), ended(v1alpha1.PromotionSuperseded, "-5m")), "Deploying Deploying"},
		"not through a pull request":          {ready().release("m1", "main").promotion("main", "d1", toldFlux("-1m", "m1")).release("d2", "develop", ranIn("develop", "-1m")), "Deploying Deploying"},
		"a rollback goes first":               {told().do(func(s *State) { ranIn("main", "-2h")(s.release("d0")) }).promotion("main", "d0", by(alice), rollback), "Superseded Superseded"},
		"not a rollback that is held":         {told().hold("main").do(func(s *State) { ranIn("main", "-2h")(s.release("d0")) }).promotion("main", "d0", by(alice), rollback), "Deploying Deploying"},
		"not one to what cannot be fetched":   {told().do(func(s *State) { ranIn("main", "-2h")(s.release("d0")) }).fetched("develop", "d1").rewritten("develop", "e1", "d0").promotion("main", "d0", by(alice), rollback), "Deploying Deploying"},
		"not one to what never ran":           {told().promotion("main", "d0", by(alice), rollback), "Deploying Deploying"},
		"not another promotion of a person":   {told().promotion("main", "d0", by(alice)), "Deploying Deploying"},
		"somebody says no, too late":          {told().approval("main-d1-1", bob, v1alpha1.DecisionReject), "Deploying Deploying"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := briefStep(step(test.given, "main-d1-1")); got != test.want {
				t.Errorf("the next step is %q, want %q", got, test.want)
			}
		})
	}
	if got := step(told(), "main-d1-1").RecheckAt; !got.Equal(noon.Add(5 * time.Minute)) {
		t.Errorf("it looks again at %s, want the deadline", got)
	}
	said := step(told().fails("main", "d1", "-1m"), "main-d1-1").Message
	if !strings.Contains(said, "Deployment web is not ready") {
		t.Errorf("%q does not say what Flux said", said)
	}
}

// TestADeployTellsWhatFluxWaitsFor : and in the same words while Flux looks again, so that they are not written twice a minute.
func TestADeployTellsWhatFluxWaitsFor(t *testing.T) {
	s := pinned().release("d1", "develop", ranIn("develop", "-1h")).runs("develop", "d1").
		promotion("main", "d1", toldFlux("-5m")).do(func(s *State) { s.Sources["main"] = FluxSource{Exists: true, Commit: sha("d1")} })
	p := s.get("main-d1-1")
	says := func(ready, reason, message string) string {
		s.Flux["main"] = Flux{Exists: true, Release: "d1", Ready: ready, Reason: reason, Message: message}
		Record(s.State, p, Next(s.State, p))
		return strings.TrimPrefix(p.Status.Message, "deploying d1: ")
	}
	const missing = "kustomization path not found: stat /deploy/nowhere: no such file or directory"
	for i, step := range []struct{ ready, reason, message, want string }{
		{"Unknown", "Progressing", "Fetching", "waiting for Flux to apply it and for its health"},
		{"False", "HealthCheckFailed", "of what ran before", "waiting for Flux to apply it and for its health"},
		{"False", "ArtifactFailed", missing, "Flux says: " + missing + ": correct deploy.kustomize.path, or push the directory"},
		{"Unknown", "Progressing", "Fetching", "Flux says: " + missing + ": correct deploy.kustomize.path, or push the directory"},
		{"False", "DependencyNotReady", "dependency 'x' is not ready", "Flux says: dependency 'x' is not ready"},
		{"Unknown", "Progressing", "Fetching", "Flux says: dependency 'x' is not ready"},
	} {
		if got := says(step.ready, step.reason, step.message); got != step.want {
			t.Errorf("%d: it says %q, want %q", i, got, step.want)
		}
	}
	says("False", "ArtifactFailed", missing)
	s.Now = noon.Add(time.Hour)
	Record(s.State, p, Next(s.State, p))
	if p.Status.Reason != v1alpha1.DeadlineExceededReason || !strings.HasSuffix(p.Status.Message, missing+": correct deploy.kustomize.path, or push the directory") {
		t.Errorf("at the deadline: %s %q", p.Status.Reason, p.Status.Message)
	}
}
