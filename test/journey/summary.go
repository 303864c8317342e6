package journey

import (
	"context"

	"k8s.io/apimachinery/pkg/watch"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

// summarize tells the summary of the Application's status whenever it changes, until ctx ends.
func (j *Journey) summarize(ctx context.Context) {
	var last string
	for ctx.Err() == nil {
		stream, err := j.Client.Watch(ctx, &v1alpha1.ApplicationList{}, client.InNamespace(Namespace))
		if err != nil {
			return // ctx has ended, or the API server has, which the step that is under way says
		}
		for event := range stream.ResultChan() {
			if said := summaryOf(event); said != "" && said != last {
				last = said
				j.options.Sink.tell(Summary, "%s", said)
			}
		}
	}
}

func summaryOf(event watch.Event) string {
	if app, is := event.Object.(*v1alpha1.Application); is {
		return app.Status.Summary
	}
	return ""
}
