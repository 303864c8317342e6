package journey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// declare applies config/samples as they are, but for the repository's address and the length of the soak, and gives the team
// the Secret and the webhook that its Application needs.
func (w *World) declare(ctx context.Context) error {
	objects, err := w.samples(ctx)
	if err != nil {
		return fmt.Errorf("reading config/samples: %w", err)
	}
	var platform, team [][]byte
	for _, object := range objects {
		if err := w.adapt(object); err != nil {
			return fmt.Errorf("adapting the sample %s %s: %w", object.GetKind(), object.GetName(), err)
		}
		manifest, err := object.MarshalJSON()
		if err != nil {
			return fmt.Errorf("reading config/samples: %w", err)
		}
		if object.GetKind() == "Application" {
			team = append(team, manifest)
		} else {
			platform = append(platform, manifest)
		}
	}
	if err := w.Rig.ApplyYAML(ctx, platform...); err != nil {
		return err
	}
	if err := w.Client.Create(ctx, w.secret()); err != nil {
		return fmt.Errorf("creating the Secret: %w", err)
	}
	if err := w.Rig.ApplyYAML(ctx, team...); err != nil {
		return err
	}
	w.Team.Repository.AddWebhook(w.webhooks, w.Team.app.webhookSecret)
	return nil
}

// samples builds config/samples.
func (w *World) samples(ctx context.Context) ([]*unstructured.Unstructured, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, w.Rig.Kubectl(), "kustomize", filepath.Join(w.root, "config", "samples"))
	cmd.Stderr = &stderr
	built, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("building them: %w: %s", err, bytes.TrimSpace(stderr.Bytes()))
	}
	var objects []*unstructured.Unstructured
	const buffer = 4096 // of the first bytes, by which JSON is told from YAML
	for decoder := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(built), buffer); ; {
		object := &unstructured.Unstructured{}
		switch err := decoder.Decode(object); {
		case errors.Is(err, io.EOF):
			return objects, nil
		case err != nil:
			return nil, err
		}
		objects = append(objects, object)
	}
}

// adapt changes what cannot be the same here as on the reader's cluster.
func (w *World) adapt(object *unstructured.Unstructured) error {
	switch object.GetKind() {
	case "Application":
		return unstructured.SetNestedField(object.Object, w.GitHub.URL()+"/"+RepositoryName, "spec", "repository", "url")
	case "Environment":
		gates, _, err := unstructured.NestedSlice(object.Object, "spec", "gates")
		if err != nil || len(gates) == 0 {
			return err
		}
		for _, gate := range gates {
			if fields, ok := gate.(map[string]any); ok && fields["soak"] != nil {
				fields["soak"] = map[string]any{"duration": w.options.Soak.Round(time.Second).String()}
			}
		}
		return unstructured.SetNestedSlice(object.Object, gates, "spec", "gates")
	}
	return nil
}

// secret is the team's credential, which Flux and Mainstem share.
func (w *World) secret() *corev1.Secret {
	return &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: "github-app"},
		StringData: map[string]string{
			"githubAppID":             strconv.Itoa(appID),
			"githubAppInstallationID": strconv.Itoa(installationID),
			"githubAppPrivateKey":     w.Team.app.key,
			"githubAppBaseURL":        w.GitHub.APIURL(),
			"webhookSecret":           w.Team.app.webhookSecret,
		},
	}
}
