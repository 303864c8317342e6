package binaries

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// setupEnvtest fetches the programs that envtest needs, as released for it.
	setupEnvtest = "sigs.k8s.io/controller-runtime/tools/setup-envtest@v0.24.1"
	// releaseIndex lists those releases; it is setup-envtest's own default.
	releaseIndex = "https://raw.githubusercontent.com/kubernetes-sigs/controller-tools/HEAD/envtest-releases.yaml"
	// probeTimeout is what a machine without internet pays for the attempt.
	probeTimeout = 1500 * time.Millisecond
	// fetchTimeout bounds the download of about 80 MB.
	fetchTimeout = 3 * time.Minute
)

// fetchMissing fetches what setup-envtest has of the missing programs. When that
// is not possible it says why and leaves them to be built; it fails only when
// ctx ends.
func fetchMissing(ctx context.Context, out io.Writer, src source, wanted []binary) error {
	absent := slices.DeleteFunc(missing(src.dir(), wanted), func(b binary) bool {
		return !slices.Contains(Envtest(), b.name)
	})
	if len(absent) == 0 {
		return nil
	}
	err := fetch(ctx, src, releaseIndex, absent)
	if ctx.Err() != nil {
		return fmt.Errorf("fetching the rig's programs: %w", ctx.Err())
	}
	if err != nil {
		_, _ = fmt.Fprintf(out, "kube-apiserver, etcd and kubectl cannot be fetched and will be built: %v\n", err)
		return nil
	}
	_, _ = fmt.Fprintf(out, "fetched kube-apiserver, etcd and kubectl with setup-envtest\n")
	return nil
}

// fetch has setup-envtest fetch the programs of an index, for the newest patch
// release of our Kubernetes minor version, and puts them in place.
func fetch(ctx context.Context, src source, index string, absent []binary) error {
	if err := probe(ctx, index); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	version := strings.TrimPrefix(src.kubernetes, "v")
	minor := version[:strings.LastIndex(version, ".")]
	output, err := goTool(ctx, src, "run", setupEnvtest, "use", minor+".x",
		"--index", index, "--print", "path", "--bin-dir", filepath.Join(src.root, "bin", "rig", "envtest"))
	if err != nil {
		return err
	}
	for _, b := range absent {
		from := filepath.Join(strings.TrimSpace(output), b.name)
		if err := copyFile(from, filepath.Join(src.dir(), b.name), 0o755); err != nil {
			return err
		}
	}
	return nil
}

// probe finds out in a moment whether the index can be reached.
func probe(ctx context.Context, index string) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, index, http.NoBody)
	if err != nil {
		return fmt.Errorf("asking for the index of releases: %w", err)
	}
	response, err := http.DefaultClient.Do(request) // the context is its timeout
	if err != nil {
		return fmt.Errorf("asking for the index of releases: %w", err)
	}
	if err := response.Body.Close(); err != nil {
		return fmt.Errorf("asking for the index of releases: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("asking for the index of releases: %s", response.Status)
	}
	return nil
}
