// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package admission

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	. "github.com/onsi/gomega"
	admissionregistrationv1 "k8s.io/api/admissionregistration/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/mainstem-dev/mainstem/test/apiserver"
)

// rule is a CEL rule of a CRD, or a validation of a policy.
type rule struct {
	// policy says which of both it is.
	policy bool
	// source is the resource of the CRD (environments), or the policy's name.
	source string
	// path is the field that the rule of a CRD sits at, with [] for the elements of lists and maps.
	path string
	// expression is the rule itself.
	expression string
	// message is the sentence of a CRD's rule; of a policy's, the sentence or the expression that makes it.
	message string
}

func (r rule) String() string {
	return fmt.Sprintf("%s %s: %s", r.source, r.path, r.expression)
}

// reference names a rule: by where it is, and by words of its message, which no other rule there has; where two share
// one message, also by how the rule begins.
type reference struct {
	policy                     bool
	source, path, says, begins string
}

func crdRule(resource, path, says string) reference {
	return reference{source: resource, path: path, says: says}
}

// beginning tells rules apart that share a message.
func (r reference) beginning(expression string) reference {
	r.begins = expression
	return r
}

func policyRule(policy, says string) reference {
	return reference{policy: true, source: policy, says: says}
}

// find returns the one rule that is referred to.
func (r reference) find(t *testing.T, rules []rule) rule {
	t.Helper()
	matches := slices.DeleteFunc(slices.Clone(rules), func(candidate rule) bool {
		return candidate.policy != r.policy || candidate.source != r.source || candidate.path != r.path ||
			!strings.Contains(candidate.message, r.says) || !strings.HasPrefix(candidate.expression, r.begins)
	})
	if len(matches) != 1 {
		t.Fatalf("%d rules of %s at %q say %q, not one: %v", len(matches), r.source, r.path, r.says, matches)
	}
	return matches[0]
}

func TestEveryRuleHasARefusal(t *testing.T) {
	rules := readRules(t)
	tested := map[rule]bool{}
	for _, r := range refusals() {
		tested[r.rule.find(t, rules)] = true
	}
	for _, r := range rules {
		if !tested[r] {
			t.Errorf("nothing is refused by this rule, add a refusal: %s", r)
		}
	}
}

func TestEveryRuleSaysWhatToChange(t *testing.T) {
	for _, r := range readRules(t) {
		if r.message == "" {
			t.Errorf("the API server would print the expression instead of a sentence: %s", r)
		}
	}
}

func TestEverythingInConfigIsInstalled(t *testing.T) {
	g := NewWithT(t)
	manifests, err := apiserver.Kustomize(t.Context(), filepath.Join(apiserver.Root(), "config", "default"))
	g.Expect(err).NotTo(HaveOccurred())
	built, err := parse(manifests)
	g.Expect(err).NotTo(HaveOccurred())

	isBuilt := func(object *unstructured.Unstructured) bool {
		return slices.ContainsFunc(built, func(b *unstructured.Unstructured) bool {
			return b.GetKind() == object.GetKind() && b.GetName() == object.GetName()
		})
	}
	for _, dir := range []string{"crd/bases", "manager", "network-policy", "policies", "rbac"} {
		for _, object := range readDir(t, dir) {
			g.Expect(isBuilt(object)).To(BeTrue(), "%s %s of config/%s is in no kustomization.yaml", object.GetKind(), object.GetName(), dir)
		}
	}
}

func TestEveryPolicyIsBound(t *testing.T) {
	bound := map[string]bool{}
	for _, object := range readDir(t, "policies") {
		if object.GetKind() != "ValidatingAdmissionPolicyBinding" {
			continue
		}
		binding := decode[admissionregistrationv1.ValidatingAdmissionPolicyBinding](t, object)
		denies := slices.Contains(binding.Spec.ValidationActions, admissionregistrationv1.Deny)
		if denies && binding.Spec.MatchResources == nil && binding.Spec.ParamRef == nil {
			bound[binding.Spec.PolicyName] = true
		}
	}
	for _, policy := range readPolicies(t) {
		if !bound[policy.Name] {
			t.Errorf("no binding denies by the policy %s, everywhere", policy.Name)
		}
		if policy.Spec.FailurePolicy == nil || *policy.Spec.FailurePolicy != admissionregistrationv1.Fail {
			t.Errorf("the policy %s lets pass what it cannot evaluate", policy.Name)
		}
	}
}

