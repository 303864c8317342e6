// SPDX-License-Identifier: Apache-2.0
// Copyright The Mainstem Authors

// Package apply writes the objects that Mainstem generates: by server-side apply under one field owner, after a
// comparison with the cache, so that an object that is as it should be costs no request at all. It never takes over an
// object that this installation did not make, and it takes its marks off objects that are to live on without it.
package apply
