package github

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	apiPrefix = "/api/v3"
	// maxBody bounds a REST request, maxPush one received pack.
	maxBody = 1 << 20
	maxPush = 256 << 20
)

// Options configures a Server. The zero value listens on a free loopback port and
// keeps its repositories in a temporary directory that Close removes.
type Options struct {
	// Dir holds the bare repositories. Empty: a temporary directory.
	Dir string
	// Addr is the address to listen on. Empty: a free port of 127.0.0.1.
	Addr string
	// Clock dates what people and machines do: commits, pull requests, statuses,
	// releases. It is called from several goroutines. Nil: time.Now. Results are rounded to seconds, as GitHub's are.
	Clock func() time.Time
	// WallClock judges what clients compare with a clock of their own: App JWTs,
	// expiry of tokens, rate-limit windows. Nil: time.Now.
	WallClock func() time.Time
	// TokenLifetime is how long an installation token lives. Zero: one hour.
	TokenLifetime time.Duration
	// Validate compares every REST request and response with GitHub's OpenAPI
	// description and collects what differs; see Server.Mismatches. The description
	// is loaded with the first request.
	Validate bool
	// WebhookTimeout bounds one delivery. Zero: ten seconds, as on GitHub.
	WebhookTimeout time.Duration
}

// Server is a running emulator. Its methods are safe for concurrent use.
type Server struct {
	options  Options
	listener net.Listener
	http     *http.Server
	tempDir  string
	ctx      context.Context
	cancel   context.CancelFunc
	served   chan struct{}

	// mu guards everything below and every Git repository: one request at a time is
	// what makes a recorded history unambiguous.
	mu       sync.Mutex
	lastID   int64
	accounts map[string]*account
	tokens   map[string]*Token
	apps     map[int64]*App
	repos    map[string]*Repository
	byID     map[int64]*Repository
	limits   map[string]*limitWindow
	faults   []*activeFault
	calls    map[string]CallCount
	effects  Effects
	hooks    []*hook

	log       deliveryLog
	validator validator
}

// Start begins to serve and returns once requests are accepted.
func Start(options Options) (*Server, error) {
	s, err := newServer(options)
	if err != nil {
		return nil, err
	}
	address := options.Addr
	if address == "" {
		address = "127.0.0.1:0"
	}
	s.listener, err = (&net.ListenConfig{}).Listen(s.ctx, "tcp", address)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening on %s: %w", address, err), s.removeTempDir())
	}
	s.http = &http.Server{
		Handler:           s,
		ReadHeaderTimeout: 30 * time.Second,
		BaseContext:       func(net.Listener) context.Context { return s.ctx },
	}
	go func() {
		defer close(s.served)
		_ = s.http.Serve(s.listener) // always ends with ErrServerClosed, by Close
	}()
	return s, nil
}

func newServer(options Options) (*Server, error) {
	if options.Clock == nil {
		options.Clock = time.Now
	}
	if options.WallClock == nil {
		options.WallClock = time.Now
	}
	if options.TokenLifetime == 0 {
		options.TokenLifetime = time.Hour
	}
	if options.WebhookTimeout == 0 {
		options.WebhookTimeout = 10 * time.Second
	}
	s := &Server{
		options:  options,
		served:   make(chan struct{}),
		accounts: map[string]*account{},
		tokens:   map[string]*Token{},
		apps:     map[int64]*App{},
		repos:    map[string]*Repository{},
		byID:     map[int64]*Repository{},
		limits:   map[string]*limitWindow{},
		calls:    map[string]CallCount{},
		lastID:   1000,
	}
	if options.Dir == "" {
		dir, err := os.MkdirTemp("", "github-emulator-")
		if err != nil {
			return nil, fmt.Errorf("creating the directory of repositories: %w", err)
		}
		s.tempDir, s.options.Dir = dir, dir
	}
	absolute, err := filepath.Abs(s.options.Dir)
	if err != nil {
		return nil, fmt.Errorf("resolving %s: %w", s.options.Dir, err)
	}
	s.options.Dir = absolute
	if err := os.MkdirAll(absolute, 0o750); err != nil {
		return nil, fmt.Errorf("creating the directory of repositories: %w", err)
	}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s, nil
}

// Close stops serving and delivering, and removes the temporary directory if there
// is one. Connections that are still open are cut.
func (s *Server) Close() error {
	s.cancel()
	err := s.http.Close()
	<-s.served
	s.mu.Lock()
	hooks := s.hooks
	s.mu.Unlock()
	for _, h := range hooks {
		h.queue.close()
	}
	return errors.Join(err, s.removeTempDir())
}

func (s *Server) removeTempDir() error {
	if s.tempDir == "" {
		return nil
	}
	return os.RemoveAll(s.tempDir)
}

// URL is the address of the web and Git side, without a trailing slash. A repository
// is cloned from URL()+"/owner/name" or URL()+"/owner/name.git".
func (s *Server) URL() string { return "http://" + s.listener.Addr().String() }

// APIURL is the root of the REST API, without a trailing slash.
func (s *Server) APIURL() string { return s.URL() + apiPrefix }

// ServeHTTP sends REST calls and Git traffic their ways.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	fault := s.takeFault(r)
	if fault != nil {
		if w = fault.before(s, w, r); w == nil {
			return
		}
	}
	if r.URL.Path == apiPrefix || strings.HasPrefix(r.URL.Path, apiPrefix+"/") {
		s.serveREST(w, r)
	} else {
		s.serveGit(w, r)
	}
	if fault != nil {
		fault.after(w)
	}
}

// now is the time of the emulated world in UTC, in whole seconds.
func (s *Server) now() time.Time { return s.options.Clock().UTC().Truncate(time.Second) }

func (s *Server) wallNow() time.Time { return s.options.WallClock().UTC().Truncate(time.Second) }

func (s *Server) nextID() int64 {
	s.lastID++
	return s.lastID
}
