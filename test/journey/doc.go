// Package journey is the main journey of Mainstem, on real parts: a commit is pushed to develop, runs there, is carried to
// main by a pull request through its gates, is released on GitHub, and runs in production.
//
// [Start] brings a [World] up: a Kubernetes control plane with Flux, an emulated GitHub with the repository of a team, and
// the operator as a process of its own, with the account and the rights that it has in a cluster. [Steps] are what happens
// then. Each waits until the API server and GitHub say that it has happened, tells what they said, and fails where they said
// something else. The demo narrates them, the end-to-end test asserts on the [Facts] that they gather.
package journey
