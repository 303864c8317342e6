// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package admission sees the shipped CRDs, policies and roles refuse and accept, on a real API server, as the people and
// accounts that would ask.
package admission

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"k8s.io/client-go/rest"

	"github.com/mainstem-dev/mainstem/test/apiserver"
)

// admin is the API server's administrator, as whom the tests impersonate everybody else.
var admin *rest.Config

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "admission tests:", err)
		code = 1
	}
	os.Exit(code)
}

// run starts an API server with everything that config/default has, runs the tests, and stops it.
func run(m *testing.M) (code int, err error) {
	ctx := context.Background()
	server, err := apiserver.Start(ctx)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, server.Stop()) }()
	admin = server.Admin
	people, err := os.ReadFile(filepath.Join("testdata", "people.yaml"))
	if err != nil {
		return 0, fmt.Errorf("reading who there is: %w", err)
	}
	if err := server.Create(ctx, people); err != nil {
		return 0, fmt.Errorf("creating who there is: %w", err)
	}
	if err := awaitPolicies(ctx); err != nil {
		return 0, err
	}
	return m.Run(), nil
}
