// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package docs keeps the pages true: examples fit the API, every field and every reason is explained, and links, paths and make
// targets lead somewhere.
package docs

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

const (
	// specPages are the specification pages, one a kind.
	specPages = "spec/v1alpha1"
	// definitions are the CRDs.
	definitions = "../config/crd/bases"
)

// kinds makes an empty object of each kind that an example may show.
var kinds = map[string]func() any{
	"mainstem.dev/v1alpha1/Application":               func() any { return &v1alpha1.Application{} },
	"mainstem.dev/v1alpha1/Approval":                  func() any { return &v1alpha1.Approval{} },
	"mainstem.dev/v1alpha1/Environment":               func() any { return &v1alpha1.Environment{} },
	"mainstem.dev/v1alpha1/Hold":                      func() any { return &v1alpha1.Hold{} },
	"mainstem.dev/v1alpha1/Promotion":                 func() any { return &v1alpha1.Promotion{} },
	"mainstem.dev/v1alpha1/Release":                   func() any { return &v1alpha1.Release{} },
	"v1/Namespace":                                    func() any { return &corev1.Namespace{} },
	"v1/Secret":                                       func() any { return &corev1.Secret{} },
	"v1/ServiceAccount":                               func() any { return &corev1.ServiceAccount{} },
	"rbac.authorization.k8s.io/v1/ClusterRole":        func() any { return &rbacv1.ClusterRole{} },
	"rbac.authorization.k8s.io/v1/ClusterRoleBinding": func() any { return &rbacv1.ClusterRoleBinding{} },
	"rbac.authorization.k8s.io/v1/RoleBinding":        func() any { return &rbacv1.RoleBinding{} },
}

// page is a page of the documentation, taken apart.
type page struct {
	// path is relative to this directory.
	path string
	// prose is the text without fenced blocks.
	prose string
	// examples are the fenced blocks of YAML, by the line on which they begin.
	examples map[int]string
	// words are the words of all inline code.
	words map[string]bool
	// code are all stretches of inline code.
	code []string
}

var (
	inlineCode = regexp.MustCompile("`([^`\n]+)`")
	notWord    = regexp.MustCompile(`[^A-Za-z0-9]+`)
)

// pages reads all pages that are written by hand, by path.
func pages(t *testing.T) map[string]page {
	t.Helper()
	found := map[string]page{}
	err := filepath.WalkDir(".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".md" || strings.HasPrefix(path, "reference") {
			return err
		}
		found[path] = readPage(t, path)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(found) == 0 {
		t.Fatal("there are no pages")
	}
	return found
}

// frontPages are those that people meet first, at the top of the checkout.
var frontPages = []string{"../README.md", "../CONTRIBUTING.md", "../CHANGELOG.md", "../AGENTS.md"}

func readPage(t *testing.T, path string) page {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	read := page{path: path, examples: map[int]string{}, words: map[string]bool{}}
	var prose, block strings.Builder
	language, began := "", 0
	for number, line := range strings.Split(string(content), "\n") {
		fence := strings.HasPrefix(line, "```")
		switch {
		case fence && began == 0:
			language, began = strings.TrimPrefix(line, "```"), number+1
			block.Reset()
		case fence:
			if language == "yaml" {
				read.examples[began] = block.String()
			}
			began = 0
		case began > 0:
			block.WriteString(line + "\n")
		default:
			prose.WriteString(line + "\n")
		}
	}
	if began > 0 {
		t.Errorf("%s:%d: the block is not closed", path, began)
	}
	read.prose = prose.String()
	for _, match := range inlineCode.FindAllStringSubmatch(read.prose, -1) {
		read.code = append(read.code, match[1])
		for _, word := range notWord.Split(match[1], -1) {
			read.words[word] = true
		}
	}
	return read
}

// kindOf is the kind that a specification page is about, or empty.
func (p page) kindOf() string {
	if filepath.Dir(p.path) != specPages {
		return ""
	}
	name := strings.TrimSuffix(filepath.Base(p.path), ".md")
	return strings.ToUpper(name[:1]) + name[1:]
}

// schemas gives the schema of each of our kinds from its CRD.
func schemas(t *testing.T) map[string]*apiextensionsv1.JSONSchemaProps {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(definitions, "*.yaml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("reading the CRDs: %v, %v", paths, err)
	}
	result := map[string]*apiextensionsv1.JSONSchemaProps{}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(content, &crd); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		result[crd.Spec.Names.Kind] = crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	}
	return result
}

var separator = regexp.MustCompile(`(?m)^---\n`)

func TestExamplesFitTheAPI(t *testing.T) {
	all := schemas(t)
	shown := map[string]bool{}
	for _, p := range pages(t) {
		for line, block := range p.examples {
			for _, document := range separator.Split(block, -1) {
				if strings.TrimSpace(document) == "" {
					continue
				}
				kind, err := checkExample(p, document, all)
				if err != nil {
					t.Errorf("%s:%d: %v", p.path, line, err)
				}
				shown[p.path+" "+kind] = true
			}
		}
	}
	for kind := range all {
		path := filepath.Join(specPages, strings.ToLower(kind)+".md")
		if !shown[path+" "+kind] {
			t.Errorf("%s shows no complete %s", path, kind)
		}
	}
}

// checkExample decodes an example strictly, and compares one of ours with its CRD. Without apiVersion it is a part of the kind that
// the page is about: its spec, its status, or both. It gives the kind of a whole object.
func checkExample(p page, document string, all map[string]*apiextensionsv1.JSONSchemaProps) (string, error) {
	var meta struct{ APIVersion, Kind string }
	if err := yaml.Unmarshal([]byte(document), &meta); err != nil {
		return "", err
	}
	kind, name, whole := meta.Kind, meta.APIVersion+"/"+meta.Kind, meta.Kind
	if meta.APIVersion == "" {
		kind, name, whole = p.kindOf(), v1alpha1.GroupVersion.String()+"/"+p.kindOf(), ""
	}
	empty, known := kinds[name]
	if !known {
		return "", fmt.Errorf("%q is of no kind that an example may show: write its apiVersion and kind", name)
	}
	if err := yaml.UnmarshalStrict([]byte(document), empty()); err != nil {
		return whole, err
	}
	if all[kind] == nil {
		return whole, nil
	}
	return whole, validate(document, all[kind], whole == "")
}

// validate compares a document with a schema. Of a part, what is required at the top is not asked for.
func validate(document string, schema *apiextensionsv1.JSONSchemaProps, part bool) error {
	if part {
		schema = schema.DeepCopy()
		schema.Required = nil
	}
	encoded, err := json.Marshal(schema)
	if err != nil {
		return fmt.Errorf("encoding the schema: %w", err)
	}
	var open openapi3.Schema
	if err := open.UnmarshalJSON(encoded); err != nil {
		return fmt.Errorf("reading the schema: %w", err)
	}
	data, err := yaml.YAMLToJSON([]byte(document))
	if err != nil {
		return err
	}
	var value any
	if err := json.Unmarshal(data, &value); err != nil {
		return err
	}
	return open.VisitJSON(value, openapi3.MultiErrors())
}