// readRules returns the rules of config/crd/bases and config/policies.
func readRules(t *testing.T) []rule {
	t.Helper()
	var rules []rule
	for _, object := range readDir(t, "crd/bases") {
		definition := decode[apiextensionsv1.CustomResourceDefinition](t, object)
		for _, version := range definition.Spec.Versions {
			rules = append(rules, schemaRules(definition.Spec.Names.Plural, "", version.Schema.OpenAPIV3Schema)...)
		}
	}
	for _, policy := range readPolicies(t) {
		for _, validation := range policy.Spec.Validations {
			// In an expression, a quote in a sentence is escaped.
			message := validation.Message + strings.ReplaceAll(validation.MessageExpression, `\'`, `'`)
			rules = append(rules, rule{policy: true, source: policy.Name, expression: validation.Expression, message: message})
		}
	}
	if len(rules) == 0 {
		t.Fatal("there are no rules")
	}
	return rules
}

// schemaRules returns the rules of a schema and of everything in it.
func schemaRules(resource, path string, schema *apiextensionsv1.JSONSchemaProps) []rule {
	if schema == nil {
		return nil
	}
	var rules []rule
	for _, validation := range schema.XValidations {
		rules = append(rules, rule{source: resource, path: path, expression: validation.Rule, message: validation.Message + validation.MessageExpression})
	}
	for name := range schema.Properties {
		property := schema.Properties[name]
		rules = append(rules, schemaRules(resource, strings.TrimPrefix(path+"."+name, "."), &property)...)
	}
	if schema.Items != nil {
		rules = append(rules, schemaRules(resource, path+"[]", schema.Items.Schema)...)
	}
	if schema.AdditionalProperties != nil {
		rules = append(rules, schemaRules(resource, path+"[]", schema.AdditionalProperties.Schema)...)
	}
	return rules
}

func readPolicies(t *testing.T) []admissionregistrationv1.ValidatingAdmissionPolicy {
	t.Helper()
	var policies []admissionregistrationv1.ValidatingAdmissionPolicy
	for _, object := range readDir(t, "policies") {
		if object.GetKind() == "ValidatingAdmissionPolicy" {
			policies = append(policies, decode[admissionregistrationv1.ValidatingAdmissionPolicy](t, object))
		}
	}
	return policies
}

// readDir returns the objects in the YAML files of a directory of config.
func readDir(t *testing.T, dir string) []*unstructured.Unstructured {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(apiserver.Root(), "config", dir, "*.yaml"))
	if err != nil || len(files) == 0 {
		t.Fatalf("config/%s has no YAML files: %v", dir, err)
	}
	var objects []*unstructured.Unstructured
	for _, file := range files {
		if filepath.Base(file) == "kustomization.yaml" {
			continue
		}
		content, err := os.ReadFile(file)
		if err != nil {
			t.Fatalf("reading a manifest: %v", err)
		}
		parsed, err := parse(content)
		if err != nil {
			t.Fatalf("reading %s: %v", file, err)
		}
		objects = append(objects, parsed...)
	}
	return objects
}

// parse returns the objects of a YAML stream.
func parse(stream []byte) ([]*unstructured.Unstructured, error) {
	var objects []*unstructured.Unstructured
	decoder := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(stream), 4096)
	for {
		object := &unstructured.Unstructured{}
		err := decoder.Decode(&object.Object)
		switch {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, fmt.Errorf("parsing YAML: %w", err)
		case len(object.Object) > 0:
			objects = append(objects, object)
		}
	}
}

func decode[T any](t *testing.T, object *unstructured.Unstructured) T {
	t.Helper()
	var decoded T
	if err := runtime.DefaultUnstructuredConverter.FromUnstructuredWithValidation(object.Object, &decoded, true); err != nil {
		t.Fatalf("reading %s %s: %v", object.GetKind(), object.GetName(), err)
	}
	return decoded
}
