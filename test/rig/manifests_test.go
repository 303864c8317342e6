package rig

import (
	"testing"

	. "github.com/onsi/gomega"
)

func TestCrashingPodsAreNotMadeReady(t *testing.T) {
	g := NewWithT(t)
	changed, err := sparingCrashing([]byte(`
metadata: {name: pod-ready}
spec:
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: DoesNotExist}
`))
	g.Expect(err).NotTo(HaveOccurred())
	g.Expect(changed).To(MatchYAML(`
metadata: {name: pod-ready}
spec:
  selector:
    matchExpressions:
    - {key: .metadata.deletionTimestamp, operator: DoesNotExist}
    - {key: '.metadata.labels["mainstem.dev/rig"]', operator: NotIn, values: [crash]}
`))
	other := []byte("metadata: {name: pod-delete} # as it is\n")
	g.Expect(sparingCrashing(other)).To(Equal(other))
	_, err = sparingCrashing([]byte("metadata: {name: pod-ready}\nspec: {selector: {matchLabels: {a: b}}}\n"))
	g.Expect(err).To(MatchError(errNoExpressions))
}

func TestParseReadsDocumentsAndLists(t *testing.T) {
	g := NewWithT(t)
	objects, err := parse([]byte(`# only a comment
---
apiVersion: v1
kind: ConfigMap
metadata: {name: one}
---
apiVersion: v1
kind: List
items:
- {apiVersion: v1, kind: ConfigMap, metadata: {name: two}}
- {apiVersion: v1, kind: ConfigMap, metadata: {name: three}}
---
`))
	g.Expect(err).NotTo(HaveOccurred())
	var names []string
	for _, object := range objects {
		names = append(names, object.GetName())
	}
	g.Expect(names).To(Equal([]string{"one", "two", "three"}))
	_, err = parse([]byte("kind: [unclosed"))
	g.Expect(err).To(HaveOccurred())
}

func TestEmbeddedManifestsParse(t *testing.T) {
	g := NewWithT(t)
	for _, manifest := range [][]byte{fluxManifest, kwokManifest, crashStages} {
		objects, err := parse(manifest)
		g.Expect(err).NotTo(HaveOccurred())
		g.Expect(len(objects)).To(BeNumerically(">=", 2))
	}
}
