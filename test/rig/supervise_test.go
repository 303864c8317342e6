package rig

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	. "github.com/onsi/gomega"

	"github.com/mainstem-dev/mainstem/test/rig/internal/filelock"
)

// patience bounds what these tests wait for on a busy machine.
const patience = 20 * time.Second

// newEmptyRig returns a rig that runs nothing yet.
func newEmptyRig(t *testing.T) (*Rig, *bytes.Buffer) {
	t.Helper()
	var out bytes.Buffer
	r := &Rig{
		options: Options{Dir: t.TempDir(), Out: &out},
		failed:  make(chan struct{}),
		health:  &http.Client{Timeout: readyRequestTimeout},
	}
	if err := r.prepareDir(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(r.Stop)
	return r, &out
}

func shell(name, script string) Process {
	return Process{Name: name, Path: "/bin/sh", Args: []string{"-c", script}}
}

func TestStartProcessSaysWhyAProcessEnded(t *testing.T) {
	g := NewWithT(t)
	r, _ := newEmptyRig(t)
	process := shell("short", "echo the reason is on the last line >&2; exit 3")
	process.ReadyURL = "http://127.0.0.1:1/readyz"
	err := r.StartProcess(t.Context(), process)
	g.Expect(err).To(MatchError(And(ContainSubstring("short"), ContainSubstring("exit status 3"), ContainSubstring("the reason is"))))
	g.Expect(r.Err()).NotTo(HaveOccurred(), "an error that is returned is not reported again")
}

func TestStartProcessWaitsUntilItIsReady(t *testing.T) {
	g := NewWithT(t)
	r, _ := newEmptyRig(t)
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1) < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	t.Cleanup(server.Close)
	process := shell("slow", "exec sleep 600")
	process.ReadyURL = server.URL
	g.Expect(r.StartProcess(t.Context(), process)).To(Succeed())
	g.Expect(asked.Load()).To(BeEquivalentTo(3))
	g.Expect(r.StartProcess(t.Context(), process)).To(MatchError(ContainSubstring("is running")))
}

func TestStartProcessEndsWithItsContext(t *testing.T) {
	g := NewWithT(t)
	r, _ := newEmptyRig(t)
	ctx, cancel := context.WithCancel(t.Context())
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusServiceUnavailable)
		cancel()
	}))
	t.Cleanup(server.Close)
	process := shell("never", "exec sleep 600")
	process.ReadyURL = server.URL
	g.Expect(r.StartProcess(ctx, process)).To(MatchError(context.Canceled))
	e, err := r.lookup("never")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(e.run.hasEnded()).To(BeTrue(), "what did not become ready does not go on running")
}

func TestAnUnexpectedEndIsReported(t *testing.T) {
	g := NewWithT(t)
	r, _ := newEmptyRig(t)
	file := filepath.Join(r.Dir(), "go-on")
	script := fmt.Sprintf("while [ ! -e %s ]; do sleep 0.05; done; echo last words; exit 4", file)
	g.Expect(r.StartProcess(t.Context(), shell("fragile", script))).To(Succeed())
	g.Expect(r.Err()).NotTo(HaveOccurred())
	g.Expect(os.WriteFile(file, nil, 0o600)).To(Succeed())
	g.Eventually(r.Failed()).WithTimeout(patience).Should(BeClosed())
	g.Expect(r.Err()).To(MatchError(And(ContainSubstring("fragile"), ContainSubstring("exit status 4"), ContainSubstring("last words"))))
	var tail bytes.Buffer
	r.Tail(&tail)
	g.Expect(tail.String()).To(And(ContainSubstring("fragile.log"), ContainSubstring("last words")))
}

