// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package receiver is the HTTP endpoint for GitHub's webhooks. A delivery is a hint that something changed: it is verified, the
// Applications of its repository are found, and they are woken; what changed is then observed as always. Polling converges
// without any delivery, so nothing here is kept for later.
//
// Every replica listens. On the leader the wake-up stays in memory; on any other replica it is one write per Application, so
// that it reaches the leader, and the delivery is answered only after that.
package receiver
