package github

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"time"
)

// FaultKind is a way in which GitHub or the way to it fails.
type FaultKind string

// The faults of requests. Unless they say otherwise the request has no effect.
const (
	// Status5xx answers 502, or Fault.Status, with GitHub's page for it.
	Status5xx FaultKind = "Status5xx"
	// Slow waits Fault.Delay, or for Fault.Until where that is set, and then goes on; or until the client gives up.
	Slow FaultKind = "Slow"
	// CutConnection has the effect, and cuts the connection in the middle of the answer.
	CutConnection FaultKind = "CutConnection"
	// BeforeEffectCut cuts the connection before anything happens. Clients of net/http
	// repeat a GET by themselves when that hits a connection used before.
	BeforeEffectCut FaultKind = "BeforeEffectCut"
	// AfterEffectCut has the effect, and cuts the connection before the answer.
	AfterEffectCut FaultKind = "AfterEffectCut"
	// MalformedJSON has the effect, and answers with JSON that ends too early.
	MalformedJSON FaultKind = "MalformedJSON"
	// HTML answers 200 with a web page, as proxies do.
	HTML FaultKind = "HTML"
	// PrimaryLimit answers 403, or Fault.Status, with no requests remaining until Fault.Delay from now (zero: an hour).
	PrimaryLimit FaultKind = "PrimaryLimit"
	// SecondaryLimit answers 403, or Fault.Status, with Retry-After Fault.Delay (zero: a minute), which Unsaid leaves out.
	SecondaryLimit FaultKind = "SecondaryLimit"
	// Unauthorized answers 401 Bad credentials.
	Unauthorized FaultKind = "Unauthorized"
)

// Unsaid is the Delay of a SecondaryLimit that does not say how long it lasts.
const Unsaid time.Duration = -1

// The faults of webhook deliveries, which Fault.Event can limit to one kind of event.
const (
	// DropWebhook loses the delivery.
	DropWebhook FaultKind = "DropWebhook"
	// DuplicateWebhook delivers twice with the same delivery GUID.
	DuplicateWebhook FaultKind = "DuplicateWebhook"
	// ReorderWebhook keeps a delivery back until the next one to the same receiver has
	// gone, or ClearFaults is called.
	ReorderWebhook FaultKind = "ReorderWebhook"
)

func (k FaultKind) ofWebhooks() bool {
	return k == DropWebhook || k == DuplicateWebhook || k == ReorderWebhook
}

// Fault is something that goes wrong. All of Match, Method and PathPrefix that are set
// must agree with a request.
type Fault struct {
	Kind FaultKind
	// Match must not ask the Server or its repositories anything: they wait for it.
	Match func(*http.Request) bool
	// Method and PathPrefix compare with the request; the path of a REST call is taken
	// without /api/v3, that of Git traffic as it is.
	Method     string
	PathPrefix string
	// Event limits a webhook's fault to one event.
	Event string
	// Times is how often it strikes; zero means until ClearFaults.
	Times int
	// Delay is what the Kind says.
	Delay time.Duration
	// Until, when set, is what Slow waits for instead of Delay: that it is closed, say when something else has happened.
	Until <-chan struct{}
	// Status replaces the status that the Kind answers with.
	Status int
}

type activeFault struct {
	Fault
	struck int
}

// Inject lets a fault strike from now on; the first that fits a request wins.
func (s *Server) Inject(fault Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, &activeFault{Fault: fault})
}

// ClearFaults ends all faults and delivers what reordering held back.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
	for _, h := range s.hooks {
		h.release()
	}
}

// Struck returns how often faults of a kind have struck since ClearFaults.
func (s *Server) Struck(kind FaultKind) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	count := 0
	for _, f := range s.faults {
		if f.Kind == kind {
			count += f.struck
		}
	}
	return count
}

func (f *activeFault) spent() bool { return f.Times > 0 && f.struck >= f.Times }

func (f *activeFault) fits(r *http.Request) bool {
	path := strings.TrimPrefix(r.URL.Path, apiPrefix)
	return (f.Match == nil || f.Match(r)) && (f.Method == "" || f.Method == r.Method) && strings.HasPrefix(path, f.PathPrefix)
}

func (s *Server) takeFault(r *http.Request) *activeFault {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.faults, func(f *activeFault) bool { return !f.Kind.ofWebhooks() && !f.spent() && f.fits(r) })
	if i < 0 {
		return nil
	}
	s.faults[i].struck++
	return s.faults[i]
}

