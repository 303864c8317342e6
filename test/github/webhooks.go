package github

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// hook is where events of a repository or of an App's installation go.
type hook struct {
	id      int64
	repo    *Repository
	app     *App
	url     string
	secret  string
	events  []string
	created time.Time
	queue   *deliveryQueue
	// held is a delivery that a reordering fault keeps back for the next one.
	held *outgoing
}

// Delivery is one attempt to deliver an event.
type Delivery struct {
	ID         int64
	GUID       string
	Event      string
	Action     string
	Repository string
	URL        string
	Payload    []byte
	// Status is the receiver's answer; zero when there was none, see Err.
	Status   int
	Err      string
	At       time.Time
	Duration time.Duration
	// Dropped says that a fault lost it on the way.
	Dropped bool

	hook *hook
}

// outgoing is a delivery that waits for its turn.
type outgoing struct {
	delivery Delivery
	body     []byte
}

type deliveryLog struct {
	mu      sync.Mutex
	entries []Delivery
}

func (l *deliveryLog) add(d Delivery) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, d)
}

// Deliveries lists the webhook deliveries that have ended, oldest first.
func (s *Server) Deliveries() []Delivery {
	s.log.mu.Lock()
	defer s.log.mu.Unlock()
	return slices.Clone(s.log.entries)
}

// AddWebhook registers a webhook as the settings page does; GitHub answers with a
// ping. No events mean all of them.
func (r *Repository) AddWebhook(target, secret string, events ...string) {
	defer r.lock()()
	r.addWebhook(&hook{repo: r, url: target, secret: secret, events: events}, actor{account: r.owner, source: SourceTest})
}

func (r *Repository) addWebhook(h *hook, by actor) {
	r.server.addHook(h)
	r.server.record(Effect{Kind: HookCreated, Repository: r.fullName(), Detail: h.url}, by)
	e := event{name: "ping", repo: r, by: by, payload: object{
		"zen": "Keep it logically awesome.", "hook_id": h.id, "hook": r.renderHook(h),
	}}
	r.server.send(h, e)
}

func (s *Server) addHook(h *hook) {
	h.id, h.created = s.nextID(), s.now()
	if len(h.events) == 0 {
		h.events = []string{"*"}
	}
	h.queue = newDeliveryQueue(s)
	s.hooks = append(s.hooks, h)
}

// event is something that happened in a repository, as told to webhooks.
type event struct {
	name    string
	repo    *Repository
	by      actor
	payload object
}

// wants says whether an event of a repository goes to this webhook.
func (h *hook) wants(repo *Repository, name string) bool {
	listed := slices.Contains(h.events, "*") || slices.Contains(h.events, name)
	return listed && (h.repo == repo || h.app != nil && h.app.installedOn(repo))
}

// heard says whether any webhook wants one of the events: payloads that nobody gets
// need not be built.
func (r *Repository) heard(names ...string) bool {
	return slices.ContainsFunc(r.server.hooks, func(h *hook) bool {
		return slices.ContainsFunc(names, func(name string) bool { return h.wants(r, name) })
	})
}

// emit tells every webhook that wants the event.
func (s *Server) emit(e event) {
	for _, h := range s.hooks {
		if h.wants(e.repo, e.name) {
			s.send(h, e)
		}
	}
}

