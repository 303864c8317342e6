// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package bench measures Mainstem: the operator as it ships, as a process of its own, against a real API server and etcd, with
// the emulated GitHub and, but for one benchmark, with Flux's statuses set by a stub, so that Mainstem alone is measured. Each
// figure stands beside a baseline that the same run measures. Run it by make bench; docs/benchmarks.md says what came out.
//
// Environment variables make it smaller or larger; see [settings].
package bench
