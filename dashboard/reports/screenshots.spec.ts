import { mkdirSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import type { BrowserContextOptions, Page } from '@playwright/test';
import { expect, test, type Visitor } from '../tests/fixtures';
import {
  at,
  follow,
  goTo,
  openProduct,
  operate,
  PASSWORD,
  productLink,
  signIn,
} from '../tests/steps';
import { Shop } from './lively';

/** How long the shop is busy before the pictures, minutes: so much is in the charts. */
const MINUTES = Number(process.env['MINUTES'] ?? 4);

const FOLDER = resolve(import.meta.dirname, '../test-results/pictures');
const DOCS = resolve(import.meta.dirname, '../../docs/dashboard');

/** Pictures that the docs show. */
const BEST: Record<string, string> = {
  'wide-light-overview': 'overview',
  'wide-dark-fleet': 'fleet',
  'wide-light-admin-order': 'order',
};

/** Pictures of a phone, which the docs show beside each other. */
const PHONES = ['phone-light-catalogue', 'phone-dark-product', 'phone-light-order-cancelled'];

/** The largest picture in the docs, bytes. */
const LARGEST = 150_000;

const DEVICES: [string, BrowserContextOptions][] = [
  ['wide', { viewport: { width: 1440, height: 900 }, deviceScaleFactor: 1 }],
  [
    'phone',
    { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 },
  ],
];

const pause = (ms: number) => new Promise((wake) => setTimeout(wake, ms));

test('screenshots of every page', async ({ api, engine, visit }) => {
  mkdirSync(FOLDER, { recursive: true });
  mkdirSync(DOCS, { recursive: true });
  await api.provider(0.2, 400, ['INSUFFICIENT_FUNDS']);
  const shop = await Shop.open(engine, api);
  const visitors: [string, Visitor, Visitor][] = [];
  for (const [name, device] of DEVICES) {
    const customer = await visit(device);
    const admin = await visit(device);
    await signIn(customer.page, shop.shoppers[0]?.email ?? '', PASSWORD);
    await signIn(admin.page, engine.admin.email, engine.admin.password);
    await expect(admin.page.getByRole('heading', { name: 'Overview' })).toBeVisible();
    visitors.push([name, customer, admin]);
  }

  // A busy time, with orders of all states.
  const paid: string[] = [];
  const until = Date.now() + MINUTES * 60_000;
  for (let turn = 0; Date.now() < until; turn += 1) {
    const id = await shop.order(turn);
    if (id !== undefined) paid.push(id);
    await pause(turn % 4 === 0 ? 4000 : 1500);
  }
  for (const [at, id] of paid.entries()) {
    if (at % 5 === 1) await shop.set(id, 'SHIPPED');
    if (at % 5 === 2) await shop.set(id, 'SHIPPED', 'DELIVERED');
    if (at % 7 === 3) await shop.set(id, 'CANCELLED');
  }
  await api.calm();
  const cancelled = await shop.order(0);
  if (cancelled !== undefined) await shop.set(cancelled, 'CANCELLED');
  // The provider breaks: the circuit breaker opens.
  await api.provider(1, 100, ['TEMPORARILY_UNAVAILABLE']);
  for (let failed = 0; failed < 4; failed += 1) await shop.order(failed);
  await expect.poll(() => api.openBreakers()).toEqual(['process-payment']);
  await pause(7000);

  const pictures = new Map<string, Buffer>();
  for (const [device, customer, admin] of visitors) {
    const shot = async (page: Page, name: string) => {
      await expect(page.getByRole('status', { name: /loading$/ })).toHaveCount(0);
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
        const path = `${FOLDER}/${device}-${colorScheme}-${name}.png`;
        const picture = await page.screenshot({
          path,
          fullPage: true,
          caret: 'initial',
          // The colours of the scheme that was chosen, and not those on the way to it.
          animations: 'disabled',
        });
        pictures.set(`${device}-${colorScheme}-${name}`, picture);
      }
    };
    await operations(admin.page, shot);
    await purchases(customer.page, shot);
  }
  shop.close();

  const { page } = await visit();
  const taken = (picture: string) => {
    const png = pictures.get(picture);
    if (png === undefined) throw new Error(`there is no picture ${picture}`);
    return png;
  };
  const write = (name: string, webp: Buffer) => {
    expect(webp.length, `${name}.webp`).toBeLessThanOrEqual(LARGEST);
    writeFileSync(`${DOCS}/${name}.webp`, webp);
  };
  for (const [picture, name] of Object.entries(BEST)) {
    write(name, await asWebp(page, [taken(picture)]));
  }
  write('phone', await asWebp(page, PHONES.map(taken), { width: 390, height: 844 }));
});

type Shot = (page: Page, name: string) => Promise<void>;

