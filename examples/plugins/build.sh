#!/bin/sh
# Builds the example plugins into a folder that `--plugin-dir` takes: DIR/NAME/plugin.wasm for each.
# Usage: examples/plugins/build.sh [DIR] (default: target/example-plugins). Tests call it too.
set -eu
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
case "$target" in /*) ;; *) target=$(pwd)/$target ;; esac
dir=${1:-$target/example-plugins}
cargo=${CARGO:-cargo}

# Settings of an outer cargo (tests, clippy) that would be wrong for guests or would build them again each time.
unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS RUSTDOCFLAGS RUSTC_WRAPPER RUSTC_WORKSPACE_WRAPPER CARGO_BUILD_TARGET LLVM_PROFILE_FILE
for name in $(env | sed -n 's/^\(CARGO_PROFILE_[A-Z0-9_]*\)=.*/\1/p'); do unset "$name"; done

if [ ! -d "$("${RUSTC:-rustc}" --print target-libdir --target wasm32-wasip2)" ]; then
    echo "build.sh: the Rust target wasm32-wasip2 is not installed: run \`rustup target add wasm32-wasip2\`" >&2
    exit 1
fi

plugins="acme-motd acme-image-note greedy"
set --
for plugin in $plugins; do set -- "$@" -p "$plugin"; done
# A target folder of its own, shared with the built-in plugins: an outer cargo may hold the lock of the usual one.
"$cargo" build --quiet --locked --profile plugin --target wasm32-wasip2 --target-dir "$target/plugins" "$@"
for plugin in $plugins; do
    mkdir -p "$dir/$plugin"
    cp "$target/plugins/wasm32-wasip2/plugin/$(echo "$plugin" | tr - _).wasm" "$dir/$plugin/.plugin.wasm.new"
    mv "$dir/$plugin/.plugin.wasm.new" "$dir/$plugin/plugin.wasm"
done
echo "$dir"
