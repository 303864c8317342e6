package binaries

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// stillBuilding is how often a build that goes on says so.
const stillBuilding = 30 * time.Second

// progress tells how one program's build goes.
type progress struct {
	out     io.Writer
	label   string
	started time.Time // of the first program's build
}

func newProgress(out io.Writer, label string, started time.Time) progress {
	return progress{out: out, label: label, started: started}
}

func (p progress) say(what string) {
	_, _ = fmt.Fprintf(p.out, "  %-40s %-14s %6s elapsed\n", p.label, what, time.Since(p.started).Round(time.Second))
}

// during repeats that the work goes on until it ends.
func (p progress) during(work func() error) error {
	done := make(chan error, 1)
	go func() { done <- work() }()
	ticker := time.NewTicker(stillBuilding)
	defer ticker.Stop()
	for {
		select {
		case err := <-done:
			return err
		case <-ticker.C:
			p.say("still building")
		}
	}
}

// build compiles one program and puts it and its files in place.
func build(ctx context.Context, progress progress, src source, b binary) (err error) {
	progress.say("building")
	// Beside its place, not in the system's temporary directory: a rename is
	// atomic only within one file system.
	scratch, err := os.MkdirTemp(filepath.Dir(src.dir()), "building-")
	if err != nil {
		return fmt.Errorf("making a directory for the build: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()

	program := filepath.Join(scratch, b.name)
	err = progress.during(func() error {
		_, err := goTool(ctx, src, "build", "-mod=readonly", "-buildvcs=false", "-ldflags", src.linkerFlags(), "-o", program, b.pkg)
		return err
	})
	if err != nil {
		return err
	}
	if len(b.files) > 0 {
		if err := copyFiles(ctx, src, b); err != nil {
			return err
		}
	}
	if err := os.Rename(program, filepath.Join(src.dir(), b.name)); err != nil {
		return fmt.Errorf("putting the program in place: %w", err)
	}
	progress.say("done")
	return nil
}

// copyFiles copies a program's files out of the module cache, which may be
// cleaned before the rig starts again.
func copyFiles(ctx context.Context, src source, b binary) error {
	output, err := goTool(ctx, src, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", b.module)
	if err != nil {
		return err
	}
	module := strings.TrimSpace(output)
	target := filesDir(src.dir(), b.name)
	if err := os.MkdirAll(target, 0o755); err != nil {
		return fmt.Errorf("making the directory of its files: %w", err)
	}
	for _, pattern := range b.files {
		files, err := filepath.Glob(filepath.Join(module, pattern))
		if err != nil {
			return fmt.Errorf("listing %s: %w", pattern, err)
		}
		if len(files) == 0 {
			return fmt.Errorf("%s has no %s", module, pattern)
		}
		for _, file := range files {
			if err := copyFile(file, filepath.Join(target, filepath.Base(file)), 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}

func copyFile(from, to string, mode os.FileMode) error {
	content, err := os.ReadFile(filepath.Clean(from))
	if err != nil {
		return fmt.Errorf("copying a file: %w", err)
	}
	partial := to + ".partial"
	if err := os.WriteFile(partial, content, mode); err != nil {
		return fmt.Errorf("copying a file: %w", err)
	}
	if err := os.Rename(partial, to); err != nil {
		return fmt.Errorf("copying a file: %w", err)
	}
	return nil
}

// goTool runs the go command in the module of the programs. Its error ends with
// what the command wrote to standard error.
func goTool(ctx context.Context, src source, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = filepath.Join(src.root, toolsModule)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOWORK=off")
	// Interrupted rather than killed, so that the go command removes its work directory.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 10 * time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return "", fmt.Errorf("running go %s: %w", args[0], ctx.Err())
		}
		return "", fmt.Errorf("running go %s: %w\n%s", args[0], err, lastLines(stderr.String()))
	}
	return stdout.String(), nil
}

// lastLines returns the end of an output, where compilers and servers say why they stop.
func lastLines(output string) string {
	const keep = 20
	lines := strings.Split(strings.TrimRight(output, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-keep):], "\n")
}
