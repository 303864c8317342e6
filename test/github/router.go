package github

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

type object = map[string]any

// call is one REST request on its way to a handler. The server's mutex is held.
type call struct {
	*Server
	request *http.Request
	route   *route
	vars    map[string]string
	query   url.Values
	body    []byte
	who     principal
	repo    *Repository
}

// reply is what a handler answers. A nil body is an empty response.
type reply struct {
	status int
	body   any
	header http.Header
}

func ok(body any) (reply, error) { return reply{status: http.StatusOK, body: body}, nil }

func noContent() (reply, error) { return reply{status: http.StatusNoContent}, nil }

// created answers 201 with the Location that GitHub sends.
func created(body object) (reply, error) {
	header := http.Header{}
	if location, isString := body["url"].(string); isString {
		header.Set("Location", location)
	}
	return reply{status: http.StatusCreated, body: body, header: header}, nil
}

type handler func(*call) (reply, error)

// route is one operation of the API. template is the path in GitHub's OpenAPI
// description.
type route struct {
	method   string
	template string
	needs    need
	handle   handler

	pattern *regexp.Regexp
	names   []string
}

func (r *route) String() string { return r.method + " " + r.template }

// slashed names the variables that may hold slashes: branches and other refs.
var slashed = map[string]bool{"ref": true, "branch": true, "basehead": true, "commit_sha": true, "tag": true, "tree_sha": true}

var variable = regexp.MustCompile(`\{([a-z_]+)\}`)

func newRoute(operation string, needs need, handle handler) *route {
	method, template, _ := strings.Cut(operation, " ")
	r := &route{method: method, template: template, needs: needs, handle: handle}
	pattern := variable.ReplaceAllStringFunc(template, func(v string) string {
		name := strings.Trim(v, "{}")
		r.names = append(r.names, name)
		if slashed[name] {
			return "(.+)"
		}
		return "([^/]+)"
	})
	r.pattern = regexp.MustCompile("^" + pattern + "$")
	return r
}

func (r *route) match(path string) (map[string]string, bool) {
	groups := r.pattern.FindStringSubmatch(path)
	if groups == nil {
		return nil, false
	}
	vars := make(map[string]string, len(r.names))
	for i, name := range r.names {
		value, err := url.PathUnescape(groups[i+1])
		if err != nil {
			return nil, false
		}
		vars[name] = value
	}
	return vars, true
}

// findRoute returns the route of a request, or whether the path exists for another
// method.
func findRoute(method, path string) (found *route, vars map[string]string) {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	for _, r := range routes {
		if r.method != method {
			continue
		}
		if vars, matches := r.match(path); matches {
			return r, vars
		}
	}
	return nil, nil
}

// serveREST answers one REST call: account, authorize, handle, render, count.
func (s *Server) serveREST(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		s.write(w, r, rendered{status: http.StatusRequestEntityTooLarge})
		return
	}
	path := strings.TrimPrefix(r.URL.EscapedPath(), apiPrefix)
	found, vars := findRoute(r.Method, path)
	s.mu.Lock()
	c := &call{Server: s, request: r, route: found, vars: vars, query: r.URL.Query(), body: body}
	out := c.answer(path)
	s.countCall(found, out)
	s.mu.Unlock()
	if found != nil && s.options.Validate {
		s.validator.check(r.Context(), exchange{route: found, request: r, vars: vars, body: body, out: out})
	}
	s.write(w, r, out)
}

// rendered is a response ready to be sent.
type rendered struct {
	status  int
	header  http.Header
	body    []byte
	charged bool
}

// answer runs the call to the end; it never fails.
func (c *call) answer(path string) rendered {
	header := http.Header{}
	result, err := c.run(path, header)
	out := rendered{status: result.status, header: header}
	for key, values := range result.header {
		header[key] = values
	}
	var refusal *Error
	switch {
	case errors.As(err, &refusal):
		out.status = refusal.Status
		for key, values := range refusal.header {
			header[key] = values
		}
		result.body = refusal.body()
	case err != nil:
		out.status = http.StatusInternalServerError
		result.body = object{"message": "Server Error: " + err.Error(), "documentation_url": docsURL}
	}
	c.encode(&out, result.body)
	out.charged = c.charge(out)
	c.limitHeaders(header)
	return out
}