async function operations(page: Page, shot: Shot): Promise<void> {
  await shot(page, 'overview');
  await page.getByLabel('Latency of').selectOption('ALL');
  await shot(page, 'overview-requests');
  for (const [heading, name] of [
    ['Fleet', 'fleet'],
    ['Orders', 'admin-orders'],
    ['Products', 'admin-products'],
    ['Users', 'users'],
    ['Payment provider', 'provider'],
    ['Keys', 'keys'],
  ] as const) {
    await operate(page, heading);
    await shot(page, name);
  }
  await operate(page, 'Users');
  await page.getByRole('button', { name: 'Disable Ada Novak' }).click();
  await shot(page, 'disable');
  await page.getByRole('button', { name: 'Leave it' }).click();
  await operate(page, 'Orders');
  for (const [status, name] of [
    ['CANCELLED', 'admin-order'],
    ['DELIVERED', 'admin-order-delivered'],
    ['FAILED', 'admin-order-failed'],
  ] as const) {
    await operate(page, 'Orders');
    await page.getByLabel('Status').selectOption(status);
    const table = page.getByRole('table', { name: 'Orders', exact: true });
    const label =
      name === 'admin-order' ? 'Cancelled' : status === 'FAILED' ? 'Failed' : 'Delivered';
    await expect(table.locator('tbody tr').first()).toContainText(label);
    await follow(table.locator('tbody tr').first().getByRole('link'), /^Order /);
    await expect(page.getByRole('table', { name: 'Steps' })).toBeVisible();
    await shot(page, name);
  }
  await operate(page, 'Products');
  await follow(page.getByRole('link', { name: 'Add a product' }), 'Add a product');
  await page.getByLabel('Price').fill('a lot');
  await page.getByRole('button', { name: 'Add the product' }).click();
  await expect(page.getByLabel('Price')).toHaveAttribute('aria-invalid', 'true');
  await shot(page, 'new-product');
  await operate(page, 'Products');
  await follow(page.getByRole('link', { name: 'Gyokuro' }), 'Gyokuro');
  await expect(page.getByRole('button', { name: 'Archive' })).toBeVisible();
  await shot(page, 'edit-product');
}

async function purchases(page: Page, shot: Shot): Promise<void> {
  await goTo(page, 'Catalogue', 'Catalogue');
  await expect(productLink(page, 'Gyokuro')).toBeVisible();
  await shot(page, 'catalogue');
  await page.getByLabel('Search products').fill('nothing like it');
  await expect(page.getByText('Nothing is found')).toBeVisible();
  await shot(page, 'catalogue-empty');
  await page.getByLabel('Search products').fill('');
  await openProduct(page, 'Gyokuro');
  await page.getByRole('button', { name: 'Put into the cart' }).click();
  await expect(page.getByText('It is in the cart.')).toBeVisible();
  await shot(page, 'product');
  await openProduct(page, 'Assam, second flush');
  await page.getByRole('button', { name: 'Put into the cart' }).click();
  await follow(page.getByRole('link', { name: 'To the cart' }), 'Cart');
  await shot(page, 'cart');
  await follow(page.getByRole('link', { name: 'To the checkout' }), 'Checkout');
  await shot(page, 'checkout');
  // The circuit breaker is open.
  await page.getByRole('button', { name: /^Order and pay/ }).click();
  await expect(page.getByRole('alert').first()).toBeVisible();
  await shot(page, 'order-failed');
  await goTo(page, 'Orders', 'Orders');
  await shot(page, 'orders');
  await page.getByRole('main').getByText('Cancelled').first().click();
  await at(page, /^Order /);
  await expect(page.getByText('What happened')).toBeVisible();
  await shot(page, 'order-cancelled');
  await page.getByRole('button', { name: 'Account of Ada Novak' }).click();
  await shot(page, 'menu');
  await follow(page.getByRole('menuitem', { name: 'Account' }), 'Account');
  await shot(page, 'account');
  await page.goto('/app/no-such-page');
  await shot(page, 'not-found');
  await page.goto('/app/sign-up');
  await page.getByLabel('E-mail').fill('nobody');
  await page.getByRole('button', { name: 'Make the account' }).click();
  await expect(page.getByText('Name is required')).toBeVisible();
  await shot(page, 'sign-up');
}

/**
 * Pictures beside each other as WebP, which the browser writes: a quarter of the size of PNG. With a `window`, each
 * shows so much from its top, at that width.
 */
async function asWebp(
  page: Page,
  pngs: readonly Buffer[],
  window?: { width: number; height: number },
): Promise<Buffer> {
  const draw = async ({ all, part }: { all: string[]; part: typeof window }) => {
    const images = await Promise.all(
      all.map((base64) => {
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        return createImageBitmap(new Blob([bytes], { type: 'image/png' }));
      }),
    );
    const gap = 24;
    const widths = images.map((image) => part?.width ?? image.width);
    const canvas = document.createElement('canvas');
    canvas.width = widths.reduce((sum, width) => sum + width + gap, -gap);
    canvas.height = part?.height ?? Math.max(...images.map((image) => image.height));
    const context = canvas.getContext('2d');
    let left = 0;
    for (const [at, image] of images.entries()) {
      const width = widths[at] ?? 0;
      context?.drawImage(image, left, 0, width, (image.height * width) / image.width);
      left += width + gap;
    }
    return canvas.toDataURL('image/webp', 0.85);
  };
  const all = pngs.map((png) => png.toString('base64'));
  const url = await page.evaluate(draw, { all, part: window });
  return Buffer.from(url.split(',')[1] ?? '', 'base64');
}
