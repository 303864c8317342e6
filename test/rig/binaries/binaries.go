package binaries

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/mainstem-dev/mainstem/test/rig/internal/filelock"
)

// AssetsVariable names the environment variable with which people say where
// kube-apiserver, etcd and kubectl are, as controller-runtime's envtest reads it.
const AssetsVariable = "KUBEBUILDER_ASSETS"

// Ensure makes sure that the named programs exist, all of them when none is
// named, and returns their directory; Path finds one in it. What is missing is
// fetched (what setup-envtest has, where the internet is open) or built from the
// module hack/rig, with lines about the progress on out. Where AssetsVariable is
// set, it stands for the programs of Envtest, which are then neither fetched nor
// built. Callers in several processes may ensure at the same time.
func Ensure(ctx context.Context, out io.Writer, names ...string) (string, error) {
	wanted, err := pick(names)
	if err != nil {
		return "", err
	}
	assets := os.Getenv(AssetsVariable)
	if assets != "" {
		if wanted, err = withoutAssets(assets, wanted); err != nil {
			return "", err
		}
		if len(wanted) == 0 {
			return assets, nil
		}
	}
	src, err := readSource()
	if err != nil {
		return "", err
	}
	if len(missing(src.dir(), wanted)) == 0 {
		return src.dir(), nil
	}
	return src.dir(), provide(ctx, out, src, wanted)
}

// Path returns the path of a program: in AssetsVariable's directory when that is
// set and the program is one of Envtest's, else in dir, which Ensure returned.
func Path(dir, name string) string {
	if assets := os.Getenv(AssetsVariable); assets != "" && slices.Contains(Envtest(), name) {
		return filepath.Join(assets, name)
	}
	return filepath.Join(dir, name)
}

// Files returns the files that belong to a program in dir, which Ensure
// returned, in the order of their names: CustomResourceDefinitions of a Flux
// controller, Stages of kwok.
func Files(dir, name string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(filesDir(dir, name), "*.yaml"))
	if err != nil {
		return nil, fmt.Errorf("listing the files of %s: %w", name, err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("listing the files of %s: %s is empty", name, filesDir(dir, name))
	}
	return files, nil
}

func filesDir(dir, name string) string {
	return filepath.Join(dir, "files", name)
}

// withoutAssets leaves out of wanted the programs that AssetsVariable stands for.
func withoutAssets(assets string, wanted []binary) ([]binary, error) {
	var rest []binary
	for _, b := range wanted {
		if !slices.Contains(Envtest(), b.name) {
			rest = append(rest, b)
			continue
		}
		if _, err := os.Stat(filepath.Join(assets, b.name)); err != nil {
			return nil, fmt.Errorf("%s is set, but its directory lacks %s; unset it to have everything provided: %w",
				AssetsVariable, b.name, err)
		}
	}
	return rest, nil
}

// missing returns the programs that are not in dir. A program's file is the last
// thing that is put in place, so that one that exists is complete.
func missing(dir string, wanted []binary) []binary {
	return slices.DeleteFunc(slices.Clone(wanted), func(b binary) bool {
		_, err := os.Stat(filepath.Join(dir, b.name))
		return err == nil
	})
}

// provide fetches or builds what is missing, while no other process does.
func provide(ctx context.Context, out io.Writer, src source, wanted []binary) (err error) {
	lock, err := filelock.Acquire(ctx, src.dir()+".lock", func() {
		_, _ = fmt.Fprintln(out, "waiting for another process that provides the rig's programs")
	})
	if err != nil {
		return fmt.Errorf("providing the rig's programs: %w", err)
	}
	defer func() {
		if releaseErr := lock.Release(); err == nil {
			err = releaseErr
		}
	}()
	if err := os.MkdirAll(src.dir(), 0o755); err != nil {
		return fmt.Errorf("providing the rig's programs: %w", err)
	}
	if err := fetchMissing(ctx, out, src, wanted); err != nil {
		return err
	}
	absent := missing(src.dir(), wanted)
	if len(absent) == 0 {
		return nil
	}
	_, _ = fmt.Fprintf(out, "building %d programs of the rig into %s; the first build takes about 12 minutes on two cores\n",
		len(absent), src.dir())
	started := time.Now()
	for i, b := range absent {
		progress := newProgress(out, fmt.Sprintf("%s (%d of %d)", b.name, i+1, len(absent)), started)
		if err := build(ctx, progress, src, b); err != nil {
			return fmt.Errorf("building %s: %w", b.name, err)
		}
	}
	return nil
}
