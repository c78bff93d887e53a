# `make demo` builds an image on the embedded simulator, `make test` runs every check, both from a fresh clone.
CARGO ?= cargo

.PHONY: demo test lint bench build setup

build:
	$(CARGO) build --release

demo: setup
	@sh examples/demo.sh

test: setup
	@sh tests/run.sh

lint: setup
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings

bench: setup
	@sh tests/bench.sh

# What a fresh machine lacks: the WebAssembly target, and on Debian as root the packages behind the jail machine.
setup:
	@sh tests/setup.sh
