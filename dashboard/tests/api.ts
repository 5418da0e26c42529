import type { components } from '../src/api/schema';

type Fleet = components['schemas']['ListFunctionsResponse'];

/** The API, for what a test needs before it begins. */
export class Api {
  readonly #url: string;
  readonly #admin: { email: string; password: string };
  #token = '';

  constructor(url: string, admin: { email: string; password: string }) {
    this.#url = url;
    this.#admin = admin;
  }

  /** A request of the admin, who signs in again once the token is not good any more. */
  async admin<T>(method: string, path: string, body: unknown): Promise<T> {
    const send = () => this.#send(method, path, body, this.#token);
    let answer = await send();
    if (answer.status === 401) {
      const signed = await this.#send('POST', '/auth/login', this.#admin);
      this.#token = ((await signed.json()) as { token: string }).token;
      answer = await send();
    }
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
    return (await answer.json()) as T;
  }

  #send(method: string, path: string, body: unknown, token = ''): Promise<Response> {
    return fetch(this.#url + path, {
      method,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
    });
  }

  /** The payment provider answers at once, and never fails. */
  async calm(): Promise<void> {
    await this.provider(0, 0);
  }

  /** How the payment provider behaves: the share of charges that fail, and how long one takes. */
  async provider(failure_rate: number, delay: number, failures: string[] = []): Promise<void> {
    const settings = { failure_rate, min_delay_ms: delay, max_delay_ms: delay, failures };
    await this.admin('POST', '/admin/failure-rate', settings);
  }

  /** What the circuit breakers protect that let not all calls pass. */
  async openBreakers(): Promise<string[]> {
    const { breakers } = await this.admin<Fleet>('GET', '/admin/fleet', undefined);
    return breakers.filter(({ state }) => state !== 'CLOSED').map(({ name }) => name);
  }

  /** Adds a product, and gives its id. */
  async product(name: string, price: number, inventory: number): Promise<string> {
    const body = { name, description: `${name}, for a test.`, price, inventory };
    const answer = await this.admin<{ product: { id: string } }>('POST', '/products', body);
    return answer.product.id;
  }
}
