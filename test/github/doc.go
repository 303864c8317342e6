// Package github emulates GitHub closely enough for the operator to be tested
// against it: real Git repositories served over smart HTTP, the REST API under
// /api/v3 (as on GitHub Enterprise Server), webhooks, App authentication, rate
// limits, and faults on demand.
//
// It is for tests and demonstrations only and is never linked into the operator.
// Importers usually alias it:
//
//	import emulator "github.com/mainstem-dev/mainstem/test/github"
//
//	server, err := emulator.Start(emulator.Options{})
//	defer server.Close()
//	repo, err := server.CreateRepository("acme/podinfo", emulator.RepositoryOptions{})
//	sha, err := repo.Commit("main", "Start", "alice", map[string]string{"README.md": "hello"})
//
// What a test does through the methods of Repository takes the same code paths as
// a REST call, so that webhooks fire and pull requests follow. Effects tells the two
// apart by Effect.Source.
package github

// Must returns value and panics on err: for set-up code whose failure ends a test.
func Must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}
