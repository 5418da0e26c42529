# Every recipe has a line of help; `just` alone lists them.

# Tools from PyPI, where `just tools` and `just lambda-tools` have put them.
export PATH := justfile_directory() / "target/tools/bin:" + env("PATH")

# List the recipes
default:
    @just --list --unsorted

# Run everything on this machine, until Ctrl-C
up *args:
    cargo zerocart up {{args}}

# Build the dashboard with npm; the next build of zerocart puts it into its program
dashboard:
    cd dashboard && npm ci --no-audit --no-fund && npm run build

# Show what each function is doing
ps *args:
    cargo zerocart ps {{args}}

# Show the keys that sign tokens, or change them: rotate, retire, export
keys *args:
    cargo zerocart keys {{args}}

# Deploy to a kind cluster, or to the one of --context NAME; ends with a paid order
deploy *args:
    cargo zerocart deploy {{args}}

# Check what a deployment needs, and say how to get it
doctor *args:
    cargo zerocart doctor {{args}}

# Show what runs on a cluster; --context NAME
status *args:
    cargo zerocart status {{args}}

# Show the log of a function, a job, the edge or PostgreSQL on a cluster
logs name *args:
    cargo zerocart logs {{name}} {{args}}

# Give all traffic of a function on a cluster to its newest revision
promote name *args:
    cargo zerocart promote {{name}} {{args}}

# Give all traffic of a function on a cluster to an earlier revision
rollback name *args:
    cargo zerocart rollback {{name}} {{args}}

# Remove from a cluster what was deployed; the data stays
undeploy *args:
    cargo zerocart undeploy {{args}}

# Run all tests (the README's command)
test *args:
    cargo test --release --workspace {{args}}

# Check a system that runs, over REST and gRPC: url=http://localhost:8000 token=<an admin's> edge=kong transcript=<file>
test-api *args:
    @cargo run --release --package zerocart-conformance --bin zerocart-test-api -- {{args}}

# Build the images of all programs, without Docker: --architecture arm64, --load kind=NAME, --push REPOSITORY
images *args:
    cargo zerocart images {{args}}

# Check the dashboard: types, lints, size, unit tests, and a real Chromium against a real engine
dashboard-test:
    .ci/dashboard

# Print the OpenAPI document of the public API
openapi *args:
    @cargo zerocart openapi {{args}}

# Try an engine of its own with requests that schemathesis makes of the OpenAPI document
schemathesis examples="200" seed="1":
    CI=true SCHEMATHESIS_EXAMPLES={{examples}} SCHEMATHESIS_SEED={{seed}} \
        cargo test --release --workspace --test it -- --ignored schemathesis

# Load rules and boards into a real Prometheus, and provoke each alert on an engine of its own
test-alerts:
    .ci/prometheus cargo test --release --workspace --test it -- --ignored every_alert_fires

# Check formatting, lints, docs and protos, as CI does
lint:
    cargo fmt --all --check
    cargo fmt --manifest-path fuzz/Cargo.toml --check
    cargo clippy --release --workspace --all-targets -- -D warnings
    cargo clippy --release --workspace --all-targets --features zerocart-tests/lambda,zerocart-bench/lambda -- -D warnings
    cargo clippy --release --manifest-path fuzz/Cargo.toml -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --release --workspace --no-deps --quiet --features zerocart-tests/lambda,zerocart-bench/lambda
    just proto-lint

# Format the code and the protos
fmt: buf
    cargo fmt --all
    cargo fmt --manifest-path fuzz/Cargo.toml
    node_modules/.bin/buf format -w proto

# Lint the protos and check their format
proto-lint: buf
    cd proto && ../node_modules/.bin/buf lint
    node_modules/.bin/buf format --diff --exit-code proto

# Check what Cargo.lock brings in: licences, sources, bans
deny: tools
    cargo deny --locked check -D warnings -A license-exception-not-encountered bans licenses sources
    cargo deny --manifest-path fuzz/Cargo.toml --locked --config deny.toml check -D warnings \
        -A license-exception-not-encountered -A unmatched-skip -A unnecessary-skip bans licenses sources

