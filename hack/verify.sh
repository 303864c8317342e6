#!/usr/bin/env bash
# Fails, with the difference, when a generator would write something else than what is there.
#
# usage: hack/verify.sh PATH... -- COMMAND...
#
# Runs COMMAND, which writes the files under PATHs in place, and compares them with what they were before. So it works
# in a tree with uncommitted work too, and leaves the new files for a look or a commit.
set -euo pipefail

paths=()
while [ "$#" -gt 0 ] && [ "$1" != -- ]; do
  paths+=("$1")
  shift
done
shift
if [ "${#paths[@]}" -eq 0 ] || [ "$#" -eq 0 ]; then
  echo "usage: hack/verify.sh PATH... -- COMMAND..." >&2
  exit 2
fi

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# snapshot DIR: copies the paths that exist to DIR.
snapshot() {
  local path
  mkdir -p "$1"
  for path in "${paths[@]}"; do
    if [ -e "$path" ]; then
      mkdir -p "$1/$(dirname "$path")"
      cp -R "$path" "$1/$path"
    fi
  done
}

snapshot "$scratch/before"
"$@"
snapshot "$scratch/after"

cd "$scratch"
if ! git --no-pager diff --no-index --no-color before after; then
  echo "generated files were out of date: commit what 'make generate manifests api-docs' wrote" >&2
  exit 1
fi
