# Every recipe has a line of help; `just` alone lists them.

# List the recipes
default:
    @just --list --unsorted

# Run everything on this machine, until Ctrl-C
up *args:
    cargo zerocart up {{args}}

# Show what each function is doing
ps *args:
    cargo zerocart ps {{args}}

# Run all tests (the README's command)
test *args:
    cargo test --release --workspace {{args}}

# Check formatting, lints, docs and protos, as CI does
lint:
    cargo fmt --all --check
    cargo clippy --release --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --quiet
    just proto-lint

# Format the code and the protos
fmt: buf
    cargo fmt --all
    node_modules/.bin/buf format -w proto

# Lint the protos and check their format
proto-lint: buf
    cd proto && ../node_modules/.bin/buf lint
    node_modules/.bin/buf format --diff --exit-code proto

# Install buf, in the version that package.json names
buf:
    npm install --silent --no-audit --no-fund

# Measure cold starts beside the floor; fails when a target is missed
bench *args:
    cargo run --release --package zerocart-bench -- cold --check {{args}}

# Everything that CI checks
ci:
    .ci/run
