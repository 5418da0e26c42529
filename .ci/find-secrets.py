"""Finds secrets in what is in git: the tracked files, all their earlier versions, and the messages.

detect-secrets looks for them, with all of its detectors and a few for what this system has of its own.
Prints where each is, without the secret, and ends with status 1 when there is one. A shallow clone has
no earlier versions to look at, and an archive without git only its files.

What only looks like a secret is allowed by its value, below, with the reason, and nothing else is. What
is allowed and found no more is an error too. Where a file was renamed, its earlier versions have the old
name: what is allowed there stands below ALLOWED_BEFORE. Of history, what HEAD is made of is looked at.
"""

import os
import pathlib
import re
import subprocess
import sys
import tempfile

from detect_secrets import SecretsCollection
from detect_secrets.core.plugins.util import get_mapping_from_secret_type_to_class
from detect_secrets.plugins.base import RegexBasedDetector
from detect_secrets.settings import transient_settings

OWN = ".ci/find-secrets.py"

# A regular expression for the whole of what was found, and the only file that may have it, if there is
# but one.
ALLOWED = {
    # Passwords of accounts and databases that examples and tests make up.
    r"(correct|wrong) horse( battery)?|battery staple|(a long|another) password|hunter2|right|wrong": None,
    # The name of a function.
    r"0\.1\.0": "knative/services/change-password.yaml",
    r"ü": "functions/user/tests/it/create_user.rs",
    r"secret|s3cret|password|p#1|p#word": None,
    r"postgres://role:password@127\.0\.0\.1:port/database": "local/postgres/src/passwords.rs",
    # The key of RFC 8037's examples (appendix A), its public part, and its thumbprint.
    r"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A": None,
    r"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo": None,
    r"kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k": "shared/auth/src/jwk.rs",
    # The secret access key of AWS's documentation, and two signatures that were made with it.
    r"wJalrXUtnFEMI/K7MDENG\+bPxRfiCYEXAMPLEKEY": "shared/lambda/tests/lambda/main.rs",
    r"234ca230d39c05e03146528458ab685d61900bbfbb97dabd5f4430f0d47818e1|"
    r"8d8a41bb01454fbf04030eaba327ed1f26ab8327584ab4d5d770cfda1ef8e438": (
        "shared/lambda/tests/lambda/calls.rs"
    ),
    # What tests plant, to see that it is hidden: tokens that nobody signed, keys without a key, and the
    # card numbers of payment documentation.
    r"eyJhbGciOiJFZERTQSJ9\.eyJzdWIiOiIxIn0\.": "shared/telemetry/src/redact/tests.rs",
    r"BEGIN (EC )?PRIVATE KEY": "shared/telemetry/src/redact/tests.rs",
    r"eyJhbGciOiJFZERTQSIsImtpZCI6ImNhbmFyeSJ9\.eyJzdWIiOiJjYW5hcnkifQ\.": None,
    r"4111([ -]?)1111\1?1111\1?1111|5500 0000 0000 0004|378282246310005|6304950600000000007": None,
    r"eyJhbGciOiJub25lIn0\.e30\.": "tests/tests/hostile/http1.rs",
    r"canary": "local/broker/tests/broker/leaks.rs",
    r"p%40ss%2Fword": "local/broker/src/socket.rs",
    # A password that somebody may choose, and the salt and keys of RFC 7677's example (section 3).
    r"0123456789abcdefghijABCDEFGHIJ|W22ZaJ0SNY7soEsUEjb6gQ==|WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=|"
    r"wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=": "deploy/provision/src/password.rs",
    # Commits, shortened, beside what was measured of them.
    r"[0-9a-f]{12}": None,
    # Ids of traces, and of users without their hyphens.
    r"4(bf92f3577b34da6a3ce929d0e0e4736|BF92F3577B34DA6A3CE929D0E0E4736)|"
    r"5bf92f3577b34da6a3ce929d0e0e4736": None,
    r"15bd20a1dc16317b801535f15a02e9c3|dc937a780fe5a5efb24ee16a9c3b3eb2|"
    r"80326ef5502768e11b3fac4ec3df0abc|5fabd4cf23fc10d477bdeea2fa1c3c16": None,
    r"5b8efff798038103d269b633813fc60c": "tests/tests/it/saga/collector/kong.json",
    r"[0-9a-f]{16,32}": "deploy/anatomy/tests/recorded/get-product.line.json",
    r"018f4e9a7c1b7def80000123456789ab": "shared/auth/src/identity.rs",
    # The seed of a benchmark.
    r"6162863071894304293": None,
    # Names of secrets, not the secrets: in AWS, in Kubernetes, and of a program.
    r"(\w+_SECRET=)?zerocart/[a-z-]+(#[a-z_]+)?": None,
    r"name: zerocart-[a-z-]+(\n    - secretRef:\n        name: zerocart-[a-z-]+\n- op: add\n"
    r"  path: \S+/env/-\n  value:\n    name: FUNCTION_URL_TEMPLATE\n    value: \\)?": (
        "knative/kustomization.yaml"
    ),
    r"(postgres|pgbouncer)-(tls|password|users)|the superuser": None,
    # A kind of passwords.
    r"scram-sha-256": "deploy/cluster/files/postgres.yaml",
    r"cargo zerocart lambda secrets|tools|python3 \.ci/find-secrets\.py": "justfile",
    # Names of what is looked for.
    r"Card number|Private JWK|Basic credentials|age key": OWN,
}

