#!/bin/sh
# Installs what building and testing need, where this user can; says what is missing where not. Safe to repeat.
set -eu

need_target=wasm32-wasip2
libdir=$(rustc --print target-libdir --target $need_target 2>/dev/null || true)
if [ ! -d "$libdir" ]; then
    if command -v rustup >/dev/null 2>&1; then
        echo "setup: installing the Rust target $need_target"
        rustup target add $need_target
    else
        echo "setup: the Rust target $need_target is missing and there is no rustup; install it with your distribution's means" >&2
        exit 1
    fi
fi

# The jail machine of the simulator and the SSH tests want these programs; without them the next best is used.
packages=""
want() { command -v "$1" >/dev/null 2>&1 || [ -x "/usr/sbin/$1" ] || packages="$packages $2"; }
want mmdebstrap mmdebstrap
want newuidmap uidmap
want sshd openssh-server
want ssh openssh-client
want pasta passt
if [ -n "$packages" ]; then
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "setup: installing$packages"
        { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $packages; } >/dev/null ||
            echo "setup: could not install$packages; parts that need them are skipped, and say so" >&2
    else
        echo "setup: for a machine that really executes, install:$packages" >&2
    fi
fi
