package rig

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"golang.org/x/sync/errgroup"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/test/rig/binaries"
)

// startAPI starts etcd and the API server, and prepares the administrator's access.
func (r *Rig) startAPI(ctx context.Context) error {
	pki := filepath.Join(r.dir, "pki")
	identity, err := newIdentities(pki)
	if err != nil {
		return err
	}
	r.identity = identity
	r.health = &http.Client{Timeout: readyRequestTimeout, Transport: r.verifyingTransport()}

	etcd, err := r.launch(ctx, r.etcd())
	if err != nil {
		return err
	}
	addresses, err := r.launch(ctx, r.apiServer(etcd[0]))
	if err != nil {
		return err
	}
	authority, err := os.ReadFile(identity.servingCertificate())
	if err != nil {
		return fmt.Errorf("reading the API server's certificate: %w", err)
	}
	r.admin = &rest.Config{
		Host:            "https://" + addresses[0],
		BearerToken:     identity.tokens[adminUser],
		TLSClientConfig: rest.TLSClientConfig{CAData: authority},
		QPS:             -1, // tests are not to wait for themselves
	}
	if r.client, err = client.New(r.admin, client.Options{}); err != nil {
		return fmt.Errorf("making the administrator's client: %w", err)
	}
	return WriteKubeconfig(r.admin, r.Kubeconfig())
}

// verifyingTransport trusts the certificate that the API server makes for
// itself when it starts, and that the other components serve with.
func (r *Rig) verifyingTransport() *http.Transport {
	return &http.Transport{
		DisableKeepAlives: true,
		DialTLSContext: func(ctx context.Context, network, address string) (net.Conn, error) {
			certificate, err := os.ReadFile(r.identity.servingCertificate())
			if err != nil {
				return nil, fmt.Errorf("reading the API server's certificate: %w", err)
			}
			authorities := x509.NewCertPool()
			if !authorities.AppendCertsFromPEM(certificate) {
				return nil, errors.New("the API server's certificate is not complete")
			}
			dialer := tls.Dialer{Config: &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12}}
			return dialer.DialContext(ctx, network, address)
		},
	}
}

func (r *Rig) etcd() component {
	return component{name: Etcd, ports: 2, describe: func(addresses []string) Process {
		clients, peers := "http://"+addresses[0], "http://"+addresses[1]
		return Process{
			Name: Etcd,
			Path: binaries.Path(r.binaries, binaries.Etcd),
			Args: []string{
				"--data-dir=" + filepath.Join(r.dir, "etcd"),
				"--listen-client-urls=" + clients,
				"--advertise-client-urls=" + clients,
				"--listen-peer-urls=" + peers,
				"--initial-advertise-peer-urls=" + peers,
				"--initial-cluster=default=" + peers,
				"--unsafe-no-fsync", // nothing here is to survive the machine
			},
			ReadyURL: clients + "/health",
		}
	}}
}

func (r *Rig) apiServer(etcd string) component {
	return component{name: KubeAPIServer, ports: 1, describe: func(addresses []string) Process {
		host, port, _ := net.SplitHostPort(addresses[0]) // FreeAddresses gives nothing else
		return Process{
			Name: KubeAPIServer,
			Path: binaries.Path(r.binaries, binaries.KubeAPIServer),
			Args: []string{
				"--etcd-servers=http://" + etcd,
				"--bind-address=" + host,
				"--advertise-address=" + host,
				"--secure-port=" + port,
				"--cert-dir=" + r.identity.dir,
				"--endpoint-reconciler-type=none", // no pod asks for the service "kubernetes"
				"--authorization-mode=RBAC",
				"--token-auth-file=" + r.identity.tokenFile(),
				"--service-account-key-file=" + r.identity.serviceAccountKey(),
				"--service-account-signing-key-file=" + r.identity.serviceAccountKey(),
				"--service-account-issuer=https://kubernetes.default.svc",
				"--service-cluster-ip-range=10.0.0.0/24",
				// The one would refuse pods until their namespace's default account exists,
				// the other would taint the node until the node-lifecycle-controller, which
				// does not run, takes the taint away.
				"--disable-admission-plugins=ServiceAccount,TaintNodesByCondition",
			},
			ReadyURL: "https://" + addresses[0] + "/readyz",
		}
	}}
}

// startControllers starts everything that works through the API server, at once.
func (r *Rig) startControllers(ctx context.Context) error {
	starts := map[string]func(context.Context) error{
		KubeControllerManager: r.startControllerManager,
		KubeScheduler:         r.startScheduler,
		Kwok:                  r.startKwok,
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for name, start := range starts {
		if r.runs(name) {
			group.Go(func() error { return start(groupCtx) })
		}
	}
	group.Go(func() error { return r.startFlux(groupCtx) })
	if err := group.Wait(); err != nil {
		return err
	}
	if r.runs(Kwok) {
		return r.awaitNode(ctx)
	}
	return nil
}

func (r *Rig) startControllerManager(ctx context.Context) error {
	kubeconfig, err := r.userKubeconfig(controllerManagerUser, KubeControllerManager)
	if err != nil {
		return err
	}
	_, err = r.launch(ctx, component{name: KubeControllerManager, ports: 1, describe: func(addresses []string) Process {
		return Process{
			Name: KubeControllerManager,
			Path: binaries.Path(r.binaries, binaries.KubeControllerManager),
			Args: append(r.secureServing(addresses[0]),
				"--kubeconfig="+kubeconfig,
				"--leader-elect=false",
				// Nobody sends the node's heartbeats: kwok would write them all the time, and
				// after a crash not before the lease of its former self has run out.
				"--controllers=*,-node-lifecycle-controller",
				"--use-service-account-credentials=true",
				"--service-account-private-key-file="+r.identity.serviceAccountKey(),
				"--root-ca-file="+r.identity.servingCertificate(),
				"--kube-api-qps=200", "--kube-api-burst=400",
			),
			ReadyURL: "https://" + addresses[0] + "/healthz",
		}
	}})
	return err
}

func (r *Rig) startScheduler(ctx context.Context) error {
	kubeconfig, err := r.userKubeconfig(schedulerUser, KubeScheduler)
	if err != nil {
		return err
	}
	_, err = r.launch(ctx, component{name: KubeScheduler, ports: 1, describe: func(addresses []string) Process {
		return Process{
			Name: KubeScheduler,
			Path: binaries.Path(r.binaries, binaries.KubeScheduler),
			Args: append(r.secureServing(addresses[0]),
				"--kubeconfig="+kubeconfig,
				"--leader-elect=false",
				"--kube-api-qps=200", "--kube-api-burst=400",
			),
			ReadyURL: "https://" + addresses[0] + "/healthz",
		}
	}})
	return err
}

// secureServing lets a component serve with the API server's certificate, which
// is for the loopback address too, instead of making one of its own.
func (r *Rig) secureServing(address string) []string {
	host, port, _ := net.SplitHostPort(address) // FreeAddresses gives nothing else
	return []string{
		"--bind-address=" + host,
		"--secure-port=" + port,
		"--tls-cert-file=" + r.identity.servingCertificate(),
		"--tls-private-key-file=" + r.identity.servingKey(),
	}
}
