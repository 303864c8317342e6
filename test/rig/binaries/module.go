package binaries

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
)

// toolsModule is the directory, in the checkout, of the module that pins the programs.
var toolsModule = filepath.Join("hack", "rig")

// kubernetesRequirement finds the version of Kubernetes that the module requires.
var kubernetesRequirement = regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes (v\d+\.\d+\.\d+\S*)$`)

// source is what the programs are built from.
type source struct {
	// root is the checkout.
	root string
	// kubernetes is the version of Kubernetes, such as v1.36.3.
	kubernetes string
	// key names everything that decides what a build gives: the module's
	// requirements and sums, how it is linked, the platform and the compiler.
	key string
}

// dir is where the programs of the source are kept.
func (s source) dir() string {
	return filepath.Join(s.root, "bin", "rig", s.key)
}

// linkerFlags stamp the version into Kubernetes' programs: clients cannot parse
// the version of a server that was built without it.
func (s source) linkerFlags() string {
	const stamp = "-X k8s.io/component-base/version."
	parts := strings.SplitN(strings.TrimPrefix(s.kubernetes, "v"), ".", 3)
	return strings.Join([]string{
		"-s -w",
		stamp + "gitVersion=" + s.kubernetes,
		stamp + "gitMajor=" + parts[0],
		stamp + "gitMinor=" + parts[1],
	}, " ")
}

// readSource finds the checkout that the working directory lies in.
func readSource() (source, error) {
	root, err := findRoot()
	if err != nil {
		return source{}, err
	}
	requirements, err := os.ReadFile(filepath.Join(root, toolsModule, "go.mod"))
	if err != nil {
		return source{}, fmt.Errorf("reading what the rig's programs are built from: %w", err)
	}
	sums, err := os.ReadFile(filepath.Join(root, toolsModule, "go.sum"))
	if err != nil {
		return source{}, fmt.Errorf("reading what the rig's programs are built from: %w", err)
	}
	match := kubernetesRequirement.FindSubmatch(requirements)
	if match == nil {
		return source{}, fmt.Errorf("%s/go.mod requires no k8s.io/kubernetes", toolsModule)
	}
	src := source{root: root, kubernetes: string(match[1])}
	recipe := fmt.Sprintf("%s\n%s/%s\n%s\n%v", runtime.Version(), runtime.GOOS, runtime.GOARCH, src.linkerFlags(), catalogue)
	hash := sha256.New()
	for _, part := range [][]byte{requirements, sums, []byte(recipe)} {
		sum := sha256.Sum256(part)
		_, _ = hash.Write(sum[:]) // a hash never fails to be written
	}
	src.key = src.kubernetes + "-" + hex.EncodeToString(hash.Sum(nil))[:12]
	return src, nil
}

// findRoot returns the nearest directory, from the working directory upwards,
// that holds the module of the programs.
func findRoot() (string, error) {
	start, err := os.Getwd()
	if err != nil {
		return "", fmt.Errorf("finding the checkout: %w", err)
	}
	for dir := start; ; dir = filepath.Dir(dir) {
		_, err := os.Stat(filepath.Join(dir, toolsModule, "go.mod"))
		switch {
		case err == nil:
			return dir, nil
		case !errors.Is(err, os.ErrNotExist):
			return "", fmt.Errorf("finding the checkout: %w", err)
		case dir == filepath.Dir(dir):
			return "", fmt.Errorf("finding the checkout: no directory from %s upwards holds %s/go.mod", start, toolsModule)
		}
	}
}
