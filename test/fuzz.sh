#!/usr/bin/env bash
# Runs each fuzz target for FUZZTIME (default 10s), one after the other. What a
# target finds is in testdata/fuzz of its package: mend it, and keep the file.
# With arguments only the targets of these packages: test/fuzz.sh internal/trust
set -euo pipefail
cd "$(dirname "$0")/.."
tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
packages=("$@")
if [ ${#packages[@]} -eq 0 ]; then
	packages=(cmd internal schemas test)
fi
grep -rl --include='*_test.go' '^func Fuzz' "${packages[@]}" | xargs -n1 dirname | sort -u | while read -r pkg; do
	go test -c -fuzz=. -o "$tmp/fuzz.test" "./$pkg" # once, for all of its targets
	grep -h '^func Fuzz' "$pkg"/*_test.go | sed 's/func \(Fuzz[A-Za-z0-9_]*\).*/\1/' | sort | while read -r target; do
		echo "== $pkg $target"
		(cd "$pkg" && "$tmp/fuzz.test" -test.run '^$' -test.fuzz "^$target\$" -test.fuzztime "${FUZZTIME:-10s}" \
			-test.fuzzminimizetime 1x -test.fuzzcachedir "$(go env GOCACHE)/fuzz/prumo.dev/prumo/$pkg" 2>&1 | grep -v "elapsed: .* gathering\|elapsed: .*, execs: .*[^)]$")
	done
done
