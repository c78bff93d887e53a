# `make demo` builds an image on the embedded simulator, `make test` runs every check, both from a fresh clone.
CARGO ?= cargo

.PHONY: demo test lint bench fuzz score build setup

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

# A long run of one fuzz target, for instance `make fuzz TARGET=hcl SECONDS=3600`; needs a C++ compiler.
fuzz:
	@sh tests/fuzz.sh $(or $(TARGET),json) $(or $(SECONDS),60)

# How much of the corpus of real templates holds, as a user would run them; `tests/score-exceptions.md` says why some don't.
score: build
	@if [ ! -x ../shared/corpus/score ]; then echo "../shared/corpus is missing beside this checkout: there is nothing to score"; exit 1; fi
	@command -v python3 >/dev/null || { echo "the score needs python3 (Debian: apt-get install python3)"; exit 1; }
	../shared/corpus/score target/release/fornax

# What a fresh machine lacks: the WebAssembly target, and on Debian as root the packages behind the jail machine.
setup:
	@sh tests/setup.sh
