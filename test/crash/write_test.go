//go:build e2e

package crash_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"
)

// server is one of the two that the operator writes to.
type server string

const (
	toGitHub     server = "GitHub"
	toKubernetes server = "Kubernetes"
)

// write is one request of the operator that changes something.
type write struct {
	server       server
	method, path string
	body         []byte
	// kind says in words what it does, the same in every journey. A write without one is nothing that anybody decides on.
	kind string
	// generation is that of the process that sent it.
	generation int64
	// status and at are those of the answer; zero before it is carried out.
	status int
	at     time.Time
}

// newWrite reads a request.
func newWrite(to server, r *http.Request, body []byte) *write {
	w := &write{server: to, method: r.Method, path: r.URL.Path, body: body}
	if to == toGitHub {
		w.kind = w.onGitHub()
	} else {
		w.kind = w.onKubernetes()
	}
	return w
}

// moments are what differs when the same thing is written later.
var moments = regexp.MustCompile(`\d{4}-\d\d-\d\dT[0-9:.]+Z|\d\d:\d\d(:\d\d)?Z|"(resourceVersion|uid)":"[^"]*"`)

// signature is the same for a write that is tried again later.
func (w *write) signature() string {
	return w.method + " " + w.path + " " + moments.ReplaceAllString(string(w.body), "")
}

// succeeded says whether it had its effect.
func (w *write) succeeded() bool { return w.status/100 == 2 }

func (w *write) String() string {
	return fmt.Sprintf("%s %s: %s (%s %s): %d", w.at.Format("15:04:05.000"), w.server, w.kind, w.method, w.path, w.status)
}

var digits = regexp.MustCompile(`\d+$`)

// envOf is an environment's name in every world.
func envOf(name string) string { return digits.ReplaceAllString(name, "") }

func (w *write) onGitHub() string {
	_, path, _ := strings.Cut(w.path, "/repos/")
	parts := strings.Split(path, "/") // owner, name, …
	if len(parts) < 3 {
		return ""
	}
	switch w.method + " " + parts[2] {
	case "POST git":
		return "create the branch"
	case "PATCH git":
		return "move the branch"
	case "POST pulls":
		return "open the pull request"
	case "PATCH pulls":
		return "edit the pull request"
	case "PUT pulls":
		return "merge the pull request"
	case "POST issues":
		return "label the pull request"
	case "POST statuses":
		var status struct{ Context, State string }
		_ = json.Unmarshal(w.body, &status) // what cannot be read has no words
		return fmt.Sprintf("say %s of %s", status.State, envOf(status.Context))
	}
	return w.method + " " + path
}

func (w *write) onKubernetes() string {
	resource, name, sub := w.resource()
	switch resource {
	case "events", "leases", "selfsubjectreviews":
		return ""
	case "releases":
		if w.method == http.MethodPost {
			return "create a Release"
		}
		return "write a ledger"
	case "promotions":
		return w.onPromotion(name)
	case "gitrepositories":
		return w.onFlux() + " a GitRepository"
	case "kustomizations":
		return w.onFlux() + " the Kustomization of " + envOf(name[strings.LastIndexByte(name, '-')+1:])
	case "applications":
		return w.onApplication(sub)
	case "environments":
		return "write the status of an Environment"
	}
	return w.method + " " + w.path
}

// onPromotion says into which environment, and what of the status changes.
func (w *write) onPromotion(name string) string {
	if w.method == http.MethodPost {
		var promotion struct{ Spec struct{ Environment string } }
		_ = json.Unmarshal(w.body, &promotion) // what cannot be read has no words
		return "create a Promotion into " + envOf(promotion.Spec.Environment)
	}
	if w.method != http.MethodPatch {
		return w.method + " a Promotion"
	}
	var patch struct{ Status struct{ Phase string } }
	_ = json.Unmarshal(w.body, &patch) // what cannot be read has no words
	parts := strings.Split(name, "-")  // application, environment, hash
	return strings.TrimSpace(fmt.Sprintf("write a Promotion into %s %s", envOf(parts[max(0, len(parts)-2)]), patch.Status.Phase))
}

func (w *write) onFlux() string {
	if w.method == http.MethodDelete {
		return "delete"
	}
	return "apply"
}

func (w *write) onApplication(sub string) string {
	switch {
	case sub == "status":
		return "write the Application's status"
	case strings.Contains(string(w.body), "annotations"):
		return "wake the Application"
	}
	return "write the Application's finalizer"
}

// resource reads the path: /apis/GROUP/VERSION[/namespaces/NAMESPACE]/RESOURCE[/NAME[/SUB]].
func (w *write) resource() (resource, name, sub string) {
	parts := strings.Split(strings.TrimPrefix(w.path, "/"), "/")
	skip := 3
	if parts[0] == "api" {
		skip = 2
	}
	parts = parts[min(skip, len(parts)):]
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	parts = append(parts, "", "", "")
	return parts[0], parts[1], parts[2]
}
