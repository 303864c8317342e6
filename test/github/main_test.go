package github

import (
	"flag"
	"fmt"
	"os"
	"sync"
	"testing"
)

// called collects the operations that tests have called under validation.
var called sync.Map

// TestMain asks that every operation was called by some test, hence validated against
// GitHub's description.
func TestMain(m *testing.M) {
	code := m.Run()
	filtered := flag.Lookup("test.run").Value.String() != "" || flag.Lookup("test.list").Value.String() != ""
	if code == 0 && !filtered {
		for _, r := range routes {
			if _, seen := called.Load(r.String()); !seen {
				fmt.Fprintf(os.Stderr, "no test calls %s\n", r)
				code = 1
			}
		}
	}
	os.Exit(code)
}
