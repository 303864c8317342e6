// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

package render

import (
	"encoding/json"
	"strings"
)

// Marker says for whom a promotion pull request is. It stands in the pull request's body, where people do not see it, so
// that Mainstem knows its own again, and knows another installation's for what it is.
type Marker struct {
	// Instance is the name of the installation.
	Instance string `json:"instance"`
	// Namespace is the Application's.
	Namespace string `json:"namespace"`
	// Application is the Application's name.
	Application string `json:"application"`
	// Environment is the name of the Environment that the pull request promotes into.
	Environment string `json:"environment"`
}

// What a marker begins and ends with. Between them is a JSON object, in which < and > are escaped: it cannot end the
// comment.
const (
	markerStart = "<!-- mainstem:promotion "
	markerEnd   = " -->"
)

// PullRequestMarker is the HTML comment that identifies a promotion pull request: one line, the first one of the body.
func PullRequestMarker(marker Marker) string {
	content, err := json.Marshal(marker)
	if err != nil {
		// Four strings always become JSON; invalid UTF-8 is replaced.
		return ""
	}
	return markerStart + string(content) + markerEnd
}

// ParseMarker finds the marker in a pull request's body. The first one counts: Mainstem writes it above everything that
// comes from commits, and a marker below it says nothing. It is found only on a line of its own and with all its fields;
// false says that there is none.
func ParseMarker(body string) (Marker, bool) {
	for line := range strings.Lines(body) {
		content, ok := strings.CutPrefix(strings.TrimSpace(line), markerStart)
		if !ok {
			continue
		}
		content, ok = strings.CutSuffix(content, markerEnd)
		if !ok {
			continue
		}
		var marker Marker
		if err := json.Unmarshal([]byte(content), &marker); err != nil {
			continue
		}
		if marker.Instance != "" && marker.Namespace != "" && marker.Application != "" && marker.Environment != "" {
			return marker, true
		}
	}
	return Marker{}, false
}