// send queues one event for one webhook, as the faults on deliveries will have it.
func (s *Server) send(h *hook, e event) {
	payload := object{"repository": s.renderRepository(e.repo), "sender": s.renderAccount(e.by.account)}
	if e.by.account == nil {
		payload["sender"] = s.renderAccount(e.repo.owner)
	}
	if e.repo.owner.kind == TypeOrganization {
		payload["organization"] = s.renderOrganization(e.repo.owner)
	}
	if h.app != nil {
		payload["installation"] = object{"id": h.app.InstallationID, "node_id": nodeID("Installation", h.app.InstallationID)}
	}
	for key, value := range e.payload {
		payload[key] = value
	}
	body, err := marshal(payload)
	if err != nil {
		s.log.add(Delivery{Event: e.name, URL: h.url, Err: err.Error(), hook: h})
		return
	}
	action, _ := payload["action"].(string)
	id := s.nextID()
	guid := randomHex(16)
	guid = fmt.Sprintf("%s-%s-%s-%s-%s", guid[:8], guid[8:12], guid[12:16], guid[16:20], guid[20:])
	out := &outgoing{body: body, delivery: Delivery{
		ID: id, GUID: guid, Event: e.name, Action: action, Repository: e.repo.fullName(), URL: h.url, Payload: body, hook: h,
	}}
	switch s.takeWebhookFault(e.name) { //nolint:exhaustive // the others are faults of requests
	case DropWebhook:
		out.delivery.Dropped, out.delivery.At = true, s.now()
		s.log.add(out.delivery)
		return
	case DuplicateWebhook:
		h.queue.put(out)
		h.queue.put(out)
	case ReorderWebhook:
		if h.held == nil {
			h.held = out
			return
		}
		h.queue.put(out)
	default:
		h.queue.put(out)
	}
	h.release()
}

// release sends what a reordering fault held back.
func (h *hook) release() {
	if h.held != nil {
		h.queue.put(h.held)
		h.held = nil
	}
}

// deliveryQueue delivers to one receiver, one at a time and in order, so that only
// faults reorder.
type deliveryQueue struct {
	server *Server
	mu     sync.Mutex
	wake   chan struct{}
	ctx    context.Context
	cancel context.CancelFunc
	done   chan struct{}
	items  []*outgoing
	busy   bool
	client *http.Client
}

func newDeliveryQueue(s *Server) *deliveryQueue {
	q := &deliveryQueue{server: s, wake: make(chan struct{}, 1), done: make(chan struct{})}
	q.client = &http.Client{
		Timeout:       s.options.WebhookTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	q.ctx, q.cancel = context.WithCancel(s.ctx)
	go q.run()
	return q
}

func (q *deliveryQueue) put(out *outgoing) {
	q.mu.Lock()
	q.items = append(q.items, out)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

func (q *deliveryQueue) close() {
	q.cancel()
	<-q.done
	q.client.CloseIdleConnections()
}

func (q *deliveryQueue) idle() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.items) == 0 && !q.busy
}

func (q *deliveryQueue) next() *outgoing {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.busy = len(q.items) > 0
	if !q.busy {
		return nil
	}
	out := q.items[0]
	q.items = q.items[1:]
	return out
}

func (q *deliveryQueue) run() {
	defer close(q.done)
	for {
		for out := q.next(); out != nil && q.ctx.Err() == nil; out = q.next() {
			q.deliver(out)
		}
		select {
		case <-q.ctx.Done():
			return
		case <-q.wake:
		}
	}
}

func (q *deliveryQueue) deliver(out *outgoing) {
	d := out.delivery
	d.At = q.server.now()
	started := time.Now()
	status, err := q.post(out)
	d.Status, d.Duration = status, time.Since(started)
	if err != nil {
		d.Err = err.Error()
	}
	q.server.log.add(d)
}

func (q *deliveryQueue) post(out *outgoing) (int, error) {
	h, d := out.delivery.hook, out.delivery
	request, err := http.NewRequestWithContext(q.ctx, http.MethodPost, h.url, bytes.NewReader(out.body))
	if err != nil {
		return 0, fmt.Errorf("building the delivery: %w", err)
	}
	target := "repository"
	targetID := int64(0)
	if h.app != nil {
		target, targetID = "integration", h.app.ID
	} else {
		targetID = h.repo.id
	}
	headers := map[string]string{
		"Content-Type": "application/json", "User-Agent": "GitHub-Hookshot/" + out.delivery.GUID[:7], "Accept": "*/*",
		"X-GitHub-Event": d.Event, "X-GitHub-Delivery": d.GUID, "X-GitHub-Hook-ID": fmt.Sprint(h.id),
		"X-GitHub-Hook-Installation-Target-Type": target, "X-GitHub-Hook-Installation-Target-ID": fmt.Sprint(targetID),
	}
	for key, value := range headers {
		request.Header.Set(key, value)
	}
	if h.secret != "" {
		request.Header.Set("X-Hub-Signature-256", Sign(h.secret, out.body))
	}
	response, err := q.client.Do(request)
	if err != nil {
		return 0, fmt.Errorf("delivering %s: %w", d.Event, err)
	}
	defer func() { _ = response.Body.Close() }()
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxBody)) // only the status counts
	return response.StatusCode, nil
}

