//go:build e2e

package rig_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/mainstem-dev/mainstem/test/rig"
)

func TestWorkGoesOnAfterEveryComponentButTheDatabaseCrashed(t *testing.T) {
	g := NewWithT(t)
	server, namespace := newGitServer(t, anonymous), newTenant(t)
	for _, component := range []string{
		rig.KubeAPIServer, rig.KubeControllerManager, rig.KubeScheduler, rig.Kwok, rig.SourceController, rig.KustomizeController,
	} {
		g.Expect(shared.Kill(component)).To(Succeed())
		g.Expect(shared.Restart(t.Context(), component)).To(Succeed())
	}
	commit := server.commit(map[string]string{"deploy/app.yaml": deployment("1", nil)})
	applier := kustomization(namespace)
	g.Expect(admin.Create(t.Context(), gitRepository(namespace, server.URL, commit))).To(Succeed())
	g.Expect(admin.Create(t.Context(), applier)).To(Succeed())
	g.Eventually(func(g Gomega) {
		g.Expect(ready(t.Context(), g, applier)).To(beReady())
	}).Should(Succeed())
	g.Expect(shared.Err()).NotTo(HaveOccurred())
}

// TestNothingOutlivesAKilledRig kills a process that runs a rig in a way that
// leaves it no time to clean up.
func TestNothingOutlivesAKilledRig(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux ends processes with their parent")
	}
	g := NewWithT(t)
	dir := t.TempDir()
	command := filepath.Join(dir, "rig")
	output, err := exec.CommandContext(t.Context(), "go", "build", "-o", command, "./cmd/rig").CombinedOutput()
	g.Expect(err).NotTo(HaveOccurred(), string(output))
	state := filepath.Join(dir, "state")
	up := exec.CommandContext(t.Context(), command, "up", "--dir", state)
	g.Expect(up.Start()).To(Succeed())
	g.Eventually(func() []string { return processesNaming(g, state) }).Should(ContainElement(ContainSubstring("etcd")))
	g.Expect(up.Process.Kill()).To(Succeed())
	g.Expect(up.Wait()).NotTo(Succeed())
	g.Eventually(func() []string { return processesNaming(g, state) }).Should(BeEmpty())
}

// processesNaming returns the command lines of running processes that contain a text.
func processesNaming(g Gomega, text string) []string {
	files, err := filepath.Glob("/proc/[0-9]*/cmdline")
	g.Expect(err).NotTo(HaveOccurred())
	var found []string
	for _, file := range files {
		content, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(content), text) {
			found = append(found, strings.ReplaceAll(string(content), "\x00", " "))
		}
	}
	return found
}
