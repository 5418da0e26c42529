import { cpus } from 'node:os';
import { expect, test } from '../tests/fixtures';
import { Front } from '../tests/front';

/** How often each is measured. */
const ROUNDS = Number(process.env['ROUNDS'] ?? 15);

/** The middle one of the values. */
function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN;
}

interface Load {
  /** The head of the page's own answer, and the page with what it needs, milliseconds from the navigation on. */
  readonly head: number;
  readonly loaded: number;
  /** The first product can be clicked. */
  readonly clickable: number;
  /** Bytes that were sent, with their heads. */
  readonly bytes: number;
}

test('the time until the catalogue can be used', async ({ api, browser, engine }) => {
  for (const name of ['Assam', 'Ceylon', 'Sencha', 'Oolong']) await api.product(name, 5, 100);

  /** A browser that has nothing in its cache opens the shop. */
  const load = async (): Promise<Load> => {
    // The page comes from its function, as at the edge.
    const front = new Front(() => engine.port, 'engine');
    const context = await browser.newContext({ baseURL: await front.listen() });
    const page = await context.newPage();
    const product = page.getByRole('link', { name: /^Assam/ });
    await page.goto('/app/', { waitUntil: 'commit' });
    // Clickable as Playwright means it: visible, still, enabled, and nothing lies above it.
    await product.click({ trial: true });
    const measured = await page.evaluate(() => {
      const now = performance.now();
      const [navigation] = performance.getEntriesByType(
        'navigation',
      ) as PerformanceNavigationTiming[];
      const resources = performance.getEntriesByType('resource') as PerformanceResourceTiming[];
      const all = [...(navigation === undefined ? [] : [navigation]), ...resources];
      return {
        head: navigation?.responseStart ?? NaN,
        loaded: navigation?.loadEventEnd ?? NaN,
        clickable: now,
        bytes: all.reduce((sum, { transferSize }) => sum + transferSize, 0),
      };
    });
    await context.close();
    front.close();
    return measured;
  };

  // Not counted: the browser's own first page.
  await load();
  const cold: Load[] = [];
  const warm: Load[] = [];
  for (let round = 0; round < ROUNDS; round += 1) {
    await engine.toZero();
    cold.push(await load());
    warm.push(await load());
  }
  const row = (of: keyof Load) => {
    const [zero, up] = [median(cold.map((one) => one[of])), median(warm.map((one) => one[of]))];
    return { zero: Math.round(zero), warm: Math.round(up), ratio: (zero / up).toFixed(2) };
  };
  const ratios = cold.map((one, round) => one.clickable / (warm[round]?.clickable ?? NaN));
  expect(ratios.every(Number.isFinite)).toBe(true);
  console.table({
    'head of the page, ms': row('head'),
    'page and its files loaded, ms': row('loaded'),
    'first product clickable, ms': row('clickable'),
    bytes: row('bytes'),
  });
  console.log(
    `n = ${ROUNDS}; Chromium ${browser.version()}; ${cpus().length} × ${cpus()[0]?.model ?? ''}; ` +
      `zero ÷ warm by round: median ${median(ratios).toFixed(2)}, ` +
      `${Math.min(...ratios).toFixed(2)} to ${Math.max(...ratios).toFixed(2)}`,
  );
});
