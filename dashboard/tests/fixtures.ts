import { AxeBuilder } from '@axe-core/playwright';
import {
  expect,
  test as base,
  type Browser,
  type BrowserContextOptions,
  type Page,
} from '@playwright/test';
import { Api } from './api';
import { Engine } from './engine';
import { Front } from './front';

/** A browser of one person. */
export interface Visitor {
  readonly page: Page;
  /** Opens a page of the dashboard, as if its address were typed. */
  readonly open: (path: string) => Promise<void>;
}

interface Fixtures {
  /** Makes another browser, on the device that the options describe. */
  readonly visit: (device?: BrowserContextOptions) => Promise<Visitor>;
}

interface Shared {
  readonly engine: Engine;
  readonly api: Api;
}

export const test = base.extend<Fixtures, Shared>({
  engine: [
    // eslint-disable-next-line no-empty-pattern -- Playwright reads which fixtures are used.
    async ({}, use) => {
      const engine = new Engine();
      await engine.start();
      await use(engine);
      await engine.remove();
    },
    { scope: 'worker' },
  ],
  api: [
    async ({ engine }, use) => {
      const front = new Front(() => engine.port);
      const api = new Api(await front.listen(), engine.admin);
      await api.calm();
      await use(api);
      front.close();
    },
    { scope: 'worker' },
  ],
  visit: async ({ browser, engine }, use) => {
    const ends: (() => Promise<void>)[] = [];
    const problems: string[] = [];
    await use(async (device = {}) => {
      const { visitor, end } = await begin(browser, engine, problems, device);
      ends.push(end);
      return visitor;
    });
    for (const end of ends) await end();
    expect(problems, 'errors in the console').toEqual([]);
  },
});

async function begin(
  browser: Browser,
  engine: Engine,
  problems: string[],
  device: BrowserContextOptions,
) {
  const front = new Front(() => engine.port);
  const url = await front.listen();
  const context = await browser.newContext({ baseURL: url, ...device });
  const page = await context.newPage();
  page.on('pageerror', (error) => problems.push(String(error)));
  page.on('console', (message) => {
    // The browser itself notes each request that is refused, and each that got no answer.
    const noted = message.text().startsWith('Failed to load resource');
    if (message.type() === 'error' && !noted) problems.push(message.text());
  });
  const end = async () => {
    await context.close();
    front.close();
  };
  return {
    visitor: {
      page,
      open: async (path: string) => {
        await page.goto(`/app${path}`);
      },
    },
    end,
  };
}

/** What axe finds on this page, by the rules of WCAG 2.2 AA. */
export async function accessible(page: Page): Promise<void> {
  const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa'];
  const { violations } = await new AxeBuilder({ page }).withTags(tags).analyze();
  const found = violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' ')}`,
  );
  expect(found, page.url()).toEqual([]);
}

export { expect };
