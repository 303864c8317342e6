package journey

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// stepTimeout bounds the wait for one thing to happen, on a busy machine.
	stepTimeout = 90 * time.Second
	// pollInterval is how often the world is looked at.
	pollInterval = 100 * time.Millisecond
)

// Facts are what a journey has found out so far.
type Facts struct {
	// First is the commit that is on both branches from the beginning, Change the one that travels, Merge the one that its
	// merge into main made.
	First, Change, Merge string
	// PullRequest is the number of the promotion pull request.
	PullRequest int
	// Tag is the tag of the GitHub release.
	Tag string
	// Promotions are the names of the Promotions of the journey, in their order.
	Promotions []string
}

// Journey is one journey through a world.
type Journey struct {
	*World
	Facts
}

// New prepares a journey.
func New(world *World) *Journey { return &Journey{World: world} }

// Step is one thing that happens. Its Run returns once it has happened, or with what is missing.
type Step struct {
	// Name is the step in a few words.
	Name string
	Run  func(context.Context) error
}

// Steps are all steps in their order. Each builds on the ones before it.
func (j *Journey) Steps() []Step {
	return []Step{
		{"The application is declared, and its first commit runs", j.declared},
		{"A commit is pushed to develop", j.pushed},
		{"The release is found", j.found},
		{"It is deployed to develop by Flux", j.deployedToDevelop},
		{"A pull request is opened", j.pullRequestOpened},
		{"The checks turn green", j.checksGreen},
		{"The soak is over and the pull request is merged", j.merged},
		{"The merge is deployed to main", j.deployedToMain},
		{"GitHub shows what runs in main", j.statusShown},
		{"A release is published on GitHub", j.released},
		{"It is deployed to production, proven by its commit", j.deployedToProduction},
	}
}

// Run takes all steps, and tells meanwhile what the Application's status says.
func (j *Journey) Run(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, step := range j.Steps() {
		if err := step.Run(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.Name, err)
		}
	}
	return nil
}

func (j *Journey) act(format string, args ...any)  { j.options.Sink.tell(Acted, format, args...) }
func (j *Journey) see(format string, args ...any)  { j.options.Sink.tell(Seen, format, args...) }
func (j *Journey) show(format string, args ...any) { j.options.Sink.tell(Shown, format, args...) }

// await looks until look finds nothing missing.
func (j *Journey) await(ctx context.Context, look func(context.Context) error) error {
	bounded, cancel := context.WithTimeout(ctx, stepTimeout)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	var missing error
	for {
		found := look(bounded)
		if found == nil {
			return nil
		}
		if missing == nil || bounded.Err() == nil {
			missing = found // and not that the time was over while it was looking
		}
		select {
		case <-j.Rig.Failed():
			return errors.Join(missing, j.Rig.Err())
		case <-ctx.Done():
			return errors.Join(missing, ctx.Err())
		case <-bounded.Done():
			return fmt.Errorf("not within %s: %w", stepTimeout, missing)
		case <-ticker.C:
		}
	}
}

// short is a commit as people write it.
func short(commit string) string { return commit[:min(len(commit), 7)] }