func (c *call) run(path string, header http.Header) (reply, error) {
	if err := c.authenticate(); err != nil {
		return reply{}, err
	}
	if err := c.checkLimit(); err != nil {
		return reply{}, err
	}
	if c.route == nil {
		return c.redirect(path)
	}
	if err := c.findRepository(); err != nil {
		return reply{}, err
	}
	// GitHub says what would have been enough when it refuses, too.
	header.Set("X-Accepted-Github-Permissions", c.route.needs.String())
	if err := c.authorize(); err != nil {
		return reply{}, err
	}
	return c.route.handle(c)
}

// encode writes the body as JSON and answers 304 when the client has it already.
// The entity tag covers the credential: GitHub's do not outlive a token either.
func (c *call) encode(out *rendered, body any) {
	if body == nil {
		return
	}
	var buffer bytes.Buffer
	encoder := json.NewEncoder(&buffer)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		out.status = http.StatusInternalServerError
		buffer.Reset()
		fmt.Fprintf(&buffer, `{"message":%q}`, err.Error())
	}
	out.body = bytes.TrimRight(buffer.Bytes(), "\n")
	out.header.Set("Content-Type", "application/json; charset=utf-8")
	out.header.Set("X-Github-Media-Type", "github.v3; format=json")
	if c.request.Method != http.MethodGet && c.request.Method != http.MethodHead || out.status != http.StatusOK {
		return
	}
	sum := sha256.Sum256(append([]byte(c.who.secret+"\x00"+out.header.Get("Link")+"\x00"), out.body...))
	tag := `W/"` + hex.EncodeToString(sum[:]) + `"`
	out.header.Set("ETag", tag)
	visibility := "public"
	if c.who.kind != anonymous {
		visibility = "private"
	}
	out.header.Set("Cache-Control", visibility+", max-age=60, s-maxage=60")
	out.header.Set("Vary", "Accept, Authorization, Cookie, X-GitHub-OTP,Accept-Encoding, Accept, X-Requested-With")
	if c.route != nil && c.route.template != "/rate_limit" && sameTag(c.request.Header.Get("If-None-Match"), tag) {
		out.status, out.body = http.StatusNotModified, nil
		out.header.Del("Content-Type")
	}
}

// sameTag compares weakly, as RFC 9110 section 13.1.2 asks for If-None-Match.
func sameTag(sent, current string) bool {
	for candidate := range strings.SplitSeq(sent, ",") {
		candidate = strings.TrimPrefix(strings.TrimSpace(candidate), "W/")
		if candidate != "" && candidate == strings.TrimPrefix(current, "W/") {
			return true
		}
	}
	return false
}

func (s *Server) write(w http.ResponseWriter, r *http.Request, out rendered) {
	header := w.Header()
	for key, values := range out.header {
		header[key] = values
	}
	header.Set("X-Github-Request-Id", requestID())
	header.Set("X-Github-Api-Version-Selected", apiVersion(r))
	header.Set("Server", "github.com")
	header.Set("X-Content-Type-Options", "nosniff")
	if out.status != http.StatusNoContent && out.status != http.StatusNotModified {
		header.Set("Content-Length", strconv.Itoa(len(out.body)))
	}
	w.WriteHeader(out.status)
	if r.Method != http.MethodHead {
		_, _ = w.Write(out.body) // a client that went away is its own business
	}
}

func apiVersion(r *http.Request) string {
	if version := r.Header.Get("X-Github-Api-Version"); version != "" {
		return version
	}
	return "2022-11-28"
}

// decode reads the JSON body into a request structure.
func decode[T any](c *call) (T, error) {
	var into T
	if len(bytes.TrimSpace(c.body)) == 0 {
		return into, nil
	}
	if err := json.Unmarshal(c.body, &into); err != nil {
		var mismatch *json.UnmarshalTypeError
		if errors.As(err, &mismatch) {
			return into, refuse(http.StatusUnprocessableEntity, "Invalid request.\n\nFor '%s', %s is not of the expected type.", mismatch.Field, mismatch.Value)
		}
		return into, refuse(http.StatusBadRequest, "Problems parsing JSON")
	}
	return into, nil
}

// number reads a numeric path variable; what is no number is not found.
func (c *call) number(name string) (int64, error) {
	n, err := strconv.ParseInt(c.vars[name], 10, 64)
	if err != nil {
		return 0, notFound()
	}
	return n, nil
}
