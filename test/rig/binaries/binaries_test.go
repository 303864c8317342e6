package binaries

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
)

func TestEveryNameIsInTheCatalogueOnce(t *testing.T) {
	names := All()
	slices.Sort(names)
	if unique := slices.Compact(slices.Clone(names)); len(unique) != len(names) {
		t.Fatalf("a program is listed twice: %v", names)
	}
	for _, name := range Envtest() {
		if !slices.Contains(names, name) {
			t.Errorf("%s is not in the catalogue", name)
		}
	}
}

func TestPickRefusesAnUnknownName(t *testing.T) {
	_, err := pick([]string{Etcd, "kubelet"})
	if err == nil || !strings.Contains(err.Error(), "kubelet") {
		t.Fatalf("got %v, want an error that names kubelet", err)
	}
}

func TestAssetsStandForTheProgramsOfEnvtest(t *testing.T) {
	assets := t.TempDir()
	for _, name := range Envtest() {
		writeProgram(t, assets, name)
	}
	t.Setenv(AssetsVariable, assets)
	dir, err := Ensure(t.Context(), io.Discard, Envtest()...)
	if err != nil {
		t.Fatal(err)
	}
	if dir != assets {
		t.Errorf("got the directory %s, want %s", dir, assets)
	}
	if got, want := Path("elsewhere", Kubectl), filepath.Join(assets, Kubectl); got != want {
		t.Errorf("kubectl is at %s, want %s", got, want)
	}
	if got, want := Path("elsewhere", Kwok), filepath.Join("elsewhere", Kwok); got != want {
		t.Errorf("kwok is at %s, want %s", got, want)
	}
}

func TestAssetsThatLackAProgramAreAnError(t *testing.T) {
	assets := t.TempDir()
	writeProgram(t, assets, Etcd)
	t.Setenv(AssetsVariable, assets)
	_, err := Ensure(t.Context(), io.Discard, Envtest()...)
	if err == nil || !strings.Contains(err.Error(), AssetsVariable) || !strings.Contains(err.Error(), KubeAPIServer) {
		t.Fatalf("got %v, want an error that names %s and %s", err, AssetsVariable, KubeAPIServer)
	}
}

func TestKeyChangesWithWhatIsBuilt(t *testing.T) {
	root := t.TempDir()
	module := filepath.Join(root, toolsModule)
	write := func(requirements, sums string) {
		t.Helper()
		if err := os.MkdirAll(module, 0o750); err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string]string{"go.mod": requirements, "go.sum": sums} {
			if err := os.WriteFile(filepath.Join(module, name), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	below := filepath.Join(root, "some", "package")
	if err := os.MkdirAll(below, 0o750); err != nil {
		t.Fatal(err)
	}
	t.Chdir(below)
	const requirements = "module m\nrequire (\n\tk8s.io/kubernetes v1.36.3\n)\n"
	keys := map[string]bool{}
	for _, content := range [][2]string{
		{requirements, "sums"}, {requirements, "other sums"}, {requirements + "// more", "sums"},
	} {
		write(content[0], content[1])
		src, err := readSource()
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(src.key, "v1.36.3-") {
			t.Errorf("the key %s does not begin with the version", src.key)
		}
		if !strings.Contains(src.linkerFlags(), "gitMinor=36") {
			t.Errorf("the linker flags %q do not stamp the minor version", src.linkerFlags())
		}
		keys[src.key] = true
	}
	if len(keys) != 3 {
		t.Errorf("three different modules have the keys %v", keys)
	}
	write("module m\n", "")
	if _, err := readSource(); err == nil {
		t.Error("a module without Kubernetes was accepted")
	}
}

// TestFetchTakesWhatSetupEnvtestHas lets the real setup-envtest fetch from an
// index and an archive of this test's own.
func TestFetchTakesWhatSetupEnvtestHas(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles setup-envtest")
	}
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, toolsModule), 0o750); err != nil {
		t.Fatal(err)
	}
	archive := releaseArchive(t)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	sum := sha512.Sum512(archive)
	name := fmt.Sprintf("envtest-v1.36.9-%s-%s.tar.gz", runtime.GOOS, runtime.GOARCH)
	mux.HandleFunc("/index.yaml", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprintf(w, "releases:\n  v1.36.9:\n    %s:\n      hash: %s\n      selfLink: %s/%s\n",
			name, hex.EncodeToString(sum[:]), server.URL, name)
	})
	mux.HandleFunc("/"+name, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(archive) })

	src := source{root: root, kubernetes: "v1.36.3", key: "key"}
	if err := os.MkdirAll(src.dir(), 0o750); err != nil {
		t.Fatal(err)
	}
	wanted, err := pick(Envtest())
	if err != nil {
		t.Fatal(err)
	}
	if err := fetch(t.Context(), src, server.URL+"/index.yaml", wanted); err != nil {
		t.Fatal(err)
	}
	if absent := missing(src.dir(), wanted); len(absent) > 0 {
		t.Errorf("not in place after the fetch: %v", absent)
	}
	info, err := os.Stat(filepath.Join(src.dir(), Etcd))
	if err != nil || info.Mode().Perm()&0o100 == 0 {
		t.Errorf("etcd cannot be executed: %v %v", info, err)
	}
}

func TestProbeFailsWhereThereIsNoIndex(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	if err := probe(t.Context(), server.URL); err == nil {
		t.Error("an index that is not found was taken for one")
	}
	server.Close()
	if err := probe(t.Context(), server.URL); err == nil {
		t.Error("a server that does not answer was taken for an index")
	}
}

func TestGoToolSaysWhatWentWrong(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, toolsModule), 0o750); err != nil {
		t.Fatal(err)
	}
	_, err := goTool(t.Context(), source{root: root}, "build", "example.invalid/program")
	if err == nil || !strings.Contains(err.Error(), "go.mod") {
		t.Fatalf("got %v, want what the go command says about the module that is not there", err)
	}
}

func writeProgram(t *testing.T, dir, name string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
}

// releaseArchive makes an archive as envtest's releases have it.
func releaseArchive(t *testing.T) []byte {
	t.Helper()
	var buffer bytes.Buffer
	compressed := gzip.NewWriter(&buffer)
	archive := tar.NewWriter(compressed)
	for _, name := range Envtest() {
		content := []byte("#!/bin/sh\n")
		header := &tar.Header{Name: "controller-tools/envtest/" + name, Mode: 0o755, Size: int64(len(content)), Typeflag: tar.TypeReg}
		if err := archive.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := archive.Write(content); err != nil {
			t.Fatal(err)
		}
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	if err := compressed.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.Bytes()
}