# The same for what no file has any more. Whether it is needed depends on how much of the history is here.
ALLOWED_BEFORE = {
    # Whether a call hashes a password.
    r"true": "functions/user/bench.toml",
    # A script, once.
    r"(lambda/secrets)": "justfile",
    # Where the tests of redaction were.
    r"eyJhbGciOiJFZERTQSJ9\.eyJzdWIiOiIxIn0\.|BEGIN (EC )?PRIVATE KEY": "shared/runtime/src/redact/tests.rs",
    # `&self.service`, once.
    r"service": "local/src/engine.rs",
    # The id of a user without its hyphens, once.
    r"0192f0c17a3e7cc29f4b1d2c3b4a5f60": "tests/src/openapi.rs",
}

# Files that hold secrets by their name, whatever is in them.
NAMES = re.compile(
    r"(^|/)(\.env(\.\w+)?|\.pgpass|id_(rsa|ecdsa|ed25519)|[^/]*\.(pem|key|p12|pfx|jks|kdbx|tfstate))$"
)


class CardNumber(RegexBasedDetector):
    """13 to 19 digits, also in groups, that a card network issues and Luhn's check accepts."""

    secret_type = "Card number"
    denylist = [re.compile(r"(?<![\w.+-])([2-6](?:[ -]?\d){12,18})(?![\w-]|\.\d)")]

    def analyze_string(self, string):
        for found in super().analyze_string(string):
            digits = [int(digit) for digit in reversed(found) if digit.isdigit()]
            doubled = [sum(divmod(2 * digit, 10)) for digit in digits[1::2]]
            if (sum(digits[::2]) + sum(doubled)) % 10 == 0:
                yield found


class PrivateJwk(RegexBasedDetector):
    """The private part of a JSON Web Key, also within a text of JSON."""

    secret_type = "Private JWK"
    denylist = [re.compile(r'\\?"d\\?"\s*:\s*\\?"([\w-]{43,})')]


class BasicCredentials(RegexBasedDetector):
    """Credentials that are given to curl, or to a server as RFC 7617 has it."""

    secret_type = "Basic credentials"
    denylist = [
        re.compile(r"\bcurl\b.*\s(?:-u|--user)[ =]?['\"]?([^\s:'\"$]+:[^\s'\"$]+)"),
        re.compile(r"\bBasic ([A-Za-z0-9+/]{12,}={0,2})"),
    ]


class AgeKey(RegexBasedDetector):
    """A private key of age."""

    secret_type = "age key"
    denylist = [re.compile(r"AGE-SECRET-KEY-1[A-Z0-9]{58}")]


