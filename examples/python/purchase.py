#!/usr/bin/env python3
"""A complete purchase over REST: signs up, signs in, fills a cart, and orders it.

Python 3.9 or later, its standard library only. ../README.md says how to run it.
"""

import json
import os
import random
import time
import urllib.error
import urllib.request
import uuid

URL = os.environ.get("ZEROCART_URL", "http://localhost:8000")
TRIES = 6
# An order may take 28 s; the gateway answers after 30 s at the latest.
TIMEOUT_S = 35


class Problem(Exception):
    """An error that zerocart answered: a problem document (RFC 9457), or the gateway's message."""

    def __init__(self, error):
        try:
            document = json.load(error)
        except ValueError:
            document = {"detail": error.reason}
        self.status = error.code
        self.retry_after_s = float(error.headers.get("Retry-After", 0))
        self.code = document.get("code", "")
        self.order_id = document.get("order_id")
        # Every field that is wrong, for a request that is not valid.
        self.errors = document.get("errors", [])
        super().__init__(f"{self.status} {self.code}: {document.get('detail') or document.get('message')}")

    def is_temporary(self):
        """Whether the same request may succeed later."""
        return self.code == "ABORTED" or self.status in (429, 502, 503, 504)


def call_once(method, path, body=None, token=None, key=None):
    """One attempt; returns the response as a dict."""
    headers = {"Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    if key:
        headers["Idempotency-Key"] = key
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(URL + path, data, headers, method=method)
    with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
        return json.load(response)


def call(method, path, body=None, token=None, key=None):
    """Calls, and repeats what failed for a reason that may pass.

    All attempts have one idempotency key, so the effect happens once, even if an answer was lost.
    """
    if method != "GET":
        key = key or str(uuid.uuid4())
    for attempt in range(TRIES):
        # Full jitter: clients that failed together do not come back together.
        pause_s = random.uniform(0, 0.2 * 2**attempt)
        try:
            return call_once(method, path, body, token, key)
        except urllib.error.HTTPError as error:
            failure = Problem(error)
            # An order that could not be paid keeps this answer: see `order`.
            if not failure.is_temporary() or failure.order_id:
                raise failure from None
            pause_s = max(pause_s, failure.retry_after_s)
        except OSError as error:
            failure = error
        time.sleep(pause_s)
    raise failure


def order(user_id, token):
    """Orders what is in the cart, and returns the answer."""
    key = str(uuid.uuid4())
    for attempt in range(TRIES):
        try:
            return call("POST", "/orders", {"user_id": user_id}, token, key)
        except Problem as problem:
            if not problem.order_id or attempt + 1 == TRIES:
                raise
            print(f"  {problem}; again in {problem.retry_after_s:.0f} s")
            made = call("GET", f"/orders/{problem.order_id}", token=token)["order"]
            # This order is over and nothing was charged. A new order needs a new key.
            if made["status"] in ("FAILED", "CANCELLED"):
                key = str(uuid.uuid4())
            time.sleep(max(1, problem.retry_after_s))


def main():
    email, password = f"ada-{uuid.uuid4()}@example.com", "correct horse"
    try:
        call("POST", "/users", {"email": "ada", "name": "", "password": password})
    except Problem as problem:
        print(problem)
        for error in problem.errors:
            print(f"  {error['field']} {error['description']}")
    call("POST", "/users", {"email": email, "name": "Ada", "password": password})
    signed_in = call("POST", "/auth/login", {"email": email, "password": password})
    token, user_id = signed_in["token"], signed_in["user"]["id"]

    products = [p for p in call("GET", "/products?limit=100")["products"] if p["inventory"] > 0]
    if not products:
        raise SystemExit("nothing is for sale: add a product as the admin (examples/README.md)")
    line = {"product_id": products[0]["id"], "quantity": 1}
    cart = call("POST", f"/carts/{user_id}/items", line, token)["cart"]
    print(f"cart: {cart['items'][0]['product_name']}, {cart['total_amount']:.2f}")
    answer = order(user_id, token)
    print(f"order {answer['order']['id']}: {answer['order']['status']}, {answer['message']}")


if __name__ == "__main__":
    main()
