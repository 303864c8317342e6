package github

import (
	"fmt"
	"net/http"
	"strconv"
)

const docsURL = "https://docs.github.com/rest"

// Error is a refusal in GitHub's words. Methods of Repository return it where the
// REST API would have answered with Status.
type Error struct {
	Status  int
	Message string
	// Fields are the entries of "errors" in the body.
	Fields []FieldError
	// Docs is the body's documentation_url.
	Docs string

	header http.Header
	extra  object
}

// FieldError says which field of a request was refused and why.
type FieldError struct {
	Resource string `json:"resource"`
	Field    string `json:"field,omitempty"`
	Code     string `json:"code"`
	Message  string `json:"message,omitempty"`
}

func (e *Error) Error() string {
	text := fmt.Sprintf("%d %s", e.Status, e.Message)
	for _, f := range e.Fields {
		text += fmt.Sprintf(" [%s %s %s %s]", f.Resource, f.Field, f.Code, f.Message)
	}
	return text
}

func (e *Error) body() object {
	docs := e.Docs
	if docs == "" {
		docs = docsURL
	}
	body := object{"message": e.Message, "documentation_url": docs, "status": strconv.Itoa(e.Status)}
	if len(e.Fields) > 0 {
		body["errors"] = e.Fields
	}
	for key, value := range e.extra {
		body[key] = value
	}
	return body
}

func refuse(status int, format string, args ...any) *Error {
	return &Error{Status: status, Message: fmt.Sprintf(format, args...)}
}

func notFound() *Error { return refuse(http.StatusNotFound, "Not Found") }

// invalid is the 422 that names the refused fields.
func invalid(fields ...FieldError) *Error {
	return &Error{Status: http.StatusUnprocessableEntity, Message: "Validation Failed", Fields: fields}
}

// invalidCustom is the 422 whose reason is a sentence.
func invalidCustom(resource, format string, args ...any) *Error {
	return invalid(FieldError{Resource: resource, Code: "custom", Message: fmt.Sprintf(format, args...)})
}

func noCommit(ref string) *Error {
	return refuse(http.StatusUnprocessableEntity, "No commit found for SHA: %s", ref)
}
