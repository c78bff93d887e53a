#!/bin/sh
# Every check, in the order in which it fails soonest: formatting, lints, tests. Stops at the first failure.
set -eu
cd "$(dirname "$0")/.."
CARGO=${CARGO:-cargo}

if [ ! -d ../shared/corpus ]; then
    echo "NOTE: ../shared/corpus is missing beside this checkout: the tests that read it are skipped and say so" >&2
fi

echo "== formatting"
$CARGO fmt --all --check
echo "== clippy"
$CARGO clippy --workspace --all-targets --locked -- -D warnings
echo "== tests"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# The pipe would hide the exit code of cargo, so it leaves it in a file.
echo 0 >"$log.code"
{ $CARGO test --workspace --locked --no-fail-fast 2>&1 || echo $? >"$log.code"; } | tee "$log"
code=$(cat "$log.code"); rm -f "$log.code"

awk '/^test result:/ { passed += $4; failed += $6; ignored += $8 }
     /SKIPPED:/ { print "  " $0 }
     END { printf "%d passed, %d failed, %d skipped\n", passed, failed, ignored; exit failed > 0 }' "$log"
exit "$code"
