package journey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/mainstem-dev/mainstem/test/rig"
)

const (
	// Operator is the name of the operator's process, for the rig's Kill and Restart.
	Operator = "mainstem"
	// Instance is the installation's name.
	Instance = "demo"

	operatorNamespace = "mainstem-system"
	operatorAccount   = "mainstem"
	operatorUser      = "system:serviceaccount:" + operatorNamespace + ":" + operatorAccount

	// startAttempts is how often the operator may find its ports taken by somebody who was quicker.
	startAttempts = 3
)

func (w *World) operatorBinary() string { return filepath.Join(w.root, "bin", "mainstem") }

// buildOperator builds the operator from the checkout.
func (w *World) buildOperator(ctx context.Context) error {
	started := time.Now()
	if err := rig.BuildOperator(ctx, w.root, w.operatorBinary()); err != nil {
		return err
	}
	w.options.Sink.tell(Progress, "%-24s built in %s", "mainstem", time.Since(started).Round(10*time.Millisecond))
	return nil
}

// install applies what a cluster gets besides the operator's Deployment: kinds, policies, and the operator's account with
// its rights. The operator itself runs as a process.
func (w *World) install(ctx context.Context) error {
	config := filepath.Join(w.root, "config")
	err := w.Rig.Apply(ctx,
		filepath.Join(config, "crd"),
		filepath.Join(config, "policies"),
		filepath.Join(config, "manager", "namespace.yaml"),
		filepath.Join(config, "rbac"),
	)
	if err != nil {
		return fmt.Errorf("installing Mainstem: %w", err)
	}
	w.options.Sink.tell(Progress, "%-24s kinds, admission policies and roles from config/ installed", "mainstem")
	return nil
}

// startOperator starts the operator as its service account.
func (w *World) startOperator(ctx context.Context) error {
	config, err := w.Rig.ServiceAccountConfig(ctx, operatorNamespace, operatorAccount)
	if err != nil {
		return fmt.Errorf("starting the operator: %w", err)
	}
	w.secrets = append(w.secrets, config.BearerToken)
	kubeconfig := filepath.Join(w.dir, "mainstem.kubeconfig")
	if err := rig.WriteKubeconfig(config, kubeconfig); err != nil {
		return fmt.Errorf("starting the operator: %w", err)
	}
	started := time.Now()
	for attempt := 1; ; attempt++ {
		err := w.runOperator(ctx, kubeconfig)
		if err == nil {
			w.options.Sink.tell(Progress, "%-24s ready in %s, as %s", Operator, time.Since(started).Round(10*time.Millisecond), operatorUser)
			return nil
		}
		if attempt == startAttempts || !strings.Contains(err.Error(), "address already in use") {
			return err
		}
	}
}

func (w *World) runOperator(ctx context.Context, kubeconfig string) error {
	addresses, err := rig.FreeAddresses(ctx, 3)
	if err != nil {
		return err
	}
	w.webhooks = "http://" + addresses[2] + "/github"
	return w.Rig.StartProcess(ctx, rig.Process{
		Name: Operator,
		Path: w.operatorBinary(),
		Args: []string{
			"--instance=" + Instance,
			"--system-namespace=" + operatorNamespace,
			"--metrics-bind-address=" + addresses[0],
			"--health-probe-bind-address=" + addresses[1],
			"--webhook-bind-address=" + addresses[2],
			"--log-level=debug",
			"--log-encoding=json",
		},
		Env:      []string{"KUBECONFIG=" + kubeconfig},
		ReadyURL: "http://" + addresses[1] + "/readyz",
	})
}

// Webhooks is where the operator takes GitHub's deliveries.
func (w *World) Webhooks() string { return w.webhooks }

// OperatorLog is what the operator has logged so far, one JSON object a line.
func (w *World) OperatorLog() ([][]byte, error) {
	content, err := os.ReadFile(filepath.Join(w.Rig.Logs(), Operator+".log"))
	if err != nil {
		return nil, fmt.Errorf("reading the operator's log: %w", err)
	}
	return bytes.Split(bytes.TrimSpace(content), []byte("\n")), nil
}

// Leaks says whether a text holds one of the secrets of this world: the App's key, the webhook secret, the tokens of the
// operator and of the team, or anything that looks like a token of GitHub's.
func (w *World) Leaks(text []byte) error {
	for _, secret := range w.secrets {
		if bytes.Contains(text, []byte(secret)) {
			return errors.New("it holds a secret")
		}
	}
	for _, prefix := range []string{"ghs_", "ghp_"} { // of installation tokens, and of personal ones
		if bytes.Contains(text, []byte(prefix)) {
			return errors.New("it holds a token")
		}
	}
	return nil
}
