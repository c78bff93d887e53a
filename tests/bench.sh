#!/bin/sh
# Measures against OpenSSH and Packer where they are installed, in one run, and prints ratios.
set -eu
cd "$(dirname "$0")/.."
CARGO=${CARGO:-cargo}
$CARGO build --quiet --release --locked -p fornax
fornax=$(pwd)/target/release/fornax
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
export FORNAX_STATE_DIR="$work/state" CHECKPOINT_DISABLE=1 ARM_CLIENT_ID=11111111-2222-4333-8444-555555555555
export ARM_CLIENT_SECRET=bench-secret ARM_TENANT_ID=$ARM_CLIENT_ID ARM_SUBSCRIPTION_ID=$ARM_CLIENT_ID
sed '/_comment/d' "$OLDPWD/examples/nginx/second.json" >t.json

# Milliseconds of the fastest of seven runs.
fastest() {
    best=999999
    for _ in 1 2 3 4 5 6 7; do
        start=$(date +%s%N); "$@" >/dev/null 2>&1; end=$(date +%s%N)
        ms=$(((end - start) / 1000000)); [ "$ms" -ge "$best" ] || best=$ms
    done
    echo "$best"
}
row() { printf '%-28s %8s ms   %-10s %8s ms   ratio %s\n' "$1" "$2" "$3" "$4" "$(awk "BEGIN { printf \"%.2f\", $2 / ($4 > 0 ? $4 : 1) }")"; }

"$fornax" validate t.json >/dev/null
ours=$(fastest "$fornax" validate t.json)
if command -v packer >/dev/null 2>&1; then
    row "validate, warm cache" "$ours" packer "$(fastest packer validate t.json)"
else
    echo "validate, warm cache: $ours ms (packer is not installed)"
fi
echo "whole build, simulated in process: $(fastest "$fornax" build --simulate --machine record t.json) ms"
