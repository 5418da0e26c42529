import { Api } from '../tests/api';
import type { Engine } from '../tests/engine';
import { Front } from '../tests/front';
import { PASSWORD } from '../tests/steps';

const PRODUCTS: [name: string, about: string, price: number, stock: number][] = [
  ['Assam, second flush', 'Malty and strong. Takes milk well.', 8.9, 240],
  ['Darjeeling, first flush', 'Light and floral, from the first harvest of the year.', 16.5, 60],
  ['Ceylon highlands', 'Bright, with a note of citrus. Grown above 1,800 m.', 7.4, 180],
  ['Lapsang souchong', 'Dried over pine smoke.', 9.8, 90],
  ['Gyokuro', 'Shaded for three weeks before the harvest. Brew at 55 °C.', 28, 4],
  ['Sencha', 'Steamed, grassy and fresh.', 12.2, 150],
  ['Genmaicha', 'Green tea with roasted rice.', 8.2, 130],
  ['Oolong, Tieguanyin', 'Half oxidised, buttery, good for many infusions.', 18.6, 70],
  ['White peony', 'Buds and young leaves, barely processed.', 19.9, 40],
  ['Pu-erh, ten years', 'Pressed into a cake of 357 g and aged.', 42, 0],
  ['Earl Grey', 'Black tea with oil of bergamot.', 7.9, 210],
  ['Rooibos', 'Without caffeine. Sweet and woody.', 6.3, 300],
];

const PEOPLE = [
  'Ada Novak',
  'Grace Okafor',
  'Linus Berg',
  'Barbara Ruiz',
  'Edsger Vries',
  'Mary Lin',
];

interface Product {
  readonly id: string;
  readonly inventory: number;
}

/** Somebody who buys, at an address of their own. */
interface Shopper {
  readonly id: string;
  readonly email: string;
  readonly send: (method: string, path: string, body?: unknown) => Promise<Response>;
}

/** A shop with products, people and orders in all states. */
export class Shop {
  readonly #engine: Engine;
  readonly #fronts: Front[] = [];
  readonly shoppers: Shopper[] = [];
  products: Product[] = [];
  readonly api: Api;

  private constructor(engine: Engine, api: Api) {
    this.#engine = engine;
    this.api = api;
  }

  static async open(engine: Engine, api: Api): Promise<Shop> {
    const shop = new Shop(engine, api);
    for (const [name, description, price, inventory] of PRODUCTS) {
      const body = { name, description, price, inventory };
      const { product } = await api.admin<{ product: Product }>('POST', '/products', body);
      shop.products.push(product);
    }
    for (const name of PEOPLE) shop.shoppers.push(await shop.#person(name));
    return shop;
  }

  close(): void {
    for (const front of this.#fronts) front.close();
  }

  async #person(name: string): Promise<Shopper> {
    const front = new Front(() => this.#engine.port);
    this.#fronts.push(front);
    const url = await front.listen();
    const email = `${name.split(' ')[0]?.toLowerCase() ?? ''}@example.com`;
    let token = '';
    const send = (method: string, path: string, body?: unknown) =>
      fetch(url + path, {
        method,
        headers: { 'content-type': 'application/json', authorization: `Bearer ${token}` },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    await send('POST', '/users', { name, email, password: PASSWORD });
    const signed = await send('POST', '/auth/login', { email, password: PASSWORD });
    const answer = (await signed.json()) as { token: string; user: { id: string } };
    token = answer.token;
    return { id: answer.user.id, email, send };
  }

  /** One of the shoppers orders some of the products; the id of the order, if one was made. */
  async order(turn: number): Promise<string | undefined> {
    const shopper = this.shoppers[turn % this.shoppers.length];
    const sold = this.products.filter(({ inventory }) => inventory > 10);
    if (shopper === undefined) return undefined;
    for (let line = 0; line <= turn % 3; line += 1) {
      const product = sold[(turn * 5 + line * 3) % sold.length];
      const body = { product_id: product?.id, quantity: 1 + ((turn + line) % 3) };
      await shopper.send('POST', `/carts/${shopper.id}/items`, body);
    }
    const ordered = await shopper.send('POST', '/orders', {
      user_id: shopper.id,
      payment_method: 'credit_card',
    });
    const answer = (await ordered.json()) as { order?: { id: string }; order_id?: string };
    // A cart whose order was not paid keeps its lines; the next order shall be as small as this one.
    await shopper.send('DELETE', `/carts/${shopper.id}`);
    return answer.order?.id ?? answer.order_id;
  }

  /** Sets the status of an order, if the order is in a state that allows it. */
  async set(order: string, ...statuses: string[]): Promise<void> {
    for (const status of statuses) {
      await this.api
        .admin('PATCH', `/orders/${order}/status`, { status })
        .catch((refused: unknown) => console.log(String(refused)));
    }
  }
}
