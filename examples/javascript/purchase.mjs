#!/usr/bin/env node
// A complete purchase over REST: signs up, signs in, fills a cart, and orders it.
//
// Node 20 or later, its own fetch only. ../README.md says how to run it.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';

const url = process.env.ZEROCART_URL ?? 'http://localhost:8000';
const tries = 6;
// An order may take 28 s; the gateway answers after 30 s at the latest.
const timeoutMs = 35_000;

/** An error that zerocart answered: a problem document (RFC 9457), or the gateway's message. */
class Problem extends Error {
  constructor(status, document, retryAfterS) {
    super(`${status} ${document.code ?? ''}: ${document.detail ?? document.message}`);
    this.status = status;
    this.code = document.code;
    this.orderId = document.order_id;
    // Every field that is wrong, for a request that is not valid.
    this.errors = document.errors ?? [];
    this.retryAfterS = retryAfterS;
  }

  /** Whether the same request may succeed later. */
  get isTemporary() {
    return this.code === 'ABORTED' || [429, 502, 503, 504].includes(this.status);
  }
}

/** One attempt. Gives the response's JSON. */
async function callOnce(method, path, { body, token, key }) {
  const headers = { 'Content-Type': 'application/json' };
  if (token) headers.Authorization = `Bearer ${token}`;
  if (key) headers['Idempotency-Key'] = key;
  const response = await fetch(url + path, {
    method,
    headers,
    body: body && JSON.stringify(body),
    signal: AbortSignal.timeout(timeoutMs),
  });
  if (response.ok) return response.json();
  const document = await response.json().catch(() => ({ detail: response.statusText }));
  throw new Problem(response.status, document, Number(response.headers.get('retry-after') ?? 0));
}

/**
 * Calls, and repeats what failed for a reason that may pass. All attempts have one idempotency key,
 * so the effect happens once, even if an answer was lost.
 */
async function call(method, path, options = {}) {
  const key = options.key ?? (method === 'GET' ? undefined : randomUUID());
  for (let attempt = 0; ; attempt++) {
    try {
      return await callOnce(method, path, { ...options, key });
    } catch (error) {
      const last = attempt + 1 === tries;
      // An order that could not be paid keeps this answer: see `order`.
      if (error instanceof Problem && (!error.isTemporary || error.orderId)) throw error;
      if (last) throw error;
      // Full jitter: clients that failed together do not come back together.
      const pauseMs = Math.random() * 200 * 2 ** attempt;
      await sleep(Math.max(pauseMs, 1000 * (error.retryAfterS ?? 0)));
    }
  }
}

/** Orders what is in the cart. */
async function order(userId, token) {
  let key = randomUUID();
  for (let attempt = 0; ; attempt++) {
    try {
      return await call('POST', '/orders', { body: { user_id: userId }, token, key });
    } catch (error) {
      if (!error.orderId || attempt + 1 === tries) throw error;
      console.log(`  ${error.message}; again in ${error.retryAfterS} s`);
      const { order: made } = await call('GET', `/orders/${error.orderId}`, { token });
      // This order is over and nothing was charged. A new order needs a new key.
      if (['FAILED', 'CANCELLED'].includes(made.status)) key = randomUUID();
      await sleep(1000 * Math.max(1, error.retryAfterS));
    }
  }
}

const account = { email: `ada-${randomUUID()}@example.com`, password: 'correct horse' };
try {
  await call('POST', '/users', { body: { ...account, email: 'ada', name: '' } });
} catch (problem) {
  console.log(problem.message);
  for (const { field, description } of problem.errors ?? []) console.log(`  ${field} ${description}`);
}
await call('POST', '/users', { body: { ...account, name: 'Ada' } });
const { token, user } = await call('POST', '/auth/login', { body: account });

const { products } = await call('GET', '/products?limit=100');
const product = products.find(({ inventory }) => inventory > 0);
if (!product) {
  console.error('nothing is for sale: add a product as the admin (examples/README.md)');
  process.exit(1);
}
const line = { product_id: product.id, quantity: 1 };
const { cart } = await call('POST', `/carts/${user.id}/items`, { body: line, token });
console.log(`cart: ${cart.items[0].product_name}, ${cart.total_amount.toFixed(2)}`);

const answer = await order(user.id, token);
console.log(`order ${answer.order.id}: ${answer.order.status}, ${answer.message}`);
