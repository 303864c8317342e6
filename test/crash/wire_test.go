//go:build e2e

package crash_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"sync"
	"time"

	"k8s.io/client-go/util/cert"
)

// maxBody bounds what is kept of a request or an answer.
const maxBody = 8 << 20

// headerTimeout bounds the reading of a request's headers.
const headerTimeout = 10 * time.Second

// killer decides at every write whether the operator dies of it, and kills it: before the write is carried out, or after that and
// before the operator learns of it.
type killer interface {
	// before says whether the write goes on.
	before(*write) bool
	// after says whether the operator gets the answer.
	after(*write) bool
}

// wire is what the operator speaks to a server through: it notes every write, and is where the operator dies of one. It passes
// everything on unchanged.
type wire struct {
	server    server
	target    *url.URL
	transport http.RoundTripper
	address   string
	// certificate is the wire's own; without one it speaks plain HTTP.
	certificate *tls.Certificate
	// generation is that of the process that speaks now: what one that is dead has sent does not count any more.
	generation func() int64

	mu     sync.Mutex
	http   *http.Server
	killer killer
	writes []*write
}

// newWire makes a wire to a server, and opens it.
func newWire(ctx context.Context, to server, target *url.URL, transport http.RoundTripper) (*wire, error) {
	w := &wire{server: to, target: target, transport: transport, address: "127.0.0.1:0", generation: func() int64 { return 0 }}
	err := w.open(ctx)
	return w, err
}

// newTLSWire makes a wire that speaks TLS, and gives the certificate to trust, in PEM.
func newTLSWire(ctx context.Context, to server, target *url.URL, transport http.RoundTripper) (*wire, []byte, error) {
	authority, key, err := cert.GenerateSelfSignedCertKey("127.0.0.1", []net.IP{net.IPv4(127, 0, 0, 1)}, nil)
	if err != nil {
		return nil, nil, fmt.Errorf("making a certificate: %w", err)
	}
	pair, err := tls.X509KeyPair(authority, key)
	if err != nil {
		return nil, nil, fmt.Errorf("reading the certificate: %w", err)
	}
	w := &wire{server: to, target: target, transport: transport, address: "127.0.0.1:0", certificate: &pair, generation: func() int64 { return 0 }}
	err = w.open(ctx)
	return w, authority, err
}

// open listens, at the same address as before.
func (w *wire) open(ctx context.Context) error {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", w.address)
	if err != nil {
		return fmt.Errorf("opening the wire to %s: %w", w.server, err)
	}
	server := &http.Server{Handler: w, ReadHeaderTimeout: headerTimeout, ErrorLog: log.New(io.Discard, "", 0)}
	w.mu.Lock()
	w.address, w.http = listener.Addr().String(), server
	w.mu.Unlock()
	go func() {
		// Both end with ErrServerClosed, by cut.
		if w.certificate == nil {
			_ = server.Serve(listener)
			return
		}
		server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{*w.certificate}, MinVersion: tls.VersionTLS12}
		_ = server.ServeTLS(listener, "", "")
	}()
	return nil
}

// cut ends all connections and refuses new ones, until open.
func (w *wire) cut() error {
	w.mu.Lock()
	server := w.http
	w.mu.Unlock()
	return server.Close()
}

// ServeHTTP passes a request on.
func (w *wire) ServeHTTP(to http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet {
		w.pass(to, r)
		return
	}
	w.mu.Lock()
	speaker := w.generation
	w.mu.Unlock()
	generation := speaker()
	body, err := io.ReadAll(http.MaxBytesReader(to, r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler) // whoever sent it has gone
	}
	sent := newWrite(w.server, r, body)
	sent.generation = generation
	if sent.kind == "" { // nothing that anybody decides on
		r.Body = io.NopCloser(bytes.NewReader(body))
		w.pass(to, r)
		return
	}
	killer := w.whoKills()
	if killer != nil && !killer.before(sent) {
		panic(http.ErrAbortHandler)
	}
	header, content := w.carryOut(r, sent)
	if killer != nil && !killer.after(sent) {
		panic(http.ErrAbortHandler)
	}
	for key, values := range header {
		to.Header()[key] = values
	}
	to.WriteHeader(sent.status)
	_, _ = to.Write(content) // the client may have gone
}

// pass streams a request and its answer through.
func (w *wire) pass(to http.ResponseWriter, r *http.Request) {
	proxy := &httputil.ReverseProxy{
		Transport:     w.transport,
		FlushInterval: -1, // watches
		ErrorLog:      log.New(io.Discard, "", 0),
		Rewrite:       func(r *httputil.ProxyRequest) { w.direct(r.Out) },
		ErrorHandler:  func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}
	proxy.ServeHTTP(to, r)
}

func (w *wire) direct(r *http.Request) {
	r.URL.Scheme, r.URL.Host, r.Host = w.target.Scheme, w.target.Host, w.target.Host
}

// carryOut sends a write on to the end, whatever becomes of its sender, and notes it with the answer's status. It gives the rest of
// the answer.
func (w *wire) carryOut(r *http.Request, sent *write) (header http.Header, content []byte) {
	out := r.Clone(context.WithoutCancel(r.Context()))
	w.direct(out)
	out.RequestURI = ""
	out.Body, out.ContentLength = io.NopCloser(bytes.NewReader(sent.body)), int64(len(sent.body))
	answer, err := w.transport.RoundTrip(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	content, err = io.ReadAll(io.LimitReader(answer.Body, maxBody))
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		panic(http.ErrAbortHandler)
	}
	sent.status, sent.at = answer.StatusCode, time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writes = append(w.writes, sent)
	return answer.Header, content
}

// speaks says whose generation counts from now on.
func (w *wire) speaks(generation func() int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.generation = generation
}

// whoKills gives the killer of this wire, or nil.
func (w *wire) whoKills() killer {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.killer
}

// hand gives the operator into a killer's hands; nil lets it live.
func (w *wire) hand(to killer) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.killer = to
}

// carriedOut are the writes that reached the server, in their order.
func (w *wire) carriedOut() []*write {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.writes)
}
