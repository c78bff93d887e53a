#!/bin/sh
# Runs one fuzz target under libFuzzer for some seconds: `make fuzz TARGET=json SECONDS=3600`. An input that fails stays in
# tests/fuzz/target/found; what was learned stays in tests/fuzz/target/corpus and is where the next run begins.
set -eu
cd "$(dirname "$0")/fuzz"
CARGO=${CARGO:-cargo}
host=$(rustc -vV | sed -n 's/^host: //p')
# Coverage by options of code generation, which stable Rust has; a target of its own keeps them from build scripts.
RUSTFLAGS="-Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 -Cllvm-args=-sanitizer-coverage-inline-8bit-counters"
RUSTFLAGS="$RUSTFLAGS -Cllvm-args=-sanitizer-coverage-pc-table -Cllvm-args=-sanitizer-coverage-trace-compares"
export RUSTFLAGS
target=$PWD/target
$CARGO build --release --locked --quiet --target "$host" --target-dir "$target"
export FUZZ_TARGET="$1"
work=$target/corpus/$1
mkdir -p "$work/all" "$work/seeds" "$target/found"
export FUZZ_SEEDS="$work/seeds"
exec "$target/$host/release/fornax-fuzz" "$work/all" "$work/seeds" -dict="$work/dictionary" -max_total_time="${2:-60}" \
    -timeout=20 -rss_limit_mb=2048 -max_len=16384 -artifact_prefix="$target/found/$1-" -print_final_stats=1