# Look up known vulnerabilities of what Cargo.lock brings in, in RustSec's database (from GitHub)
advisories: tools
    cargo deny --locked check -D warnings advisories
    cargo deny --manifest-path fuzz/Cargo.toml --locked --config deny.toml check -D warnings advisories

# Try inputs on a fuzz target, json_request or path, for so many seconds
fuzz target seconds="300" *args: tools
    fuzz/run {{target}} {{seconds}} {{args}}

# Look for secrets in what is in git, in earlier versions too
secrets: tools
    python3 .ci/find-secrets.py

# Build the OpenTelemetry Collector of the tests from its Go modules, into target/tools
collector:
    observability/build/collector

# Have a real OpenTelemetry Collector keep and count what functions write, on a cluster and on Lambda
collector-test: collector
    python3 -m venv target/tools
    target/tools/bin/pip install --quiet --requirement observability/build/requirements.txt
    cargo test --release --workspace --test it -- --ignored a_real_collector

# Install what CI checks with from PyPI, into target/tools
tools:
    python3 -m venv target/tools
    target/tools/bin/pip install --quiet --requirement .ci/requirements.txt

# Install buf, in the version that package.json names
buf:
    npm install --silent --no-audit --no-fund

# Measure cold starts beside the floor, and get-product beside pgbench: --against FOLDER, --check, --write
bench *args:
    cargo run --profile dist --package zerocart-bench -- cold {{args}}

# Measure the first order from zero against the starts in it: --against FOLDER, --check, --write
bench-chain *args:
    cargo run --profile dist --package zerocart-bench -- chain {{args}}

# Report cold starts and where their time goes, in docs/benchmarks/coldstart.md: --engine knative, --rounds, --limit, …
coldstart-report *args:
    cargo run --profile dist --package zerocart-bench -- coldstart --write {{args}}

# Measure orders and other requests on a local engine: --against FOLDER, --only PART, --catalogue, --write
bench-load *args:
    cargo run --profile dist --package zerocart-bench -- load {{args}}

# Simulate more load than one machine can make, with costs of bench-load: --scenario flash, --validate, --write
simulate *args:
    cargo run --profile dist --package zerocart-bench -- simulate {{args}}

# Write the table of the README from what bench, bench-chain and bench-load have written
bench-summary:
    cargo run --release --package zerocart-bench -- summary

# Buy from a system that runs, while it is disturbed, and check the books: --url, --token, --seconds, …
soak *args:
    cargo run --release --package zerocart-bench -- soak {{args}}

# Disturb a system under a load of shoppers, and write docs/reports/resilience.md: --base-url, --faults, --seed, --check
resilience-report *args:
    cargo run --profile dist --package zerocart-bench -- resilience --write {{args}}

# Install cargo-lambda from PyPI, into target/tools
lambda-tools:
    python3 -m venv target/tools
    target/tools/bin/pip install --quiet --requirement lambda/requirements.txt

# Build functions for Lambda into target/lambda: those that are named, or all
lambda-build *names:
    cargo zerocart lambda build {{names}}

# Run everything on a local Lambda, with PostgreSQL beside it, until Ctrl-C
lambda-watch *args:
    cargo zerocart lambda watch {{args}}

# Send an event to a function of the local Lambda: lambda-invoke recover-orders
lambda-invoke name event='{}':
    cargo zerocart lambda invoke {{name}} '{{event}}'

# Make the secrets that are missing in AWS: keys, and each DATABASE_URL_<DOMAIN> that is set
lambda-secrets:
    cargo zerocart lambda secrets

# Deploy to AWS what was built: says what it will create, and asks. --dry only says it
lambda-deploy *args:
    cargo zerocart lambda deploy {{args}}

# The stories on the local Lambda, against those of the local engine
lambda-test:
    cargo test --release --workspace --features zerocart-tests/lambda --test lambda --test conformance

# Measure size and init of the functions on Lambda beside a hello-world
bench-lambda *args:
    cargo run --release --package zerocart-bench -- lambda {{args}}

# Everything that CI checks
ci:
    .ci/run
