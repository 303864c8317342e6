package rig

import (
	"context"
	"fmt"
	"os"
	"os/exec"
)

// BuildOperator builds the operator of a checkout, as it ships, at a path.
func BuildOperator(ctx context.Context, checkout, path string) error {
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", path, "./cmd/mainstem")
	build.Dir = checkout
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if output, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("building the operator: %w\n%s", err, output)
	}
	return nil
}
