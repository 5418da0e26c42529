import type { Locator, Page } from '@playwright/test';
import { accessible, expect, test } from './fixtures';
import {
  at,
  follow,
  fromCartToCheckout,
  hasStatus,
  openProduct,
  operate,
  order,
  productLink,
  signIn,
} from './steps';

/** The row of a function in the fleet. */
function row(page: Page, name: string): Locator {
  const cell = page.getByRole('cell', { name, exact: true });
  return page.getByRole('table', { name: 'Functions' }).getByRole('row').filter({ has: cell });
}

/** The cell of a row below the heading of this name. */
async function cell(of: Locator, heading: string): Promise<Locator> {
  const headings = of.page().getByRole('table', { name: 'Functions' }).getByRole('columnheader');
  const names = await headings.allTextContents();
  return of.getByRole('cell').nth(names.indexOf(heading));
}

/** What the page shows of functions that run: how many instances each has. */
async function shown(page: Page): Promise<Map<string, number>> {
  const found = new Map<string, number>();
  for (const title of ['Functions', 'Edge']) {
    const rows = page.getByRole('table', { name: title }).locator('tbody tr');
    const texts = await rows.evaluateAll((all) =>
      all.map((one) => Array.from(one.querySelectorAll('td'), (cell) => cell.textContent)),
    );
    for (const [name = '', state = ''] of texts) {
      const parts = state.matchAll(/(\d*) ?(?:warm|starting|draining)/g);
      const instances = Array.from(parts, ([, number]) => (number === '' ? 1 : Number(number)));
      if (instances.length > 0) {
        found.set(
          name,
          instances.reduce((sum, number) => sum + number, 0),
        );
      }
    }
  }
  return found;
}

test('a function is at zero, starts when a page needs it, and is warm', async ({
  api,
  engine,
  visit,
}) => {
  await api.product('Keemun', 6, 10);
  const { page: admin } = await visit();
  await signIn(admin, engine.admin.email, engine.admin.password);
  await engine.toZero();
  await operate(admin, 'Fleet');
  const product = row(admin, 'get-product');
  await expect(await cell(product, 'State')).toHaveText('at zero');
  const starts = Number(await (await cell(product, 'Cold starts')).textContent());

  const { page: customer, open } = await visit();
  await open('/');
  await follow(productLink(customer, 'Keemun'), 'Keemun');
  await expect(await cell(product, 'State')).toHaveText('warm');
  await expect(await cell(product, 'Cold starts')).toHaveText(String(starts + 1));
  await expect(await cell(product, 'Last start')).toHaveText(/^\d+ ms, /);

  // The same page again needs no start.
  const requests = await cell(product, 'Requests');
  const before = Number(await requests.textContent());
  await customer.reload();
  await at(customer, 'Keemun');
  await expect.poll(async () => Number(await requests.textContent())).toBeGreaterThan(before);
  await expect(await cell(product, 'Cold starts')).toHaveText(String(starts + 1));
});

test('a page tells the cold starts that its own requests caused', async ({
  api,
  engine,
  visit,
}) => {
  await api.product('Genmaicha', 6, 10);
  const { page: admin } = await visit();
  await signIn(admin, engine.admin.email, engine.admin.password);
  await engine.toZero();
  await operate(admin, 'Fleet');
  const own = admin.getByRole('region', { name: 'Cold starts that this page caused' });
  await expect(own.getByRole('row', { name: /^list-functions / })).toContainText(
    'GET /admin/fleet',
  );

  // What another browser starts is not this page's.
  const { page: customer, open } = await visit();
  await open('/');
  await follow(productLink(customer, 'Genmaicha'), 'Genmaicha');
  await expect(await cell(row(admin, 'get-product'), 'State')).toHaveText('warm');
  await expect(own.getByRole('row', { name: /^get-product / })).toHaveCount(0);

  // A function that is called for a request of this page is.
  await engine.toZero();
  await openProduct(admin, 'Genmaicha');
  await admin.getByRole('button', { name: 'Put into the cart' }).click();
  await expect(admin.getByText('It is in the cart.')).toBeVisible();
  await engine.toZero();
  await fromCartToCheckout(admin);
  await engine.toZero();
  await order(admin);
  await hasStatus(admin, 'Paid');
  await operate(admin, 'Fleet');
  for (const name of ['create-order', 'process-payment']) {
    await expect(own.getByRole('row', { name: new RegExp(`^${name} `) })).toContainText(
      'POST /orders',
    );
  }
  await accessible(admin);
});

test('the fleet is what runs: the page, zerocart ps and the kernel agree', async ({
  api,
  engine,
  visit,
}) => {
  await api.product('Pouchong', 6, 10);
  const { page: admin } = await visit();
  await signIn(admin, engine.admin.email, engine.admin.password);
  await operate(admin, 'Fleet');
  const agree = async () => {
    const page = await shown(admin);
    const running = engine.ps();
    const all = engine.processes();
    const kernel = new Map([...running.keys()].map((name) => [name, all.get(name) ?? []]));
    expect(kernel).toEqual(running);
    // No other program of the fleet runs: what is left are parts of the engine.
    const names = await admin.getByRole('table').locator('tbody td:first-child').allTextContents();
    const jobs = await admin.getByRole('table', { name: 'Jobs' }).getByText('runs now').count();
    const programs = [...all.keys()].filter((name) => names.includes(name)).sort();
    if (jobs === 0) expect(programs).toEqual([...running.keys()].sort());
    expect(page).toEqual(new Map([...running].map(([name, pids]) => [name, pids.length])));
    return page;
  };
  // The page reads every three seconds; a function may come or go between two looks.
  await expect(async () => {
    expect([...(await agree()).keys()]).toContain('list-functions');
  }).toPass();

  const { page: customer, open } = await visit();
  await engine.toZero();
  await open('/');
  await expect(async () => {
    // A function without requests ends, so each look comes after a request.
    await customer.reload();
    await expect(productLink(customer, 'Pouchong')).toBeVisible();
    const running = await agree();
    expect([...running.keys()]).toEqual(
      expect.arrayContaining(['list-functions', 'list-products']),
    );
    expect([...running.keys()]).not.toContain('create-order');
  }).toPass();
});

test('the fleet shows an instance that starts', async ({ engine, visit }) => {
  const { page: admin } = await visit();
  await signIn(admin, engine.admin.email, engine.admin.password);
  // A start is over in less time than between two looks: the answer is held at that moment.
  await admin.route('**/admin/fleet', async (route) => {
    const response = await route.fetch();
    const fleet = (await response.json()) as {
      functions: { name: string; instances: { starting: number; ready: number } }[];
    };
    const functions = fleet.functions.map((one) =>
      one.name === 'create-order'
        ? { ...one, instances: { ...one.instances, starting: 2, ready: 0 } }
        : one,
    );
    await route.fulfill({ response, json: { ...fleet, functions } });
  });
  await operate(admin, 'Fleet');
  await expect(await cell(row(admin, 'create-order'), 'State')).toHaveText('2 starting');
});
