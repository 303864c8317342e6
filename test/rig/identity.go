package rig

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// tokenLifetime is how long a service account's token lasts: longer than anybody
// keeps a rig, as nobody renews it.
const tokenLifetime = 30 * 24 * time.Hour

// The users that authenticate with a token of the API server's token file. The
// roles of the system: ones are Kubernetes' own.
const (
	adminUser             = "rig-admin"
	controllerManagerUser = "system:kube-controller-manager"
	schedulerUser         = "system:kube-scheduler"
)

// identities are the tokens of users, by name, and the files that the API server
// knows them and service accounts by.
type identities struct {
	dir    string
	tokens map[string]string
}

func (i *identities) tokenFile() string         { return filepath.Join(i.dir, "tokens.csv") }
func (i *identities) serviceAccountKey() string { return filepath.Join(i.dir, "sa.key") }

// servingCertificate is what the API server makes for itself: its certificate,
// followed by the one of the authority that signed it.
func (i *identities) servingCertificate() string { return filepath.Join(i.dir, "apiserver.crt") }
func (i *identities) servingKey() string         { return filepath.Join(i.dir, "apiserver.key") }

// newIdentities writes the token file and the key of service accounts' tokens.
func newIdentities(dir string) (*identities, error) {
	i := &identities{dir: dir, tokens: map[string]string{}}
	groups := map[string]string{adminUser: "system:masters", controllerManagerUser: "", schedulerUser: ""}
	var lines strings.Builder
	for user, group := range groups {
		random := make([]byte, 24)
		if _, err := rand.Read(random); err != nil {
			return nil, fmt.Errorf("making a token: %w", err)
		}
		i.tokens[user] = hex.EncodeToString(random)
		fmt.Fprintf(&lines, "%s,%s,%s", i.tokens[user], user, user)
		if group != "" {
			fmt.Fprintf(&lines, ",%q", group)
		}
		lines.WriteString("\n")
	}
	if err := os.WriteFile(i.tokenFile(), []byte(lines.String()), 0o600); err != nil {
		return nil, fmt.Errorf("writing the token file: %w", err)
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making the key of service accounts: %w", err)
	}
	der, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encoding the key of service accounts: %w", err)
	}
	encoded := pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: der})
	if err := os.WriteFile(i.serviceAccountKey(), encoded, 0o600); err != nil {
		return nil, fmt.Errorf("writing the key of service accounts: %w", err)
	}
	return i, nil
}

// ServiceAccountConfig returns a configuration with which to act as a service
// account that exists, by a token that it asks for. The token lasts 30 days.
func (r *Rig) ServiceAccountConfig(ctx context.Context, namespace, name string) (*rest.Config, error) {
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	seconds := int64(tokenLifetime / time.Second)
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{ExpirationSeconds: &seconds}}
	if err := r.client.SubResource("token").Create(ctx, account, request); err != nil {
		return nil, fmt.Errorf("requesting a token of the service account %s/%s: %w", namespace, name, err)
	}
	return r.withToken(request.Status.Token), nil
}

// withToken returns a configuration of this API server for the bearer of a token.
func (r *Rig) withToken(token string) *rest.Config {
	config := rest.AnonymousClientConfig(r.admin)
	config.BearerToken = token
	config.QPS, config.Burst = 0, 0 // the defaults that a component has in a cluster
	return config
}

// WriteKubeconfig writes a kubeconfig file that says what the configuration says.
func WriteKubeconfig(config *rest.Config, path string) error {
	const name = "rig"
	kubeconfig := clientcmdapi.NewConfig()
	kubeconfig.Clusters[name] = &clientcmdapi.Cluster{Server: config.Host, CertificateAuthorityData: config.CAData}
	kubeconfig.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: config.BearerToken}
	kubeconfig.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	kubeconfig.CurrentContext = name
	if err := clientcmd.WriteToFile(*kubeconfig, path); err != nil {
		return fmt.Errorf("writing the kubeconfig %s: %w", path, err)
	}
	return nil
}

// serviceAccountKubeconfig writes a kubeconfig for a component that is a service account.
func (r *Rig) serviceAccountKubeconfig(ctx context.Context, namespace, name string) (string, error) {
	config, err := r.ServiceAccountConfig(ctx, namespace, name)
	if err != nil {
		return "", err
	}
	path := filepath.Join(r.dir, "kubeconfigs", name)
	return path, WriteKubeconfig(config, path)
}

// userKubeconfig writes a kubeconfig for a component that is a user.
func (r *Rig) userKubeconfig(user, component string) (string, error) {
	path := filepath.Join(r.dir, "kubeconfigs", component)
	return path, WriteKubeconfig(r.withToken(r.identity.tokens[user]), path)
}
