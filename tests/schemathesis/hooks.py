"""What schemathesis needs to know of this system.

The gateway counts requests by client address, as it should: each request comes from an address of
its own, of which the loopback network has 16 million.
"""

import itertools
import json
import os
import random
import re

import schemathesis
from urllib3 import connectionpool
from urllib3.util import connection

_numbers = itertools.count()
_keys = itertools.count()
_connect = connection.create_connection
_take = connectionpool.HTTPConnectionPool._get_conn


def _connect_from_elsewhere(address, *args, **kwargs):
    number = next(_numbers)
    source = f"127.{1 + number // 62500 % 250}.{number // 250 % 250}.{1 + number % 250}"
    kwargs["source_address"] = (source, 0)
    return _connect(address, *args, **kwargs)


def _take_anew(pool, timeout=None):
    """A connection is not used twice."""
    taken = _take(pool, timeout)
    taken.close()
    return taken


connection.create_connection = _connect_from_elsewhere
connectionpool.HTTPConnectionPool._get_conn = _take_anew

# The ids of what there is, by the fields that hold them: a made-up one meets nothing, and most code
# lies behind that.
KNOWN = json.loads(os.environ["ZEROCART_KNOWN"])


_FIRST_SERVED = min(value[:8] for values in KNOWN.values() for value in values)


def _served(value):
    """Whether an id looks like one that the system made, lately: a UUID of version 7.

    It comes from an answer, and differs from run to run: nothing may be chosen by it.
    """
    return value[14:15] == "7" and _FIRST_SERVED <= value[:8] < f"{int(_FIRST_SERVED, 16) + 256:08x}"


def _meet(fields):
    """Puts what there is in place of half of the made-up ids."""
    if not isinstance(fields, dict):
        return fields
    for name, values in KNOWN.items():
        made_up = fields.get(name)
        if isinstance(made_up, str) and len(made_up) == 36 and not _served(made_up):
            # By the value itself: the same seed gives the same cases.
            chance = random.Random(made_up)
            if chance.random() < 0.5:
                fields[name] = chance.choice(values)
    return fields


def _plain(fields):
    """Half of the addresses in ASCII: of the others most hold what no name may hold, and are refused."""
    email = fields.get("email") if isinstance(fields, dict) else None
    if isinstance(email, str) and random.Random(email).random() < 0.5:
        fields["email"] = re.sub(r"[^\x00-\x7f]", "x", email)
    return fields


@schemathesis.hook
def map_headers(context, headers):
    """Most keys are new: one that was used before is refused with 422, and nothing else is tried."""
    key = (headers or {}).get("Idempotency-Key")
    if isinstance(key, str) and re.fullmatch(r"[!-~]{1,200}", key):
        number = next(_keys)
        if number % 4:
            headers["Idempotency-Key"] = f"{key}-{number}"
    return headers


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    return _meet(path_parameters)


@schemathesis.hook
def map_body(context, body):
    return _plain(_meet(body))
