// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package receiver is the HTTP endpoint for GitHub's webhooks. A delivery is a hint that something changed: it is verified, the
// Applications of its repository are found, and those whose own secret signed it are woken; what changed is then observed as
// always. Polling converges without any delivery.
//
// Every replica listens. On the leader the wake-up stays in memory ([Memory]). Any other replica makes one write for a delivery,
// of an annotation on one of the Applications ([Durable]), and answers after that; the leader sees the write and wakes all that
// the delivery is about ([Relay]). What the API server does not let happen in time is answered with 503, and happens later
// ([Backlog]).
package receiver
