//go:build e2e

// Package crash kills the operator. It runs the real program as processes of their own, against a real API server with the
// shipped policies and rights, the GitHub emulator, and a stand-in for Flux, and ends them with SIGKILL: right before and right
// after every effect, at random, and while another replica stands by. Whatever happens, a release arrives, and nothing happens
// twice.
package crash_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	kustomizev1 "github.com/fluxcd/kustomize-controller/api/v1"
	sourcev1 "github.com/fluxcd/source-controller/api/v1"
	"github.com/go-logr/logr"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
	"github.com/mainstem-dev/mainstem/test/apiserver"
	"github.com/mainstem-dev/mainstem/test/flux"
	emulator "github.com/mainstem-dev/mainstem/test/github"
	"github.com/mainstem-dev/mainstem/test/rig"
)

// tokenSeconds is how long the operator's token lasts: longer than the tests.
const tokenSeconds = int64(24 * 60 * 60)

// cluster is what all tests share.
type cluster struct {
	server *apiserver.Server
	admin  client.Client
	// person is who admin speaks as, and operator a client that speaks as the operator does.
	person   string
	operator client.Client
	github   *emulator.Server
	flux     *flux.Stub
	// wire is what operators speak to GitHub through.
	wire *wire
	// binary is the operator's program, and token its ServiceAccount's.
	binary, token string

	ends []func() error
}

var shared *cluster

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "crash:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	ctrl.SetLogger(logr.Discard())
	ctx, cancel := context.WithCancel(context.Background())
	shared = &cluster{}
	defer func() {
		cancel()
		for i := len(shared.ends) - 1; i >= 0; i-- {
			err = errors.Join(err, shared.ends[i]())
		}
	}()
	dir, err := os.MkdirTemp("", "crash-")
	if err != nil {
		return 1, fmt.Errorf("making a directory: %w", err)
	}
	shared.ends = append(shared.ends, func() error { return os.RemoveAll(dir) })
	for _, start := range []func(context.Context, string) error{shared.build, shared.startServer, shared.startGitHub, shared.startFlux} {
		if err := start(ctx, dir); err != nil {
			return 1, err
		}
	}
	return m.Run(), nil
}

// build builds the operator.
func (c *cluster) build(ctx context.Context, dir string) error {
	c.binary = filepath.Join(dir, "mainstem")
	return rig.BuildOperator(ctx, apiserver.Root(), c.binary)
}

// startServer starts the API server, and asks it for a token of the operator's account.
func (c *cluster) startServer(ctx context.Context, _ string) error {
	for _, add := range []func(*clientScheme) error{v1alpha1.AddToScheme, sourcev1.AddToScheme, kustomizev1.AddToScheme} {
		if err := add(clientgoscheme.Scheme); err != nil {
			return fmt.Errorf("building the scheme: %w", err)
		}
	}
	var err error
	if c.server, err = apiserver.Start(ctx); err != nil {
		return err
	}
	c.ends = append(c.ends, c.server.Stop)
	if c.admin, err = client.New(c.server.Admin, client.Options{Scheme: clientgoscheme.Scheme}); err != nil {
		return fmt.Errorf("making the administrator's client: %w", err)
	}
	if c.operator, err = client.New(c.server.AsServiceAccount(apiserver.Operator), client.Options{Scheme: clientgoscheme.Scheme}); err != nil {
		return fmt.Errorf("making the operator's client: %w", err)
	}
	review := &authenticationv1.SelfSubjectReview{}
	if err := c.admin.Create(ctx, review); err != nil {
		return fmt.Errorf("asking who the administrator is: %w", err)
	}
	c.person = review.Status.UserInfo.Username
	parts := strings.Split(apiserver.Operator, ":")
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: parts[2], Name: parts[3]}}
	seconds := tokenSeconds
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	if err := c.admin.SubResource("token").Create(ctx, account, request); err != nil {
		return fmt.Errorf("asking for a token of %s: %w", apiserver.Operator, err)
	}
	c.token = request.Status.Token
	return nil
}

func (c *cluster) startGitHub(ctx context.Context, dir string) error {
	var err error
	if c.github, err = emulator.Start(emulator.Options{Dir: filepath.Join(dir, "github"), Validate: true}); err != nil {
		return fmt.Errorf("starting the emulated GitHub: %w", err)
	}
	c.ends = append(c.ends, c.github.Close)
	c.github.AddUser(reviewer)
	target, err := url.Parse(c.github.URL())
	if err != nil {
		return fmt.Errorf("reading the address of the emulated GitHub: %w", err)
	}
	if c.wire, err = newWire(ctx, toGitHub, target, &http.Transport{}); err != nil {
		return err
	}
	c.ends = append(c.ends, c.wire.cut)
	return nil
}

func (c *cluster) startFlux(ctx context.Context, _ string) error {
	c.flux = flux.New()
	c.flux.Resolve = c.github.ResolveTag
	done := make(chan error, 1)
	go func() {
		done <- c.flux.Run(ctx, c.server.AsServiceAccount(apiserver.SourceController), c.server.AsServiceAccount(apiserver.KustomizeController))
	}()
	c.ends = append(c.ends, func() error { return <-done })
	return nil
}