def settings():
    """What is looked for, and what of it is nothing: by its own looks, not by what stands beside it.

    An address is no secret.
    """
    known = get_mapping_from_secret_type_to_class()
    known = {detector.__name__ for detector in known.values()} - {"IPPublicDetector"}
    plugins = [{"name": name} for name in sorted(known)]
    # It is asked again, and then has to look for ours.
    get_mapping_from_secret_type_to_class.cache_clear()
    own = f"file://{pathlib.Path(__file__).resolve()}"
    plugins += [
        {"name": detector.__name__, "path": own}
        for detector in (CardNumber, PrivateJwk, BasicCredentials, AgeKey)
    ]
    filters = (
        "is_indirect_reference",
        "is_lock_file",
        "is_potential_uuid",
        "is_prefixed_with_dollar_sign",
        "is_sequential_string",
        "is_templated_secret",
    )
    heuristic = "detect_secrets.filters.heuristic"
    return {
        "plugins_used": plugins,
        "filters_used": [{"path": f"{heuristic}.{name}"} for name in filters],
    }


def git(*arguments, **options):
    return subprocess.run(["git", *arguments], check=True, capture_output=True, **options).stdout


def earlier(folder):
    """Writes the earlier versions of files, and the messages, below `folder`; which files that are."""
    now = {line.split()[1] for line in git("ls-files", "--stage").decode().splitlines()}
    listed = git("rev-list", "--objects", "HEAD").decode().splitlines()
    paths = dict(line.split(" ", 1) for line in listed if " " in line and line.split()[0] not in now)
    objects = git("cat-file", "--batch", input="\n".join(paths).encode())
    at = 0
    while at < len(objects):
        end = objects.index(b"\n", at)
        name, kind, size = objects[at:end].decode().split()
        at = end + 1 + int(size)
        if kind == "blob":
            file = folder / name[:12] / paths[name]
            file.parent.mkdir(parents=True)
            file.write_bytes(objects[end + 1 : at])
        at += 1
    (folder / "log").write_bytes(git("log", "--format=%B"))
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*") if file.is_file())


def files_of_archive():
    """All files below this folder, but for what is built or fetched."""
    files = []
    for folder, folders, names in os.walk("."):
        folders[:] = set(folders) - {"target", "node_modules", ".zerocart"}
        files += (os.path.relpath(os.path.join(folder, name)) for name in names)
    return sorted(files)


def scan(root, files):
    """Where each secret is that these files hold, and what it is."""
    found = SecretsCollection(root=str(root))
    found.scan_files(*files)
    return sorted((path, each.line_number, each.type, each.secret_value) for path, each in found)


def main():
    in_git = pathlib.Path(".git").exists()
    if in_git:
        tracked = git("ls-files", "-z").decode().split("\0")[:-1]
        ignored = git("ls-files", "-z", "--cached", "--ignored", "--exclude-standard").decode()
    else:
        tracked, ignored = files_of_archive(), ""
    problems = [f"{path}: git ignores it, and has it" for path in ignored.split("\0")[:-1]]
    problems += [f"{path}: what has this name is a secret" for path in tracked if NAMES.search(path)]
    with tempfile.TemporaryDirectory() as folder, transient_settings(settings()):
        versions = earlier(pathlib.Path(folder)) if in_git else []
        found = [(path, path, *what) for path, *what in scan("", tracked)]
        for version, *what in scan(folder, versions):
            blob, _, path = version.partition("/")
            found.append((f"git show {blob} ({path})" if path else "git log", path, *what))
        for version in versions:
            blob, _, path = version.partition("/")
            if NAMES.search(path):
                problems.append(f"git show {blob} ({path}): what has this name is a secret")
    used = set()
    for where, path, line, kind, value in found:
        allowed = {
            each for each, only in (ALLOWED | ALLOWED_BEFORE).items()
            if (re.fullmatch(each, value) and only in (None, path)) or (path == OWN and value in each)
        }
        used |= allowed
        if not allowed:
            problems.append(f"{where}:{line}: {kind}")
    if in_git and git("rev-parse", "--is-shallow-repository") == b"false\n":
        problems += [f"{OWN}: allowed, but nowhere: {each}" for each in ALLOWED.keys() - used]
    problems.append(f"{len(tracked)} files, {len(versions)} earlier versions: {len(problems)} problems")
    print(*problems, sep="\n")
    sys.exit(len(problems) > 1)


if __name__ == "__main__":
    main()
