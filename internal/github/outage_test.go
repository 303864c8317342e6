package github

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// line is a network between the client and GitHub, with a clock that waiting moves.
type line struct {
	*stepClock
	sent []string
	// down is how long is waited for nothing, and before what error; 0 is a line that works, and answers status.
	down   time.Duration
	err    error
	status int
}

// deafLine is down: nothing ever answers.
func deafLine() *line {
	return &line{stepClock: newStepClock(), down: 30 * time.Second, err: context.DeadlineExceeded, status: http.StatusOK}
}

func (l *line) RoundTrip(r *http.Request) (*http.Response, error) {
	l.sent = append(l.sent, r.URL.Path)
	if l.down != 0 {
		l.advance(l.down)
		return nil, l.err
	}
	text := repositoryJSON
	if strings.HasSuffix(r.URL.Path, "/access_tokens") {
		text = `{"token":"ghs_fresh","expires_at":"` + l.now().Add(time.Hour).Format(time.RFC3339) + `"}`
	}
	return &http.Response{
		StatusCode: l.status, Request: r, Body: io.NopCloser(strings.NewReader(text)),
		Header: headers("Content-Type", "application/json"),
	}, nil
}

// ask asks about the repository, and says whether that was sent.
func (l *line) ask(t *testing.T, client *Client) (sent bool, err error) {
	t.Helper()
	before := len(l.sent)
	_, err = client.Info(testContext(t))
	return len(l.sent) > before, err
}

func (l *line) clients() *Clients { return NewClients(Options{Now: l.now, Transport: l}) }

func clientAt(t *testing.T, clients *Clients, apiURL, token string) *Client {
	t.Helper()
	repo, err := ParseURL("https://ghe.example.com/acme/podinfo", apiURL, "")
	if err != nil {
		t.Fatal(err)
	}
	return clientFor(t, clients, repo, mustCredential(t, tokenData(token)))
}

func TestWhileGitHubDoesNotAnswerFewWaitForIt(t *testing.T) {
	l := deafLine()
	clients := l.clients()
	client, other := clientAt(t, clients, "", "ghp_a"), clientAt(t, clients, "", "ghp_b")
	_, waited := l.ask(t, client)
	if !isType[*UnreachableError](waited) || !strings.Contains(waited.Error(), "in time") {
		t.Fatalf("got %v", waited)
	}
	for _, each := range []*Client{client, other} {
		sent, err := l.ask(t, each)
		if sent || err == nil || err.Error() != waited.Error() {
			t.Errorf("sent: %t; got %v, want at once what the wait ended with, %v", sent, err, waited)
		}
	}
	if _, err := client.EnsureStatus(testContext(t), shaA, Status{Context: "x", State: StatusSuccess}); !isType[*UnreachableError](err) || !strings.Contains(err.Error(), "acme/podinfo") {
		t.Errorf("another call: got %v", err)
	}
	if sent, _ := l.ask(t, clientAt(t, clients, "https://elsewhere.example.com", "ghp_a")); !sent {
		t.Error("another API root was not asked")
	}

	l.advance(firstPause)
	for range 3 {
		start := l.now()
		if sent, err := l.ask(t, client); !sent || !isType[*UnreachableError](err) {
			t.Fatalf("nobody tries whether it answers again: %v", err)
		}
		l.at = start.Add(nextPause - time.Millisecond)
		if sent, _ := l.ask(t, other); sent {
			t.Error("a second one tries, too")
		}
		l.advance(time.Millisecond)
	}

	l.down = 0
	for range 2 {
		if sent, err := l.ask(t, other); !sent || err != nil {
			t.Errorf("it answers again: sent %t, got %v", sent, err)
		}
	}
}

func TestAnErrorIsAnAnswer(t *testing.T) {
	l := deafLine()
	client := clientAt(t, l.clients(), "", "ghp_a")
	_, _ = l.ask(t, client)
	l.advance(firstPause)
	l.down, l.status = 0, http.StatusBadGateway
	for range 2 {
		if sent, err := l.ask(t, client); !sent || !isType[*UnreachableError](err) {
			t.Errorf("sent %t, got %v", sent, err)
		}
	}
}

func TestNobodysFaultIsNoOutage(t *testing.T) {
	for name, l := range map[string]*line{
		"refused at once":      {stepClock: newStepClock(), down: time.Millisecond, err: errors.New("connection refused")},
		"a caller who is gone": {stepClock: newStepClock(), down: 30 * time.Second, err: context.Canceled},
	} {
		client := clientAt(t, l.clients(), "", "ghp_a")
		ctx, cancel := context.WithCancel(t.Context())
		if errors.Is(l.err, context.Canceled) {
			cancel()
		}
		// A write: nobody shares it, so that its caller's end is its own.
		_ = client.DeleteBranch(ctx, "mainstem/x", shaA)
		cancel()
		if sent, _ := l.ask(t, client); !sent {
			t.Errorf("%s: the next one was not sent", name)
		}
	}
}

func TestAnAppWithoutATokenFindsTheEndOfAnOutage(t *testing.T) {
	l := deafLine()
	clients := l.clients()
	repo, err := ParseURL("https://ghe.example.com/acme/podinfo", "", "")
	if err != nil {
		t.Fatal(err)
	}
	client := clientFor(t, clients, repo, mustCredential(t, appData()))
	if _, err := l.ask(t, client); !isType[*UnreachableError](err) {
		t.Fatalf("got %v", err)
	}
	if sent, _ := l.ask(t, client); sent {
		t.Error("a token was asked for")
	}
	l.down = 0
	l.advance(firstPause)
	if _, err := l.ask(t, client); err != nil {
		t.Errorf("it answers again: %v", err)
	}
}

func TestAnAnswerThatNeverEndsIsNone(t *testing.T) {
	release := make(chan struct{})
	server := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/podinfo") {
			_, _ = io.WriteString(w, `{"full_name":`)
			_ = http.NewResponseController(w).Flush()
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	})
	defer close(release)
	for name, ask := range map[string]func(*Client) error{
		"half an answer": func(c *Client) error { _, err := c.Info(testContext(t)); return err },
		"none":           func(c *Client) error { _, err := c.Tag(testContext(t), "v1"); return err },
	} {
		clock, step := newStepClock(), longWait
		client := server.client(t, Options{Timeout: 50 * time.Millisecond, Now: func() time.Time { clock.advance(step); return clock.now() }})
		waited := ask(client)
		step = 0
		asked := server.count("")
		if again := ask(client); !isType[*UnreachableError](waited) || again == nil || again.Error() != waited.Error() || server.count("") != asked {
			t.Errorf("%s: got %v, then %v, with %d requests", name, waited, again, server.count("")-asked)
		}
	}
}
