package journey

import (
	"context"
	"fmt"
	"io"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// reportTimeout bounds the reading of what a report is about.
const reportTimeout = 10 * time.Second

// Report writes what a person needs to find out why a journey failed: what the Application and its Promotions say, and the
// end of every log.
func (w *World) Report(ctx context.Context, out io.Writer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), reportTimeout)
	defer cancel()
	say := func(format string, args ...any) { _, _ = fmt.Fprintf(out, format+"\n", args...) }
	app, err := w.Application(ctx)
	if err != nil {
		say("%v", err)
	} else {
		say("==> status of Application %s/%s <==\n%s", Namespace, ApplicationName, asYAML(app.Status))
	}
	var promotions v1alpha1.PromotionList
	if err := w.Client.List(ctx, &promotions, client.InNamespace(Namespace)); err != nil {
		say("listing Promotions: %v", err)
	}
	for i := range promotions.Items {
		p := &promotions.Items[i]
		say("==> Promotion %s: %s into %s <==\n%s", p.Name, p.Spec.Release, p.Spec.Environment, asYAML(p.Status))
	}
	for _, delivery := range w.GitHub.Deliveries() {
		if delivery.Status/100 != 2 {
			say("webhook %s %s was answered %d %s", delivery.Event, delivery.Action, delivery.Status, delivery.Err)
		}
	}
	w.Rig.Tail(out)
}

func asYAML(value any) string {
	text, err := yaml.Marshal(value)
	if err != nil {
		return err.Error()
	}
	return string(text)
}
