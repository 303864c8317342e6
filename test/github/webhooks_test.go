package github

import (
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	api "github.com/google/go-github/v92/github"
)

const hookSecret = "It's a secret"

// receiver collects the webhooks that it gets.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	events []received
}

type received struct {
	name, guid string
	payload    map[string]any
	typed      any
	err        error
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		got := received{name: api.WebHookType(request), guid: api.DeliveryID(request)}
		body, err := api.ValidatePayload(request, []byte(hookSecret))
		if err == nil {
			got.typed, err = api.ParseWebHook(got.name, body)
			_ = json.Unmarshal(body, &got.payload) // ParseWebHook has judged it
		}
		if !strings.HasPrefix(request.UserAgent(), "GitHub-Hookshot/") {
			http.Error(w, "who is this?", http.StatusForbidden)
			return
		}
		got.err = err
		r.mu.Lock()
		r.events = append(r.events, got)
		r.mu.Unlock()
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) all() []received {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.events)
}

// names lists the events that came, with their actions.
func (r *receiver) names() []string {
	var names []string
	for _, e := range r.all() {
		text := e.name
		if action, has := e.payload["action"].(string); has {
			text += "." + action
		}
		names = append(names, text)
	}
	return names
}

func (w *world) settled() {
	w.t.Helper()
	eventually(w.t, "webhooks are delivered", w.WebhooksIdle)
}

func TestWebhooksTellWhatHappens(t *testing.T) {
	w := newWorld(t, Options{})
	r := newReceiver(t)
	w.repo.AddWebhook(r.URL, hookSecret)
	noError(t, w.AddApp(App{ID: appID, InstallationID: installationID, Owner: owner, PrivateKeyPEM: Must(GenerateAppKey()), WebhookURL: r.URL + "/app", WebhookSecret: hookSecret, Events: []string{"push"}}))
	head := w.branch("develop")
	number := w.open("develop")
	w.branch("develop")
	noError(t, w.repo.SetCheckRun(head, CheckRun{Name: "build", Conclusion: "success"}))
	noError(t, w.repo.SetStatus(head, "mainstem/main", "success", "gates passed"))
	Must(w.repo.MergePullRequest(number, MergeCommit, "carol"))
	Must(w.repo.PublishRelease(ReleaseSpec{Tag: "v1.0.0", Name: "First"}))
	noError(t, w.repo.DeleteBranch("develop"))
	w.settled()

	names := r.names()
	for _, want := range []string{
		"ping", "push", "create", "delete", "pull_request.opened", "pull_request.synchronize", "pull_request.closed", "check_suite.requested",
		"check_run.created", "check_run.completed", "check_suite.completed", "status", "release.created", "release.published", "release.released",
	} {
		if !slices.Contains(names, want) {
			t.Errorf("no %s among %v", want, names)
		}
	}
	byApp := 0
	for _, e := range r.all() {
		noError(t, e.err)
		if e.payload["installation"] != nil {
			byApp++
			equal(t, "the App's event", e.name, "push")
		}
		if closed, is := e.typed.(*api.PullRequestEvent); is && closed.GetAction() == "closed" {
			equal(t, "merged", closed.GetPullRequest().GetMerged(), true)
			equal(t, "sender", closed.GetSender().GetLogin(), "carol")
		}
	}
	equal(t, "pushes to the App: branch twice, main, tag, deletion", byApp, 5)
	for _, d := range w.Deliveries() {
		equal(t, "answer to "+d.Event, d.Status, http.StatusAccepted)
	}
	compareWithSamples(t, r.all())
}

// compareWithSamples asks that every key that all of GitHub's own samples of an event
// and action share is in ours, two levels deep.
func compareWithSamples(t *testing.T, events []received) {
	t.Helper()
	samples := readSamples(t)
	compared := map[string]bool{}
	for _, e := range events {
		action, _ := e.payload["action"].(string)
		var alike []map[string]any
		for _, sample := range samples[e.name] {
			if other, _ := sample["action"].(string); other == action {
				alike = append(alike, sample)
			}
		}
		if len(alike) == 0 {
			continue
		}
		compared[e.name] = true
		for key := range sharedKeys(alike) {
			// Samples that an App recorded name the installation; a repository's hook has none.
			if _, has := e.payload[key]; !has && key != "installation" {
				t.Errorf("%s.%s has no %q", e.name, action, key)
			}
			inner := innerObjects(alike, key)
			ours, isObject := e.payload[key].(map[string]any)
			if !isObject {
				continue
			}
			for innerKey := range sharedKeys(inner) {
				if _, has := ours[innerKey]; !has {
					t.Errorf("%s.%s has no %q in %q", e.name, action, innerKey, key)
				}
			}
		}
	}
	for _, name := range []string{"push", "create", "delete", "ping", "status", "check_run", "check_suite", "release", "pull_request"} {
		equal(t, name+" was compared", compared[name], true)
	}
}

