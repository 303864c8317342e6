//go:build e2e

package crash_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// server is one of the two that the operator writes to.
type server string

const (
	toGitHub     server = "GitHub"
	toKubernetes server = "Kubernetes"
)

// editPull is the kind of a write that keeps the description of a pull request true.
const editPull = "edit the pull request"

// write is one request of the operator that changes something.
type write struct {
	server       server
	method, path string
	// content is the media type of the body, which tells an apply from a patch.
	content string
	body    []byte
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
	w := &write{server: to, method: r.Method, path: r.URL.Path, content: r.Header.Get("Content-Type"), body: body}
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
	case "DELETE git":
		return "delete the branch"
	case "POST pulls":
		if len(parts) > 3 {
			return "ask for reviews"
		}
		return "open the pull request"
	case "PATCH pulls":
		return editPull
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
		return w.onRelease(sub)
	case "promotions":
		return w.onPromotion(name, sub)
	case "approvals":
		return w.named(map[string]string{"PATCH ": "give an Approval its owner"}, sub)
	case "gitrepositories":
		return w.onFlux() + " a GitRepository"
	case "kustomizations":
		return w.onFlux() + " the Kustomization of " + envOf(name[strings.LastIndexByte(name, '-')+1:])
	case "applications":
		return w.onApplication(sub)
	case "environments":
		return w.named(map[string]string{"PATCH status": "write the status of an Environment"}, sub)
	}
	return w.method + " " + w.path
}

// named gives the words for a method and a subresource; without any, what was sent stands for itself.
func (w *write) named(words map[string]string, sub string) string {
	if kind := words[w.method+" "+sub]; kind != "" {
		return kind
	}
	return w.method + " " + w.path
}

func (w *write) onRelease(sub string) string {
	return w.named(map[string]string{"POST ": "create a Release", "PATCH status": "write a ledger", "DELETE ": "delete a Release"}, sub)
}

// onPromotion says into which environment, and what of the status changes.
func (w *write) onPromotion(name, sub string) string {
	switch {
	case w.method == http.MethodPost:
		var promotion struct{ Spec struct{ Environment string } }
		_ = json.Unmarshal(w.body, &promotion) // what cannot be read has no words
		return "create a Promotion into " + envOf(promotion.Spec.Environment)
	case w.method == http.MethodPatch && sub == "status":
		var patch struct{ Status struct{ Phase string } }
		_ = json.Unmarshal(w.body, &patch) // what cannot be read has no words
		if patch.Status.Phase == "" {
			return "write what a Promotion waits for"
		}
		parts := strings.Split(name, "-") // application, environment, hash
		return fmt.Sprintf("write a Promotion into %s %s", envOf(parts[max(0, len(parts)-2)]), patch.Status.Phase)
	}
	return w.named(map[string]string{"PATCH ": "give a Promotion its owner", "DELETE ": "delete a Promotion"}, sub)
}

func (w *write) onFlux() string {
	switch {
	case w.method == http.MethodDelete:
		return "delete"
	case w.applies():
		return "apply"
	case w.method == http.MethodPatch:
		return "let go of"
	}
	return w.method
}

// applies says whether it is a server-side apply.
func (w *write) applies() bool {
	return w.method == http.MethodPatch && w.content == string(types.ApplyPatchType)
}

// release is the Release that an object of Flux is to run.
func (w *write) release() string {
	var object struct {
		Metadata struct{ Annotations map[string]string }
	}
	_ = json.Unmarshal(w.body, &object) // what cannot be read has no release
	return object.Metadata.Annotations[v1alpha1.ReleaseAnnotation]
}

func (w *write) onApplication(sub string) string {
	switch {
	case sub == "status":
		return "write the Application's status"
	case strings.Contains(string(w.body), "annotations"):
		return "wake the Application"
	case strings.Contains(string(w.body), v1alpha1.Finalizer):
		return "add the Application's finalizer"
	}
	return "take the Application's finalizer away"
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
