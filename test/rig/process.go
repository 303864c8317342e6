package rig

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Process is a program that the rig runs.
type Process struct {
	// Name identifies it in Kill, Restart and log files.
	Name string
	// Path of the program.
	Path string
	// Args are its arguments, without its name.
	Args []string
	// Env is added to PATH, HOME and TMPDIR, which is all that it gets of the
	// environment.
	Env []string
	// ReadyURL is asked until it answers with a 2xx status. A process without it
	// is ready as soon as it runs.
	ReadyURL string
}

// running is one run of a process.
type running struct {
	cmd *exec.Cmd
	// exited is closed when the process has ended; err says how.
	exited chan struct{}
	err    error

	mu       sync.Mutex
	expected bool // its end: it has been told to stop, or is not known to be ready yet
}

// expect says whether the process' end is expected from now on.
func (p *running) expect(end expectation) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.expected = end == endExpected
}

func (p *running) endIsExpected() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.expected
}

// expectation is what somebody thinks of a process' end.
type expectation int

const (
	endExpected expectation = iota
	endUnexpected
)

func (p *running) hasEnded() bool {
	select {
	case <-p.exited:
		return true
	default:
		return false
	}
}

// signal sends a signal to the process and its children.
func (p *running) signal(s syscall.Signal) {
	// A process that has ended meanwhile needs no signal.
	_ = syscall.Kill(-p.cmd.Process.Pid, s)
}

// stop ends the process: with a request, and with force after the grace.
func (p *running) stop(grace time.Duration) {
	p.expect(endExpected)
	p.signal(syscall.SIGTERM)
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		p.kill()
	}
}

// kill ends the process at once.
func (p *running) kill() {
	p.expect(endExpected)
	p.signal(syscall.SIGKILL)
	<-p.exited
}

// spawns starts processes from one thread that lives as long as this process:
// the kernel ends children when the thread that started them ends, and Go's
// threads come and go.
var spawns = sync.OnceValue(func() chan<- func() {
	queue := make(chan func())
	go func() {
		runtime.LockOSThread()
		for spawn := range queue {
			spawn()
		}
	}()
	return queue
})

// spawn starts the process, whose output is appended to the log file. It does
// not wait until it is ready. ended is called when the process ends unexpectedly.
func (r *Rig) spawn(ctx context.Context, process Process, ended func(error)) (*running, error) {
	log, err := os.OpenFile(r.logPath(process.Name), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the log: %w", err)
	}
	// The process outlives the context of its start.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), process.Path, process.Args...)
	cmd.Dir = r.dir
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + r.dir, "TMPDIR=" + filepath.Join(r.dir, "tmp")}, process.Env...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes()

	started := make(chan error, 1)
	select {
	case spawns() <- func() { started <- cmd.Start() }:
	case <-ctx.Done():
		return nil, errors.Join(ctx.Err(), log.Close())
	}
	if err := <-started; err != nil {
		return nil, errors.Join(fmt.Errorf("starting %s: %w", process.Path, err), log.Close())
	}
	p := &running{cmd: cmd, exited: make(chan struct{}), expected: true}
	go func() {
		p.err = errors.Join(cmd.Wait(), log.Close())
		close(p.exited)
		if !p.endIsExpected() {
			ended(p.err)
		}
	}()
	return p, nil
}

// logPath is where the output of a process goes.
func (r *Rig) logPath(name string) string {
	return filepath.Join(r.Logs(), name+".log")
}

// tailOf returns the last lines of a process' log.
func (r *Rig) tailOf(name string) string {
	const lines, window = 15, 16 << 10 // a window of bytes that holds so many lines of usual length
	file, err := os.Open(r.logPath(name))
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	defer func() { _ = file.Close() }() // it has only been read
	info, err := file.Stat()
	if err != nil {
		return fmt.Sprintf("(no log: %v)", err)
	}
	buffer := make([]byte, min(window, info.Size()))
	n, err := file.ReadAt(buffer, info.Size()-int64(len(buffer)))
	if n < len(buffer) {
		return fmt.Sprintf("(no log: %v)", err)
	}
	all := strings.Split(strings.TrimRight(string(buffer), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
