//go:build e2e

package e2e

import "testing"

// What most journeys begin with: the ways from develop to main that their Applications take, and teams that have come to the beginning.
const (
	// pinned gives main the very commit that is proven in develop.
	pinned = `
- {name: develop#, source: {branch: develop}}
- {name: main#}
`
	// byPullRequest feeds main by pull requests from develop.
	byPullRequest = `
- {name: develop#, source: {branch: develop}}
- {name: main#, source: {branch: main}, pullRequest: {labels: [promotion]}}
`
	// ciGate asks for a check.
	ciGate = "gates: [{name: ci, checks: {required: [build]}}]"
)

// twoStages is a team whose main gets the very commit that is proven in develop, and has this spec.
func twoStages(t *testing.T, main string) (w *team, first string) {
	t.Helper()
	w = newTeam(t)
	first = w.begins()
	w.environment("develop", "")
	w.environment("main", main, "develop")
	w.application(pinned)
	w.runs("develop", first)
	return w, first
}

// throughPullRequests is a team whose main is fed by pull requests from develop and has this spec. Both run the first commit.
func throughPullRequests(t *testing.T, main string) (w *team, first string) {
	t.Helper()
	w = newTeam(t)
	first = w.begins()
	w.environment("develop", "")
	w.environment("main", main, "develop")
	w.application(byPullRequest)
	w.passes(first, "build")
	w.runs("main", first)
	return w, first
}

// followsMain is a team whose develop runs the head of main.
func followsMain(t *testing.T) (w *team, first string) {
	t.Helper()
	w = newTeam(t)
	first = w.begins()
	w.environment("develop", "")
	w.application("- {name: develop#, source: {branch: main}}\n")
	w.runs("develop", first)
	return w, first
}

// productionFollowsReleases is a team whose production takes what GitHub releases, once it has run in develop. That runs the first
// commit; nothing is released.
func productionFollowsReleases(t *testing.T) (w *team, first string) {
	t.Helper()
	w = newTeam(t)
	first = w.begins()
	w.environment("develop", "")
	w.environment("production", "", "develop")
	w.application(`
- {name: develop#, source: {branch: main}}
- {name: production#, source: {release: {prereleases: true}}}
`)
	w.runs("develop", first)
	w.staysEmpty("production")
	return w, first
}