// Sign returns the X-Hub-Signature-256 of a body: "sha256=" and the HMAC in hex.
func Sign(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + hex.EncodeToString(mac.Sum(nil))
}

// WebhooksIdle says whether every delivery has ended: what a test waits for.
func (s *Server) WebhooksIdle() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.hooks {
		if !h.queue.idle() {
			return false
		}
	}
	return true
}

func (r *Repository) renderHook(h *hook) object {
	api := fmt.Sprintf("%s/repos/%s/hooks/%d", r.server.APIURL(), r.fullName(), h.id)
	config := object{"content_type": "json", "insecure_ssl": "0", "url": h.url}
	if h.secret != "" {
		config["secret"] = "********"
	}
	return object{
		"type": "Repository", "id": h.id, "name": "web", "active": true, "events": h.events, "config": config,
		"updated_at": stamp(h.created), "created_at": stamp(h.created), "url": api, "test_url": api + "/test", "ping_url": api + "/pings",
		"deliveries_url": api + "/deliveries", "last_response": object{"code": nil, "status": "unused", "message": nil},
	}
}

func listHooks(c *call) (reply, error) {
	var mine []*hook
	for _, h := range c.hooks {
		if h.repo == c.repo {
			mine = append(mine, h)
		}
	}
	return listed(c, mine, c.repo.renderHook)
}

func createHook(c *call) (reply, error) {
	asked, err := decode[struct {
		Config struct {
			URL    string `json:"url"`
			Secret string `json:"secret"`
		} `json:"config"`
		Events []string `json:"events"`
	}](c)
	if err != nil {
		return reply{}, err
	}
	if parsed, err := url.Parse(asked.Config.URL); err != nil || parsed.Host == "" {
		return reply{}, invalid(FieldError{Resource: "Hook", Code: "custom", Message: "url is missing or not valid"})
	}
	if len(asked.Events) == 0 {
		asked.Events = []string{"push"}
	}
	for _, h := range c.hooks {
		if h.repo == c.repo && h.url == asked.Config.URL {
			return reply{}, invalidCustom("Hook", "Hook already exists on this repository")
		}
	}
	h := &hook{repo: c.repo, url: asked.Config.URL, secret: asked.Config.Secret, events: asked.Events}
	c.repo.addWebhook(h, c.who.actor())
	return created(c.repo.renderHook(h))
}

func listHookDeliveries(c *call) (reply, error) {
	id, err := c.number("hook_id")
	if err != nil {
		return reply{}, err
	}
	var mine []Delivery
	for _, d := range slices.Backward(c.Deliveries()) {
		if d.hook.id == id && d.hook.repo == c.repo && !d.Dropped {
			mine = append(mine, d)
		}
	}
	return listed(c, mine, func(d Delivery) object {
		text := "OK"
		if d.Status < http.StatusOK || d.Status >= http.StatusMultipleChoices {
			text = orElse(http.StatusText(d.Status), "failed to connect to host")
		}
		return object{
			"id": d.ID, "guid": d.GUID, "delivered_at": stamp(d.At), "redelivery": false, "duration": d.Duration.Seconds(), "status": text,
			"status_code": d.Status, "event": d.Event, "action": textOrNull(d.Action), "installation_id": nil, "repository_id": c.repo.id,
			"throttled_at": nil,
		}
	})
}
