// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package receiver

import (
	"context"

	"k8s.io/apimachinery/pkg/types"
)

// Waker makes Applications be reconciled soon, with a fresh look at their repository. There is at least one, and all have the secret
// that signed the delivery. When it returns without an error, the wake-up cannot be lost any more, except with the leader's
// process: the next leader begins by reconciling everything.
type Waker interface {
	Wake(ctx context.Context, applications []types.NamespacedName, delivery Delivery) error
}

// ByElection wakes in memory on the leader and durably on every other replica.
type ByElection struct {
	// Elected is closed once this replica leads; a manager's Elected is one.
	Elected <-chan struct{}
	// Leading is asked after that, Following before.
	Leading, Following Waker
}

// Wake asks the one whose turn it is.
func (b *ByElection) Wake(ctx context.Context, applications []types.NamespacedName, delivery Delivery) error {
	select {
	case <-b.Elected:
		return b.Leading.Wake(ctx, applications, delivery)
	default:
		return b.Following.Wake(ctx, applications, delivery)
	}
}
