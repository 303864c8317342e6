// The demo command shows Mainstem at work: it brings up a Kubernetes control plane with Flux, an emulated GitHub and the
// operator on this machine, pushes a commit, and tells how it travels to production. Nothing is scripted: every line is what
// the API server or GitHub said.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"github.com/mainstem-dev/mainstem/test/journey"
)

// limit bounds the journey, from the operator's start to production.
const limit = 10 * time.Minute

func main() {
	os.Exit(run(os.Args[1:]))
}

// run returns the exit code, so that everything is cleaned up before the end.
func run(arguments []string) int {
	flags := flag.NewFlagSet("demo", flag.ContinueOnError)
	once := flags.Bool("once", false, "end when the journey has ended; the exit code is 0 only if all of it has happened")
	switch err := flags.Parse(arguments); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	demo := &demo{narrator: newNarrator(os.Stdout), stay: !*once}
	if err := demo.run(ctx); err != nil {
		if ctx.Err() != nil {
			fmt.Fprintln(os.Stderr, "interrupted")
		} else {
			fmt.Fprintln(os.Stderr, "\nThe demo has failed:", err)
		}
		return 1
	}
	return 0
}

type demo struct {
	narrator *narrator
	stay     bool
}

func (d *demo) run(ctx context.Context) (err error) {
	d.narrator.write("A commit travels to production: real Kubernetes, real Flux, real Git, an emulated GitHub, all on loopback.\n\n")
	started := time.Now()
	world, err := journey.Start(ctx, journey.Options{Sink: d.narrator.tell})
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := world.Close(); err == nil && closeErr != nil {
			err = fmt.Errorf("cleaning up: %w", closeErr)
		}
	}()
	d.narrator.write("\nUp in %s. Times are UTC.\n\n", time.Since(started).Round(100*time.Millisecond))

	travelling, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	began := time.Now()
	if err := journey.New(world).Run(travelling); err != nil {
		if ctx.Err() == nil {
			world.Report(ctx, os.Stderr)
		}
		return err
	}
	d.narrator.write("\nFrom nothing to production in %s.\n", time.Since(began).Round(100*time.Millisecond))
	if !d.stay {
		return nil
	}
	d.narrator.write("%s", howToLook(world))
	select {
	case <-ctx.Done():
		d.narrator.write("\nStopping.\n")
		return nil
	case <-world.Rig.Failed():
		return world.Rig.Err()
	}
}

// howToLook says how a person finds out more while everything is up.
func howToLook(world *journey.World) string {
	kubectl := "kubectl"
	if _, err := exec.LookPath(kubectl); err != nil {
		kubectl = world.Rig.Kubectl()
	}
	prefix := "KUBECONFIG=" + world.Rig.Kubeconfig() + " " + kubectl
	git, api := world.VisitorURLs()
	return fmt.Sprintf(`
Everything stays up until Ctrl-C. Look around, from another terminal:

  %[1]s get mapp,mrel,mpromo -A
  %[1]s -n %[2]s get mapp %[3]s -o yaml
  %[1]s -n %[2]s get kustomizations,gitrepositories
  git clone %[4]s
  curl -s %[5]s/pulls/1
  %[6]s holds the logs
`, prefix, journey.Namespace, journey.ApplicationName, git, api, world.Rig.Logs())
}

// narrator prints events as they happen.
type narrator struct {
	mu  sync.Mutex
	out io.Writer
	// color says that the output is a terminal that wants colours.
	color bool
}

func newNarrator(out *os.File) *narrator {
	info, err := out.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &narrator{out: out, color: terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func (n *narrator) write(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	_, _ = fmt.Fprintf(n.out, format, args...)
}

// The escape sequences of a terminal for what people look for first.
const (
	plain = ""
	bold  = "\x1b[1m"
	green = "\x1b[32m"
	dim   = "\x1b[2m"
	reset = "\x1b[0m"
)

// tell prints an event. What follows from the one before it has no time of its own.
func (n *narrator) tell(event journey.Event) {
	mark, style, stamp := " ", plain, event.At.UTC().Format("15:04:05.0")
	switch event.Kind {
	case journey.Progress:
	case journey.Acted:
		mark, style = "►", bold
	case journey.Seen:
		mark, style = "✔", green
	case journey.Summary:
		mark, style = "·", dim
	case journey.Shown:
		stamp = "          "
	}
	text := event.Text
	if n.color && style != plain {
		text = style + text + reset
	}
	n.write("%s %s %s\n", stamp, mark, text)
}
