// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package application

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/internal/observe"
	"github.com/mainstem-dev/mainstem/internal/policy"
)

// carrier carries one Application through one reconciliation.
type carrier struct {
	*Reconciler
	observation *observe.Observation
	state       *policy.State
	// observed are the Promotions as they were read: what is written is compared with these, and refused where they are old.
	observed map[string]*v1alpha1.Promotion
	// progress are the Promotions whose record is behind in nothing but how far their deploy has come, as they are to be.
	progress []*v1alpha1.Promotion
	// begun is the rest that this reconciliation may end in.
	begun *rest
	// again is when to look again because of something that was done; zero where nothing asks for it.
	again time.Time
}

// carry does what is to be done, in the order in which one thing leads to the next.
func (c *carrier) carry(ctx context.Context) error {
	for _, do := range []func(context.Context) error{
		c.own,
		c.follow,
		c.discover,
		c.advance,
		c.start,
		c.enterLedger,
		c.deploy,
		c.tellProgress,
		c.letGo,
		c.forget,
	} {
		if err := do(ctx); err != nil {
			return err
		}
	}
	return nil
}

// follow learns what became of pull requests, and what that asks for.
func (c *carrier) follow(ctx context.Context) error {
	for _, p := range c.state.Promotions {
		c.observed[p.Name] = p.DeepCopy()
	}
	if err := c.Observer.Evidence(ctx, c.observation); err != nil {
		return err
	}
	for _, p := range c.state.Promotions {
		policy.FollowPullRequest(c.state, p)
	}
	return c.Observer.Evidence(ctx, c.observation)
}

// lookAgainAt remembers the earliest moment to look again.
func (c *carrier) lookAgainAt(at time.Time) {
	if !at.IsZero() && (c.again.IsZero() || at.Before(c.again)) {
		c.again = at
	}
}

// tell records an event about a Promotion, and about its Application: once what it tells of is written, never before.
func (c *carrier) tell(promotion *v1alpha1.Promotion, kind, reason, message string) {
	c.Events.Eventf(promotion, c.state.Application, kind, reason, "Promote", "%s", message)
	c.Events.Eventf(c.state.Application, promotion, kind, reason, "Promote", "%s", message)
}

func (c *carrier) key() types.NamespacedName {
	return types.NamespacedName{Namespace: c.state.Application.Namespace, Name: c.state.Application.Name}
}
