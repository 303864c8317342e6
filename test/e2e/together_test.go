//go:build e2e

package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"time"

	. "github.com/onsi/gomega"

	emulator "github.com/mainstem-dev/mainstem/test/github"
	"github.com/mainstem-dev/mainstem/test/journey"
	"github.com/mainstem-dev/mainstem/test/tenant"
)

// together says what is not as it must be after all journeys.
func together(world *journey.World) []string {
	var problems []string
	g := NewGomega(func(message string, _ ...int) { problems = append(problems, message) })
	g.Expect(world.GitHub.Mismatches()).To(BeEmpty(), "everything said to GitHub is as GitHub describes it")
	expectNoRefusals(g, world)
	expectCleanLog(g, world)
	for _, repository := range repositories(world) {
		effects := world.GitHub.Effects().In(repository.FullName())
		expectStatusesOnce(g, repository, effects)
		expectOnePullRequest(g, repository, effects)
	}
	expectRest(g, world)
	return problems
}

// expectRest: the operator comes to rest, whatever state the journeys have left their Applications in. Sources that nothing refers to are
// removed a minute after they were made.
func expectRest(g Gomega, world *journey.World) {
	g.Eventually(func(g Gomega) {
		g.Expect(world.WritesSince(time.Now().Add(-idleFor))).To(BeEmpty())
	}).WithTimeout(patience).WithPolling(time.Second).Should(Succeed(), "nothing is written when there is nothing to do")
}

// expectNoRefusals: the API server refused the operator nothing.
func expectNoRefusals(g Gomega, world *journey.World) {
	writes, err := world.Writes()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(writes).NotTo(BeEmpty(), "the audit log works")
	for _, write := range writes {
		// 409 is an answer to optimism and is tried again; what the rights or the policies do not allow is a bug.
		g.Expect(write.Status).NotTo(BeElementOf(400, 401, 403, 422), fmt.Sprintf("%+v", write))
	}
}

// expectCleanLog: the operator's log has no error and no secret.
func expectCleanLog(g Gomega, world *journey.World) {
	lines, err := world.OperatorLog()
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(lines).NotTo(BeEmpty())
	for _, line := range lines {
		var entry struct {
			Level string `json:"level"`
		}
		g.Expect(json.Unmarshal(line, &entry)).To(Succeed(), string(line))
		g.Expect(entry.Level).To(BeElementOf("debug", "info"), string(line))
		g.Expect(world.Leaks(line)).To(Succeed(), "a line of level %s", entry.Level)
		g.Expect(bytes.Contains(line, []byte(tenant.WebhookSecret))).To(BeFalse(), "a line of level %s holds a webhook's secret", entry.Level)
	}
}

// repositories are those of all journeys.
func repositories(world *journey.World) []*emulator.Repository {
	all := []*emulator.Repository{world.Team.Repository}
	for n := int64(1); n <= teams.Load(); n++ {
		if repository := world.GitHub.Repository(fmt.Sprintf("acme/app%d", n)); repository != nil {
			all = append(all, repository)
		}
	}
	return all
}

// expectOnePullRequest: never are two promotion pull requests into one branch open at a time.
func expectOnePullRequest(g Gomega, repository *emulator.Repository, effects emulator.Effects) {
	into, open := map[int]string{}, map[string]int{}
	for _, effect := range effects {
		switch {
		case effect.Kind == emulator.PullOpened && effect.Source == emulator.SourceAPI:
			into[effect.Number] = effect.Detail
			open[effect.Detail]++
			g.Expect(open[effect.Detail]).To(Equal(1), "promotion pull requests into %s of %s that are open", effect.Detail, repository.FullName())
		case effect.Kind == emulator.PullClosed || effect.Kind == emulator.PullMerged:
			if base, ours := into[effect.Number]; ours {
				open[base]--
			}
		}
	}
}

// expectStatusesOnce: GitHub is never told again what it was told last.
func expectStatusesOnce(g Gomega, repository *emulator.Repository, effects emulator.Effects) {
	commits := map[string]bool{}
	for _, effect := range effects.Of(emulator.StatusCreated) {
		commits[effect.SHA] = true
	}
	for commit := range commits {
		shown := map[string]emulator.Status{}
		for _, status := range repository.Statuses(commit) {
			before := shown[status.Context]
			g.Expect(status.State != before.State || status.Description != before.Description).To(BeTrue(),
				"%s of %s was told twice that %s is %s (%s)", commit, repository.FullName(), status.Context, status.State, status.Description)
			shown[status.Context] = status
		}
	}
}
