// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"regexp"
	"time"

	"github.com/fluxcd/pkg/runtime/logger"
	"github.com/spf13/pflag"
	"sigs.k8s.io/controller-runtime/pkg/client/config"

	"github.com/mainstem-dev/mainstem/internal/operator"
)

// options are what the operator is started with.
type options struct {
	operator.Options
	log logger.Options
}

// defaultNamespace is where config/default installs Mainstem.
const defaultNamespace = "mainstem-system"

// instancePattern is what can be in a label, and in a branch's name as one part of it.
var instancePattern = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$`)

// parseOptions reads the command line.
func parseOptions(arguments []string) (options, error) {
	var o options
	flags := pflag.NewFlagSet("mainstem", pflag.ContinueOnError)
	flags.StringVar(&o.Instance, "instance", "", "the installation's name, required: it is in the names of promotion branches and in the marks of pull requests, so that two installations on one repository keep apart; never change it")
	flags.StringVar(&o.SystemNamespace, "system-namespace", namespaceFromEnv(), "Mainstem's own namespace: a Hold there without an application is a freeze for everybody")
	flags.StringVar(&o.MetricsAddress, "metrics-bind-address", ":8080", "where metrics are served; 0 for nowhere")
	flags.StringVar(&o.HealthAddress, "health-probe-bind-address", ":8081", "where /healthz and /readyz are served")
	flags.StringVar(&o.ProfilesAddress, "pprof-bind-address", "", "where Go's profiles are served, for developers; it belongs on loopback, as in 127.0.0.1:6060; empty for nowhere")
	flags.StringVar(&o.WebhookAddress, "webhook-bind-address", ":9292", "where GitHub's webhook deliveries are taken, on the path /github; 0 for nowhere")
	flags.StringVar(&o.EventsAddress, "events-addr", "", "the address of Flux's notification-controller, for events")
	flags.BoolVar(&o.LeaderElect, "leader-elect", false, "act only while holding the lease, so that several replicas can run")
	flags.DurationVar(&o.LeaseDuration, "leader-election-lease-duration", 15*time.Second, "how long the others wait for a leader that is silent")
	flags.IntVar(&o.Concurrent, "concurrent", 32, "how many Applications are reconciled at the same time")
	flags.DurationVar(&o.GitHubTimeout, "github-timeout", 30*time.Second, "how long one request to GitHub may take")
	o.log.BindFlags(flags)
	kube := flag.NewFlagSet("kube", flag.ContinueOnError)
	config.RegisterFlags(kube)
	flags.AddGoFlagSet(kube)
	if err := flags.Parse(arguments); err != nil {
		return o, err
	}
	err := o.validate()
	return o, err
}

func (o *options) validate() error {
	switch {
	case o.Instance == "":
		return errors.New("--instance is required: give this installation a name that no other one has, such as the cluster's")
	case !instancePattern.MatchString(o.Instance):
		return fmt.Errorf("--instance %q cannot be in a label: use at most 63 lower-case letters, digits and dashes", o.Instance)
	case o.Concurrent < 1:
		return fmt.Errorf("--concurrent is %d: it must be at least 1", o.Concurrent)
	}
	return nil
}

func namespaceFromEnv() string {
	if namespace := os.Getenv("POD_NAMESPACE"); namespace != "" {
		return namespace
	}
	return defaultNamespace
}
