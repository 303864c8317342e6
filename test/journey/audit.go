package journey

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// auditPolicy lets the API server keep a record of every write that the operator asks for.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
  users: ["` + operatorUser + `"]
  verbs: [create, update, patch, delete, deletecollection]
- level: None
`

// Write is a write that the operator asked the API server for.
type Write struct {
	Verb string
	// Object is what was written: resource/namespace/name, and the subresource if any.
	Object string
	// Status is the HTTP status of the answer.
	Status int
	At     time.Time
}

func (w *World) auditLog() string { return filepath.Join(w.dir, "audit.log") }

func (w *World) writeAuditPolicy() (string, error) {
	path := filepath.Join(w.dir, "audit-policy.yaml")
	if err := os.WriteFile(path, []byte(auditPolicy), 0o600); err != nil {
		return "", fmt.Errorf("writing the audit policy: %w", err)
	}
	return path, nil
}

// Writes are all writes that the operator has asked the API server for, in their order, whether they succeeded or not.
func (w *World) Writes() ([]Write, error) {
	file, err := os.Open(w.auditLog())
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	defer func() { _ = file.Close() }() // it is only read
	var writes []Write
	var unreadable error
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if unreadable != nil {
			return nil, fmt.Errorf("reading the audit log: a line before its last: %w", unreadable)
		}
		var entry struct {
			Verb      string    `json:"verb"`
			At        time.Time `json:"stageTimestamp"`
			ObjectRef struct {
				Resource, Namespace, Name, Subresource string
			} `json:"objectRef"`
			ResponseStatus struct {
				Code int `json:"code"`
			} `json:"responseStatus"`
		}
		if unreadable = json.Unmarshal(lines.Bytes(), &entry); unreadable != nil {
			continue // The API server is writing this line, which is the last.
		}
		ref := entry.ObjectRef
		object := filepath.Join(ref.Resource, ref.Namespace, ref.Name, ref.Subresource)
		writes = append(writes, Write{Verb: entry.Verb, Object: object, Status: entry.ResponseStatus.Code, At: entry.At})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading the audit log: %w", err)
	}
	return writes, nil
}
