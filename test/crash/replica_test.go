//go:build e2e

package crash_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	. "github.com/onsi/gomega"
	"k8s.io/client-go/rest"

	"github.com/mainstem-dev/mainstem/test/rig"
)

const (
	// instance is the installation's name.
	instance = "crash"
	// restartPause is what the kubelet's stand-in waits before it starts an operator again that ended.
	restartPause = 10 * time.Millisecond
)

// replica is one operator as a kubelet runs it: a process of the real program, started again whenever it ends, with a wire of its
// own to the API server.
type replica struct {
	api      *wire
	webhooks string
	command  []string
	env      []string
	logFile  string

	mu      sync.Mutex
	running *exec.Cmd
	exited  chan struct{}
	started int64
	// stays is open while it must not be started again; nil when it may.
	stays chan struct{}
}

// startReplica starts an operator with more arguments, and stops it when the test ends.
func startReplica(t *testing.T, arguments ...string) *replica {
	t.Helper()
	g := NewWithT(t)
	r, err := newReplica(t.Context(), t.TempDir(), arguments)
	g.Expect(err).NotTo(HaveOccurred())
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan error, 1)
	go func() { done <- r.keepRunning(ctx) }()
	t.Cleanup(func() {
		stop()
		r.up()
		r.kill()
		g.Expect(<-done).To(Succeed())
		g.Expect(r.api.cut()).To(Succeed())
		if t.Failed() {
			t.Logf("the end of the operator's log:\n%s", r.tail())
		}
	})
	return r
}

func newReplica(ctx context.Context, dir string, arguments []string) (*replica, error) {
	target, err := url.Parse(shared.server.Admin.Host)
	if err != nil {
		return nil, fmt.Errorf("reading the API server's address: %w", err)
	}
	if target.Host == "" {
		target = &url.URL{Scheme: "https", Host: shared.server.Admin.Host}
	}
	transport, err := rest.TransportFor(rest.AnonymousClientConfig(shared.server.Admin))
	if err != nil {
		return nil, fmt.Errorf("speaking to the API server: %w", err)
	}
	api, authority, err := newTLSWire(ctx, toKubernetes, target, transport)
	if err != nil {
		return nil, err
	}
	addresses, err := rig.FreeAddresses(ctx, 1)
	if err != nil {
		return nil, err
	}
	r := &replica{api: api, webhooks: addresses[0], logFile: filepath.Join(dir, "operator.log")}
	api.speaks(r.generation)
	kubeconfig := filepath.Join(dir, "kubeconfig")
	config := &rest.Config{Host: "https://" + api.address, BearerToken: shared.token, TLSClientConfig: rest.TLSClientConfig{CAData: authority}}
	if err := rig.WriteKubeconfig(config, kubeconfig); err != nil {
		return nil, err
	}
	r.command = append([]string{
		shared.binary, "--instance=" + instance, "--metrics-bind-address=0", "--health-probe-bind-address=0",
		"--webhook-bind-address=" + r.webhooks, "--log-level=info", "--log-encoding=json",
	}, arguments...)
	r.env = []string{"KUBECONFIG=" + kubeconfig, "HOME=" + dir, "PATH=" + os.Getenv("PATH")}
	return r, nil
}

// keepRunning starts the operator, again and again, until ctx ends.
func (r *replica) keepRunning(ctx context.Context) error {
	for {
		if err := r.start(ctx); err != nil {
			return err
		}
		<-r.exited
		pause := time.NewTimer(restartPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil
		case <-pause.C:
		}
		r.mu.Lock()
		stays := r.stays
		r.mu.Unlock()
		if stays != nil {
			<-stays
		}
	}
}

func (r *replica) start(ctx context.Context) error {
	output, err := os.OpenFile(r.logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("opening the operator's log: %w", err)
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), r.command[0], r.command[1:]...)
	// Through a pipe: an operator that outlives this process ends when it next logs.
	log := struct{ io.Writer }{output}
	cmd.Env, cmd.Stdout, cmd.Stderr = r.env, log, log
	r.mu.Lock()
	defer r.mu.Unlock()
	if ctx.Err() != nil {
		r.exited = make(chan struct{})
		close(r.exited)
		return output.Close()
	}
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("starting the operator: %w", err), output.Close())
	}
	exited := make(chan struct{})
	r.running, r.exited = cmd, exited
	r.started++
	go func() {
		_ = cmd.Wait() // it has been killed, or its log says why it ended
		_ = output.Close()
		close(exited)
	}()
	return nil
}

// kill ends the process at once and waits until it is gone.
func (r *replica) kill() {
	r.mu.Lock()
	cmd, exited := r.running, r.exited
	r.running = nil
	r.mu.Unlock()
	if cmd == nil {
		return
	}
	_ = cmd.Process.Kill() // it may have ended by itself
	<-exited
}

// generation numbers the processes; none runs between a kill and the next start.
func (r *replica) generation() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.running == nil {
		return -1
	}
	return r.started
}

// down kills the process, which stays away until up: its node has died.
func (r *replica) down() {
	r.mu.Lock()
	if r.stays == nil {
		r.stays = make(chan struct{})
	}
	r.mu.Unlock()
	r.kill()
}

// up lets it be started again.
func (r *replica) up() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.stays != nil {
		close(r.stays)
		r.stays = nil
	}
}

// starts is how often it was started.
func (r *replica) starts() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.started
}

// takesDeliveries says whether it listens for them.
func (r *replica) takesDeliveries(ctx context.Context) error {
	connection, err := (&net.Dialer{}).DialContext(ctx, "tcp", r.webhooks)
	if err != nil {
		return err
	}
	return connection.Close()
}

// webhookURL is where it takes deliveries.
func (r *replica) webhookURL() string { return "http://" + r.webhooks + "/github" }

// tail is the end of its log.
func (r *replica) tail() string {
	const lines = 40
	content, err := os.ReadFile(r.logFile)
	if err != nil {
		return err.Error()
	}
	all := strings.Split(string(bytes.TrimSpace(content)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