func TestKillAndRestartAreNotFailures(t *testing.T) {
	g := NewWithT(t)
	r, _ := newEmptyRig(t)
	starts := func() int { return strings.Count(r.tailOf("sturdy"), "started") }
	g.Expect(r.StartProcess(t.Context(), shell("sturdy", "echo started; exec sleep 600"))).To(Succeed())
	g.Eventually(starts).WithTimeout(patience).Should(Equal(1))
	first, err := r.lookup("sturdy")
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(r.Kill("sturdy")).To(Succeed())
	g.Expect(first.run.hasEnded()).To(BeTrue())
	g.Expect(r.Restart(t.Context(), "sturdy")).To(Succeed())
	g.Eventually(starts).WithTimeout(patience).Should(Equal(2))
	g.Expect(r.Restart(t.Context(), "sturdy")).To(Succeed(), "one that runs")
	g.Eventually(starts).WithTimeout(patience).Should(Equal(3))
	g.Expect(r.Kill("unknown")).To(MatchError(ContainSubstring("unknown")))
	r.Stop()
	g.Expect(r.Err()).NotTo(HaveOccurred())
	g.Expect(r.StartProcess(t.Context(), shell("late", "true"))).To(MatchError(errStopped))
}

func TestStopEndsChildrenThatDoNotListen(t *testing.T) {
	g := NewWithT(t)
	r, _ := newEmptyRig(t)
	g.Expect(r.StartProcess(t.Context(), shell("deaf", "trap '' TERM; echo deaf; while :; do sleep 0.05; done"))).To(Succeed())
	g.Eventually(func() string { return r.tailOf("deaf") }).WithTimeout(patience).Should(ContainSubstring("deaf"))
	e, err := r.lookup("deaf")
	g.Expect(err).NotTo(HaveOccurred())
	r.Stop()
	g.Expect(e.run.hasEnded()).To(BeTrue())
}

func TestProcessesSeeOnlyTheEnvironmentThatIsTheirs(t *testing.T) {
	t.Setenv("MAINSTEM_RIG_SECRET", "of the person who runs the tests")
	g := NewWithT(t)
	r, _ := newEmptyRig(t)
	process := shell("env", "env; echo done; exec sleep 600")
	process.Env = []string{"GIVEN=this"}
	g.Expect(r.StartProcess(t.Context(), process)).To(Succeed())
	g.Eventually(func() string { return r.tailOf("env") }).WithTimeout(patience).Should(ContainSubstring("done"))
	g.Expect(r.tailOf("env")).To(And(ContainSubstring("GIVEN=this"), Not(ContainSubstring("MAINSTEM_RIG_SECRET"))))
}

func TestLaunchTakesOtherPortsWhenSomebodyWasQuicker(t *testing.T) {
	g := NewWithT(t)
	r, out := newEmptyRig(t)
	var described []string
	_, err := r.launch(t.Context(), component{name: "unlucky", ports: 2, describe: func(addresses []string) Process {
		described = append(described, addresses...)
		if len(described) == 2 {
			process := shell("unlucky", "echo listen tcp: bind: address already in use; exit 1")
			process.ReadyURL = "http://127.0.0.1:1/"
			return process
		}
		return shell("unlucky", "exec sleep 600")
	}})
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(described).To(HaveLen(4))
	g.Expect(described[0]).NotTo(Equal(described[1]))
	g.Expect(out.String()).To(ContainSubstring("unlucky"))
}

func TestADirectoryServesOneRig(t *testing.T) {
	g := NewWithT(t)
	first, _ := newEmptyRig(t)
	g.Expect(os.WriteFile(filepath.Join(first.Logs(), "kept.log"), []byte("kept"), 0o600)).To(Succeed())
	second := &Rig{options: Options{Dir: first.Dir()}}
	g.Expect(second.prepareDir()).To(MatchError(filelock.ErrUnavailable))
	g.Expect(first.tailOf("kept")).To(Equal("kept"), "the rig that runs keeps its files")
	first.Stop()
	g.Expect(second.prepareDir()).To(Succeed())
	g.Expect(first.tailOf("kept")).To(ContainSubstring("no log"), "an earlier rig's files are removed")
	g.Expect(second.lock.Release()).To(Succeed())
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	for name, options := range map[string]Options{
		"unknown addition":              {With: []string{"image-reflector-controller"}},
		"etcd cannot be left out":       {Without: []string{Etcd}},
		"arguments of what is left out": {Without: []string{Kwok}, Args: map[string][]string{Kwok: {"-v"}}},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Rig{options: options}
			if err := r.validate(); err == nil {
				t.Error("the options were accepted")
			}
		})
	}
}
