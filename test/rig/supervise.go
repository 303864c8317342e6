package rig

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const (
	// readyTimeout bounds the start of one process on a busy machine.
	readyTimeout = 90 * time.Second
	// readyInterval is how often a starting process is asked.
	readyInterval = 50 * time.Millisecond
	// readyRequestTimeout bounds one such question.
	readyRequestTimeout = 2 * time.Second
	// stopGrace is how long a process may take to stop by itself.
	stopGrace = 3 * time.Second
	// portAttempts is how often a process may find its ports taken by somebody
	// who was quicker.
	portAttempts = 3
)

// entry is a process and its current or last run.
type entry struct {
	process Process
	run     *running
}

// component is a process of the rig's own, whose arguments depend on the
// addresses that are free when it starts.
type component struct {
	name string
	// ports is how many addresses it listens on.
	ports int
	// describe makes the process for these addresses, each a host:port.
	describe func(addresses []string) Process
}

// launch starts a component on free addresses and waits until it is ready.
func (r *Rig) launch(ctx context.Context, c component) ([]string, error) {
	started := time.Now()
	for attempt := 1; ; attempt++ {
		addresses, err := FreeAddresses(ctx, c.ports)
		if err != nil {
			return nil, fmt.Errorf("starting %s: %w", c.name, err)
		}
		process := c.describe(addresses)
		process.Args = append(process.Args, r.options.Args[c.name]...)
		err = r.StartProcess(ctx, process)
		if err == nil {
			r.say("%-24s ready in %s", c.name, time.Since(started).Round(10*time.Millisecond))
			return addresses, nil
		}
		if attempt == portAttempts || !strings.Contains(r.tailOf(c.name), "address already in use") {
			return nil, err
		}
		if err := os.Remove(r.logPath(c.name)); err != nil {
			return nil, fmt.Errorf("starting %s on other ports: %w", c.name, err)
		}
	}
}

// StartProcess runs a program as the rig runs its own: its output goes to a log
// file, it ends with the rig, and Failed tells when it ends before. It returns
// when the program is ready, or with the end of its log when it does not become so.
func (r *Rig) StartProcess(ctx context.Context, process Process) error {
	e, err := r.begin(ctx, process)
	if err != nil {
		return fmt.Errorf("starting %s: %w", process.Name, err)
	}
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	err = r.awaitReady(ctx, e.run, process.ReadyURL)
	if err == nil {
		e.run.expect(endUnexpected)
		if e.run.hasEnded() {
			err = fmt.Errorf("it ended as soon as it was ready: %w", e.run.err)
		}
	}
	if err != nil {
		e.run.kill()
		return fmt.Errorf("starting %s: %w\n%s", process.Name, err, r.tailOf(process.Name))
	}
	return nil
}

// begin starts a process and enters it in the list of those that run.
func (r *Rig) begin(ctx context.Context, process Process) (*entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stopped {
		return nil, errStopped
	}
	e := r.find(process.Name)
	if e != nil && !e.run.hasEnded() {
		return nil, errors.New("it is running")
	}
	run, err := r.spawn(ctx, process, func(err error) { r.fail(process.Name, err) })
	if err != nil {
		return nil, err
	}
	if e == nil {
		e = &entry{}
		r.entries = append(r.entries, e)
	}
	*e = entry{process: process, run: run}
	return &entry{process: process, run: run}, nil
}

// awaitReady returns when the URL answers well, the process ends or ctx does.
func (r *Rig) awaitReady(ctx context.Context, run *running, url string) error {
	if url == "" {
		return nil
	}
	ticker := time.NewTicker(readyInterval)
	defer ticker.Stop()
	for {
		err := r.ask(ctx, url)
		if err == nil {
			return nil
		}
		select {
		case <-run.exited:
			return fmt.Errorf("it ended before it was ready: %w", run.err)
		case <-ctx.Done():
			return fmt.Errorf("it did not become ready (%w): %w", ctx.Err(), err)
		case <-ticker.C:
		}
	}
}

// ask requests a health endpoint once.
func (r *Rig) ask(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return fmt.Errorf("asking whether it is ready: %w", err)
	}
	response, err := r.health.Do(request)
	if err != nil {
		return fmt.Errorf("asking whether it is ready: %w", err)
	}
	if err := response.Body.Close(); err != nil {
		return fmt.Errorf("asking whether it is ready: %w", err)
	}
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("asking whether it is ready: %s answers %s", url, response.Status)
	}
	return nil
}

// Kill ends a process at once, as a crash would. The rest of the rig goes on.
func (r *Rig) Kill(name string) error {
	e, err := r.lookup(name)
	if err != nil {
		return err
	}
	e.run.kill()
	return nil
}

// Restart starts a process again, with the same arguments and addresses, and
// returns when it is ready. One that still runs is killed first.
func (r *Rig) Restart(ctx context.Context, name string) error {
	e, err := r.lookup(name)
	if err != nil {
		return err
	}
	e.run.kill()
	return r.StartProcess(ctx, e.process)
}

// PID returns the process id of the last run of a process.
func (r *Rig) PID(name string) (int, error) {
	e, err := r.lookup(name)
	if err != nil {
		return 0, err
	}
	return e.run.cmd.Process.Pid, nil
}

func (r *Rig) lookup(name string) (entry, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e := r.find(name)
	if e == nil {
		return entry{}, fmt.Errorf("the rig runs no %q", name)
	}
	return *e, nil
}

// find returns the entry of a process, or nil. The caller holds the mutex.
func (r *Rig) find(name string) *entry {
	for _, e := range r.entries {
		if e.process.Name == name {
			return e
		}
	}
	return nil
}

// fail records the first unexpected end of a process and reports every one.
func (r *Rig) fail(name string, cause error) {
	err := fmt.Errorf("%s ended unexpectedly: %w\n%s", name, cause, r.tailOf(name))
	r.say("%v", err)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
		close(r.failed)
	}
}

// Failed is closed when a process ends that nobody told to; Err says which.
func (r *Rig) Failed() <-chan struct{} {
	return r.failed
}

// Err returns which process ended unexpectedly first, with the end of its log;
// nil when none has.
func (r *Rig) Err() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.err
}

// Tail writes the end of every process' log, for the report of a failure.
func (r *Rig) Tail(out io.Writer) {
	r.mu.Lock()
	names := make([]string, 0, len(r.entries))
	for _, e := range r.entries {
		names = append(names, e.process.Name)
	}
	r.mu.Unlock()
	for _, name := range names {
		_, _ = fmt.Fprintf(out, "==> %s <==\n%s\n\n", r.logPath(name), r.tailOf(name))
	}
}

// FreeAddresses returns loopback addresses that nobody listens on at the moment.
func FreeAddresses(ctx context.Context, count int) ([]string, error) {
	var config net.ListenConfig
	listeners := make([]net.Listener, 0, count)
	addresses := make([]string, 0, count)
	var failure error
	for range count {
		listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			failure = err
			break
		}
		listeners = append(listeners, listener)
		addresses = append(addresses, listener.Addr().String())
	}
	// Closed only when all are found, so that no two are the same.
	for _, listener := range listeners {
		failure = errors.Join(failure, listener.Close())
	}
	if failure != nil {
		return nil, fmt.Errorf("finding free ports: %w", failure)
	}
	return addresses, nil
}
