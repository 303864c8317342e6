package journey

import (
	"fmt"
	"strings"
	"time"
)

// Kind says what an [Event] is.
type Kind string

const (
	// Progress is about what is being started.
	Progress Kind = "Progress"
	// Acted is something that a person, or CI, has just done.
	Acted Kind = "Acted"
	// Seen is something that has happened, as the API server or GitHub told it.
	Seen Kind = "Seen"
	// Shown is more about the event before it: a line of an object, say.
	Shown Kind = "Shown"
	// Summary is what the Application's status says in one sentence, whenever it says something else.
	Summary Kind = "Summary"
)

// Event is a line of the narration.
type Event struct {
	At   time.Time
	Kind Kind
	Text string
}

// Sink takes events as they happen. It is called from several goroutines.
type Sink func(Event)

func (s Sink) tell(kind Kind, format string, args ...any) {
	s(Event{At: time.Now(), Kind: kind, Text: fmt.Sprintf(format, args...)})
}

// progressWriter makes an event of each line that is written, for what narrates its own start.
type progressWriter struct {
	sink Sink
	rest strings.Builder
}

// Write takes part of the text.
func (w *progressWriter) Write(text []byte) (int, error) {
	w.rest.Write(text)
	lines := strings.Split(w.rest.String(), "\n")
	w.rest.Reset()
	w.rest.WriteString(lines[len(lines)-1])
	for _, line := range lines[:len(lines)-1] {
		if line = strings.TrimRight(line, " \r"); line != "" {
			w.sink.tell(Progress, "%s", line)
		}
	}
	return len(text), nil
}
