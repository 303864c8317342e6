// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Command mainstem is the operator.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/fluxcd/pkg/runtime/logger"
	"github.com/spf13/pflag"
	ctrl "sigs.k8s.io/controller-runtime"

	"github.com/mainstem-dev/mainstem/internal/operator"
)

// version is set when it is built.
var version = "dev"

func main() {
	o, err := parseOptions(os.Args[1:])
	if errors.Is(err, pflag.ErrHelp) {
		return
	}
	if err == nil {
		logger.SetLogger(logger.NewLogger(o.log))
		err = start(o)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mainstem:", err)
		os.Exit(1)
	}
}

func start(o options) error {
	config, err := ctrl.GetConfig()
	if err != nil {
		return fmt.Errorf("finding the cluster: %w", err)
	}
	o.Version = version
	return operator.Run(ctrl.SetupSignalHandler(), config, o.Options)
}