func readSamples(t *testing.T) map[string][]map[string]any {
	t.Helper()
	file, err := os.Open("testdata/webhooks.json.gz")
	noError(t, err)
	defer func() { _ = file.Close() }()
	unzipped, err := gzip.NewReader(file)
	noError(t, err)
	var list []struct {
		Name     string           `json:"name"`
		Examples []map[string]any `json:"examples"`
	}
	noError(t, json.NewDecoder(unzipped).Decode(&list))
	samples := map[string][]map[string]any{}
	for _, entry := range list {
		samples[entry.Name] = entry.Examples
	}
	return samples
}

func sharedKeys(objects []map[string]any) map[string]bool {
	shared := map[string]bool{}
	for i, o := range objects {
		if i == 0 {
			for key := range o {
				shared[key] = true
			}
			continue
		}
		for key := range shared {
			if _, has := o[key]; !has {
				delete(shared, key)
			}
		}
	}
	return shared
}

func innerObjects(objects []map[string]any, key string) []map[string]any {
	var inner []map[string]any
	for _, o := range objects {
		if one, is := o[key].(map[string]any); is {
			inner = append(inner, one)
		}
	}
	return inner
}

func TestWebhooksOverREST(t *testing.T) {
	w := newWorld(t, Options{})
	r := newReceiver(t)
	hook := &api.Hook{
		Name: new("web"), Events: []string{"push"}, Active: new(true),
		Config: &api.HookConfig{URL: new(r.URL), Secret: new(hookSecret), ContentType: new("json")},
	}
	made, _, err := w.client.Repositories.CreateHook(t.Context(), owner, name, hook)
	noError(t, err)
	equal(t, "secret is not shown", made.GetConfig().GetSecret(), "********")
	_, _, err = w.client.Repositories.CreateHook(t.Context(), owner, name, hook)
	refused(t, err, 422, "Hook already exists on this repository")
	w.branch("develop")
	w.settled()
	equal(t, "events", strings.Join(r.names(), " "), "ping push")
	list, _, err := w.client.Repositories.ListHooks(t.Context(), owner, name, nil)
	noError(t, err)
	equal(t, "hooks", len(list), 1)
	deliveries, _, err := w.client.Repositories.ListHookDeliveries(t.Context(), owner, name, made.GetID(), nil)
	noError(t, err)
	equal(t, "deliveries", len(deliveries), 2)
	equal(t, "newest first", deliveries[0].GetEvent(), "push")
}

func TestWebhooksAreLostDoubledAndReordered(t *testing.T) {
	w := newWorld(t, Options{})
	r := newReceiver(t)
	w.repo.AddWebhook(r.URL, hookSecret, "status")
	w.settled()
	status := func(context string) { noError(t, w.repo.SetStatus(w.first, context, "success", "")) }
	w.Inject(Fault{Kind: DropWebhook, Event: "status", Times: 1})
	status("lost")
	w.Inject(Fault{Kind: DuplicateWebhook, Times: 1})
	status("2")
	w.Inject(Fault{Kind: ReorderWebhook, Times: 1})
	status("late")
	status("early")
	w.settled()
	var contexts []string
	guids := map[string]int{}
	for _, e := range r.all()[1:] {
		contexts = append(contexts, fmt.Sprint(e.payload["context"]))
		guids[e.guid]++
	}
	equal(t, "order", strings.Join(contexts, " "), "2 2 early late")
	equal(t, "duplicates share their GUID", len(guids), 3)
	dropped := slices.IndexFunc(w.Deliveries(), func(d Delivery) bool { return d.Dropped })
	equal(t, "the loss is logged", dropped >= 0, true)

	w.Inject(Fault{Kind: ReorderWebhook})
	status("held")
	w.settled()
	equal(t, "held back", len(r.all()), 5)
	w.ClearFaults()
	eventually(t, "released", func() bool { return len(r.all()) == 6 })
}

func TestDeliveryTimesOutAndIsNotRepeated(t *testing.T) {
	w := newWorld(t, Options{WebhookTimeout: 50 * time.Millisecond})
	release := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-release
	}))
	t.Cleanup(slow.Close)
	t.Cleanup(func() { close(release) })
	w.repo.AddWebhook(slow.URL, hookSecret, "push")
	w.settled()
	log := w.Deliveries()
	equal(t, "attempts", len(log), 1)
	equal(t, "no answer", log[0].Status, 0)
	equal(t, "says why", strings.Contains(log[0].Err, "delivering ping"), true)
}
