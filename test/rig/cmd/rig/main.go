// The rig command provides the programs of the local rig, and brings a bare rig
// up to look at: a Kubernetes control plane and Flux, on loopback, without a
// cluster or containers.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/mainstem-dev/mainstem/test/rig"
	"github.com/mainstem-dev/mainstem/test/rig/binaries"
)

const usage = `Usage:
  rig binaries [--only envtest] [--print-dir=false]
      fetch or build the rig's programs; print their directory
  rig up [--dir DIR]
      bring a rig up and keep it up until it is interrupted
`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case err != nil:
		_, _ = fmt.Fprintln(os.Stderr, "rig:", err)
		os.Exit(1) //nolint:gocritic // nothing is left that stop would have to undo
	}
}

// run executes a command line. Results go to out, what happens meanwhile to progress.
func run(ctx context.Context, args []string, out, progress io.Writer) error {
	if len(args) == 0 {
		return fmt.Errorf("a command is missing\n%s", usage)
	}
	switch args[0] {
	case "binaries":
		return runBinaries(ctx, args[1:], out, progress)
	case "up":
		return runUp(ctx, args[1:], out, progress)
	case "help", "-h", "--help":
		_, err := fmt.Fprint(out, usage)
		return err
	default:
		return fmt.Errorf("there is no command %q\n%s", args[0], usage)
	}
}

func runBinaries(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("binaries", flag.ContinueOnError)
	flags.SetOutput(progress)
	only := flags.String("only", "", `what is wanted of them: "envtest" (kube-apiserver, etcd and kubectl), or nothing for all`)
	printDir := flags.Bool("print-dir", true, "print the directory that holds them")
	if err := flags.Parse(args); err != nil {
		return err
	}
	var names []string
	switch *only {
	case "":
	case "envtest":
		names = binaries.Envtest()
	default:
		return fmt.Errorf(`--only knows "envtest", not %q`, *only)
	}
	dir, err := binaries.Ensure(ctx, progress, names...)
	if err != nil {
		return err
	}
	if *printDir {
		if _, err := fmt.Fprintln(out, dir); err != nil {
			return fmt.Errorf("printing the directory: %w", err)
		}
	}
	return nil
}

func runUp(ctx context.Context, args []string, out, progress io.Writer) error {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	flags.SetOutput(progress)
	dir := flags.String("dir", "", "where state and logs go; a temporary directory, removed at the end, when it is not given")
	if err := flags.Parse(args); err != nil {
		return err
	}
	r, err := rig.Start(ctx, rig.Options{Dir: *dir, Out: progress})
	if err != nil {
		return err
	}
	defer r.Stop()
	_, err = fmt.Fprintf(out, "export KUBECONFIG=%s\n%s get nodes\nlogs: %s\nCtrl-C stops it\n", r.Kubeconfig(), r.Kubectl(), r.Logs())
	if err != nil {
		return fmt.Errorf("saying where the rig is: %w", err)
	}
	select {
	case <-ctx.Done():
		return nil
	case <-r.Failed():
		return r.Err()
	}
}
