package github

import (
	"bytes"
	"compress/gzip"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
)

// description is GitHub's OpenAPI description, see testdata/README.md.
//
//go:embed testdata/api.github.com.json.gz
var description []byte

// validator compares traffic with GitHub's description.
type validator struct {
	mu         sync.Mutex
	mismatches []string
}

// Mismatches lists what Options.Validate has found so far: responses that GitHub would
// not give, and requests accepted that GitHub's description does not allow.
func (s *Server) Mismatches() []string {
	s.validator.mu.Lock()
	defer s.validator.mu.Unlock()
	return slices.Clone(s.validator.mismatches)
}

// document loads the description, once for all servers, with the operations that are
// served: resolving all of it would take seconds.
var document = sync.OnceValues(func() (*openapi3.T, error) {
	unzipped, err := gzip.NewReader(bytes.NewReader(description))
	if err != nil {
		return nil, fmt.Errorf("unpacking GitHub's description: %w", err)
	}
	var parts map[string]json.RawMessage
	if err := json.NewDecoder(unzipped).Decode(&parts); err != nil {
		return nil, fmt.Errorf("reading GitHub's description: %w", err)
	}
	var paths map[string]json.RawMessage
	if err := json.Unmarshal(parts["paths"], &paths); err != nil {
		return nil, fmt.Errorf("reading the paths of GitHub's description: %w", err)
	}
	served := map[string]json.RawMessage{}
	for _, r := range routes {
		path, known := paths[r.template]
		if !known {
			return nil, fmt.Errorf("GitHub's description has no %s", r.template)
		}
		served[r.template] = path
	}
	if parts["paths"], err = json.Marshal(served); err != nil {
		return nil, err
	}
	reduced, err := json.Marshal(parts)
	if err != nil {
		return nil, err
	}
	return openapi3.NewLoader().LoadFromData(reduced)
})

// lenient are operations whose request bodies GitHub takes in more shapes than its
// description says: labels may be a bare array, as go-github sends them.
var lenient = map[string]bool{"POST /repos/{owner}/{repo}/issues/{issue_number}/labels": true}

// options keep schemas and values out of the messages.
func options() *openapi3filter.Options {
	o := &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, SkipSettingDefaults: true, MultiError: true}
	o.WithCustomSchemaErrorFunc(func(err *openapi3.SchemaError) string {
		return fmt.Sprintf("/%s: %s", strings.Join(err.JSONPointer(), "/"), err.Reason)
	})
	return o
}

// exchange is one request with its response.
type exchange struct {
	route   *route
	request *http.Request
	vars    map[string]string
	body    []byte
	out     rendered
}

func (v *validator) check(ctx context.Context, e exchange) {
	if err := e.validate(ctx); err != nil {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.mismatches = append(v.mismatches, fmt.Sprintf("%s → %d: %v", e.route, e.out.status, err))
	}
}

func (e exchange) validate(ctx context.Context) error {
	doc, err := document()
	if err != nil {
		return err
	}
	item := doc.Paths.Value(e.route.template)
	operation := item.GetOperation(e.route.method)
	if operation == nil {
		return fmt.Errorf("GitHub's description has no %s", e.route)
	}
	if string(bytes.TrimSpace(e.body)) == "null" {
		e.body = nil // how go-github says that it has nothing to say
	}
	request := e.request.Clone(ctx)
	request.Body, request.ContentLength = io.NopCloser(bytes.NewReader(e.body)), int64(len(e.body))
	if len(e.body) > 0 && request.Header.Get("Content-Type") == "" {
		request.Header.Set("Content-Type", "application/json")
	}
	input := &openapi3filter.RequestValidationInput{
		Request: request, PathParams: e.vars, QueryParams: request.URL.Query(),
		Route:   &routers.Route{Spec: doc, Path: e.route.template, PathItem: item, Method: e.route.method, Operation: operation},
		Options: options(),
	}
	// What GitHub's description forbids may be refused; it must not be accepted.
	if e.out.status < http.StatusBadRequest && !lenient[e.route.String()] {
		if err := openapi3filter.ValidateRequest(ctx, input); err != nil {
			return fmt.Errorf("request: %w", err)
		}
	}
	return e.validateResponse(ctx, input, doc)
}

// validateInstallations stands in for a description that asks the account of a listed
// installation to be a user and an enterprise at once; one installation has it right.
func (e exchange) validateInstallations(doc *openapi3.T) error {
	var list []any
	if err := json.Unmarshal(e.out.body, &list); err != nil {
		return fmt.Errorf("response: %w", err)
	}
	for _, entry := range list {
		if err := doc.Components.Schemas["installation"].Value.VisitJSON(entry, openapi3.MultiErrors()); err != nil {
			return fmt.Errorf("response: %w", err)
		}
	}
	return nil
}

func (e exchange) validateResponse(ctx context.Context, input *openapi3filter.RequestValidationInput, doc *openapi3.T) error {
	if e.out.status == http.StatusNotModified || e.out.status == http.StatusMovedPermanently || e.out.status == http.StatusTemporaryRedirect {
		return nil
	}
	documented := input.Route.Operation.Responses.Status(e.out.status)
	if documented == nil {
		return e.validateUndocumented(doc)
	}
	if e.route.template == "/app/installations" && e.out.status == http.StatusOK {
		return e.validateInstallations(doc)
	}
	if documented.Value != nil && len(documented.Value.Content) == 0 {
		return nil
	}
	err := openapi3filter.ValidateResponse(ctx, &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: e.out.status, Header: e.out.header,
		Body:    io.NopCloser(bytes.NewReader(e.out.body)),
		Options: options(),
	})
	if err != nil {
		return fmt.Errorf("response: %w", err)
	}
	return nil
}

// validateUndocumented takes refusals that GitHub gives everywhere without listing
// them (401, 403, 404, 429…): they have GitHub's error body. Successes are listed.
func (e exchange) validateUndocumented(doc *openapi3.T) error {
	if e.out.status < http.StatusBadRequest {
		return fmt.Errorf("response: status %d is not documented", e.out.status)
	}
	var body any
	if err := json.Unmarshal(e.out.body, &body); err != nil {
		return fmt.Errorf("response: %w", err)
	}
	if err := doc.Components.Schemas["basic-error"].Value.VisitJSON(body); err != nil {
		return fmt.Errorf("response: %w", err)
	}
	return nil
}
