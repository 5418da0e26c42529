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

# Check a system that runs, over REST and gRPC: url=http://localhost:8000 token=<an admin's>
test-api *args:
    @cargo run --release --package zerocart-tests --bin zerocart-test-api -- {{args}}

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

# Measure the first order from zero against the starts in it; fails above 1.5 × the slowest
bench-chain *args:
    cargo run --release --package zerocart-bench -- chain --check {{args}}

# Everything that CI checks
ci:
    .ci/run
