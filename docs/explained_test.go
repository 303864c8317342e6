// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// conditionsFile has the reasons that the API names.
const conditionsFile = "../api/v1alpha1/conditions.go"

func TestEveryFieldIsExplained(t *testing.T) {
	all := pages(t)
	for kind, schema := range schemas(t) {
		path := filepath.Join(specPages, strings.ToLower(kind)+".md")
		p, exists := all[path]
		if !exists {
			t.Errorf("there is no %s", path)
			continue
		}
		for _, part := range []string{"spec", "status"} {
			top := schema.Properties[part]
			for _, field := range fieldsOf(&top, part) {
				if !p.words[field[strings.LastIndexByte(field, '.')+1:]] {
					t.Errorf("%s does not explain %s", path, field)
				}
			}
		}
	}
}

// fieldsOf lists the paths of all fields below a schema.
func fieldsOf(schema *apiextensionsv1.JSONSchemaProps, at string) []string {
	var fields []string
	if schema.Items != nil && schema.Items.Schema != nil {
		fields = append(fields, fieldsOf(schema.Items.Schema, at)...)
	}
	for name := range schema.Properties {
		below := schema.Properties[name]
		fields = append(fields, at+"."+name)
		if name != "conditions" { // the fields of a condition are Kubernetes'
			fields = append(fields, fieldsOf(&below, at+"."+name)...)
		}
	}
	slices.Sort(fields)
	return fields
}

func TestEveryReasonIsExplained(t *testing.T) {
	explained := map[string]bool{}
	for _, p := range pages(t) {
		if p.kindOf() != "" {
			for _, code := range p.code {
				explained[code] = true
			}
		}
	}
	reasons := map[string]string{}
	collectReasons(t, conditionsFile, reasons)
	if len(reasons) < 40 {
		t.Fatalf("only %d reasons were found in %s", len(reasons), conditionsFile)
	}
	for _, directory := range []string{"../internal/policy", "../internal/controller", "../internal/observe"} {
		err := filepath.WalkDir(directory, func(path string, _ fs.DirEntry, err error) error {
			if err == nil && strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, "_test.go") {
				collectReasons(t, path, reasons)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for reason, where := range reasons {
		if !explained[reason] {
			t.Errorf("%s: no specification page explains `%s`", where, reason)
		}
	}
}

// reasonWord is what a reason looks like: the API server takes nothing with white space.
var reasonWord = regexp.MustCompile(`^[A-Z][A-Za-z]+$`)

// collectReasons finds the reasons in a file: constants called …Reason or Reason…, and words that are given as a Reason, to an event or
// to a step that waits.
func collectReasons(t *testing.T, path string, into map[string]string) {
	t.Helper()
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	note := func(expression ast.Expr) {
		literal, isLiteral := expression.(*ast.BasicLit)
		if !isLiteral || literal.Kind != token.STRING {
			return
		}
		if word, err := strconv.Unquote(literal.Value); err == nil && reasonWord.MatchString(word) {
			into[word] = files.Position(literal.Pos()).String()
		}
	}
	ast.Inspect(file, func(node ast.Node) bool {
		switch n := node.(type) {
		case *ast.ValueSpec:
			for i, name := range n.Names {
				if (strings.HasSuffix(name.Name, "Reason") || strings.HasPrefix(name.Name, "Reason")) && i < len(n.Values) {
					note(n.Values[i])
				}
			}
		case *ast.KeyValueExpr:
			if key, isName := n.Key.(*ast.Ident); isName && key.Name == "Reason" {
				note(n.Value)
			}
		case *ast.CallExpr:
			if called := calledName(n); called == "waiting" || called == "tell" {
				for _, argument := range n.Args {
					note(argument)
				}
			}
		}
		return true
	})
}

func calledName(call *ast.CallExpr) string {
	switch function := call.Fun.(type) {
	case *ast.Ident:
		return function.Name
	case *ast.SelectorExpr:
		return function.Sel.Name
	}
	return ""
}
