#!/usr/bin/env bash
# Runs each fuzz target for FUZZTIME (default 10s), one after the other.
set -euo pipefail
cd "$(dirname "$0")/.."
grep -rl --include='*_test.go' '^func Fuzz' cmd internal schemas test | xargs -n1 dirname | sort -u | while read -r pkg; do
	grep -h '^func Fuzz' "$pkg"/*_test.go | sed 's/func \(Fuzz[A-Za-z0-9_]*\).*/\1/' | while read -r target; do
		echo "== $pkg $target"
		go test "./$pkg" -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-10s}" -fuzzminimizetime 1x
	done
done