// takeWebhookFault returns the kind of fault for a delivery, or "". The mutex is held.
func (s *Server) takeWebhookFault(name string) FaultKind {
	for _, f := range s.faults {
		if f.Kind.ofWebhooks() && !f.spent() && (f.Event == "" || f.Event == name) {
			f.struck++
			return f.Kind
		}
	}
	return ""
}

// before strikes ahead of the request's effect. It returns where the request goes on
// to write, or nil when it has been answered.
func (f *activeFault) before(s *Server, w http.ResponseWriter, r *http.Request) http.ResponseWriter {
	switch f.Kind {
	case BeforeEffectCut:
		panic(http.ErrAbortHandler)
	case AfterEffectCut, CutConnection, MalformedJSON:
		return &captured{ResponseRecorder: httptest.NewRecorder(), real: w}
	case Slow:
		f.wait(r)
		return w
	case Status5xx, HTML:
		f.page(w)
	case PrimaryLimit, SecondaryLimit, Unauthorized:
		f.refuse(s, w, r)
	case DropWebhook, DuplicateWebhook, ReorderWebhook:
		return w
	}
	return nil
}

// wait is over when the fault is, or aborts when the client has given up.
func (f *activeFault) wait(r *http.Request) {
	var over <-chan time.Time
	if f.Until == nil {
		timer := time.NewTimer(f.Delay)
		defer timer.Stop()
		over = timer.C
	}
	select {
	case <-over:
	case <-f.Until:
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	}
}

func (f *activeFault) page(w http.ResponseWriter) {
	status, text := http.StatusOK, "<!DOCTYPE html>\n<html><body>Please sign in to continue.</body></html>\n"
	if f.Kind == Status5xx {
		status = http.StatusBadGateway
		text = "<html>\n<head><title>502 Bad Gateway</title></head>\n<body>Unicorn!</body></html>\n"
	}
	if f.Status != 0 {
		status = f.Status
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text)) // the client may have gone
}

func (f *activeFault) refuse(s *Server, w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	who, _ := s.principalOf(credential(r))
	s.mu.Unlock()
	header := http.Header{"Content-Type": {"application/json; charset=utf-8"}}
	refusal := refuse(http.StatusUnauthorized, "Bad credentials")
	switch f.Kind { //nolint:exhaustive // before sends only three kinds here
	case PrimaryLimit:
		lasts := f.Delay
		if lasts == 0 {
			lasts = time.Hour
		}
		refusal = limitExceeded(who)
		header.Set("X-Ratelimit-Limit", "5000")
		header.Set("X-Ratelimit-Remaining", "0")
		header.Set("X-Ratelimit-Used", "5000")
		header.Set("X-Ratelimit-Reset", strconv.FormatInt(s.wallNow().Add(lasts).Unix(), 10))
		header.Set("X-Ratelimit-Resource", "core")
	case SecondaryLimit:
		lasts := f.Delay
		if lasts == 0 {
			lasts = time.Minute
		}
		refusal = refuse(http.StatusForbidden, "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.")
		refusal.Docs = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits"
		if lasts != Unsaid {
			header.Set("Retry-After", strconv.Itoa(int(lasts.Seconds())))
		}
	default:
	}
	if f.Status != 0 {
		refusal.Status = f.Status
	}
	body, _ := marshal(refusal.body()) // strings only
	s.write(w, r, rendered{status: refusal.Status, header: header, body: body})
}

// captured keeps an answer back so that a fault can spoil it.
type captured struct {
	*httptest.ResponseRecorder
	real http.ResponseWriter
}

// after strikes once the request has had its effect.
func (f *activeFault) after(w http.ResponseWriter) {
	kept, isCaptured := w.(*captured)
	if !isCaptured {
		return
	}
	if f.Kind == AfterEffectCut {
		panic(http.ErrAbortHandler)
	}
	body := kept.Body.Bytes()
	half := body[:len(body)/2]
	for key, values := range kept.Header() {
		kept.real.Header()[key] = values
	}
	if f.Kind == MalformedJSON {
		kept.real.Header().Set("Content-Length", strconv.Itoa(len(half)))
	}
	kept.real.WriteHeader(kept.Code)
	_, _ = bytes.NewReader(half).WriteTo(kept.real) // the client may have gone
	if f.Kind == CutConnection {
		_ = http.NewResponseController(kept.real).Flush()
		panic(http.ErrAbortHandler)
	}
}
