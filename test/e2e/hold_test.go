//go:build e2e

package e2e

import (
	"fmt"
	"testing"

	. "github.com/onsi/gomega"

	"github.com/mainstem-dev/mainstem/api/v1alpha1"
)

func TestAHoldKeepsAnApplicationOrEverybodyOutUntilItIsDeleted(t *testing.T) {
	w, at := twoStages(t, "")
	other := w.called("other")
	other.application(pinned)
	w.runs("main", at)
	other.runs("main", at)
	holly := w.person("holly", "hold")

	hold, err := holly.holds(w.Namespace, "main", func(spec *v1alpha1.HoldSpec) { spec.Application = w.app })
	w.Expect(err).NotTo(HaveOccurred())
	second := w.writes("develop", "second")
	w.runs("develop", second)
	other.runs("main", second) // it is not held
	w.waits("main", "hold: an audit")
	w.staysAt("main", at)
	w.Expect(w.gate("main", "hold").Message).To(Equal(fmt.Sprintf(
		"held: an audit (%s); delete Hold %s/%s to resume", holly.Name, w.Namespace, hold.Name)))

	// A freeze on top, for everybody: lifting the one leaves the other.
	freeze, err := holly.holds(systemNamespace, "main")
	w.Expect(err).NotTo(HaveOccurred())
	third := w.writes("develop", "third")
	w.runs("develop", third)
	other.waits("main", "hold: an audit")
	w.Expect(holly.Client.Delete(t.Context(), hold)).To(Succeed())
	w.staysAt("main", at)
	other.staysAt("main", second)
	w.Expect(w.gate("main", "hold").Message).To(ContainSubstring("delete Hold " + systemNamespace + "/" + freeze.Name + " to resume"))

	// Nobody resumes who may not hold.
	paula := w.person("paula", "promote", "bypass")
	w.Expect(paula.Client.Delete(t.Context(), freeze)).To(MatchError(ContainSubstring("may not resume Environment " + string(w.Env("main")))))
	w.Expect(holly.Client.Delete(t.Context(), freeze)).To(Succeed())
	w.runs("main", third)
	other.runs("main", third)
}
