// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package github is everything that Mainstem says to GitHub: who it is (App or token), what it observes of a
// repository, what it does there, how it keeps to the rate limits, and what webhooks say.
//
// Three objects matter:
//
//   - [Clients] holds what is shared by everybody who talks with one credential to one API root: connections, App
//     tokens, conditional-request cache, rate budget, and the things that never change (commits, comparisons).
//   - [Client] speaks about one [Repository] with one [Credential]: pull requests, branches, checks, statuses.
//   - [Observer] answers "what does this repository look like?" once for all applications that ask.
//
// Rules that hold everywhere: every request has a context and a timeout, every body is bounded, every list is paged
// and bounded, nothing sleeps, every side effect is looked for before it is made, and every error is one of the typed
// errors of this package, whose sentence is fit for a condition and never holds a secret. [RetryAt] says when an error
// is worth another try.
//
// The package has plain types of its own and imports neither the API nor the policy: others map between them.
package github
