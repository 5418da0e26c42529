import type { BrowserContextOptions, Page } from '@playwright/test';
import { accessible, expect, test } from './fixtures';
import {
  at,
  goTo,
  hasStatus,
  openProduct,
  operate,
  order,
  productLink,
  signIn,
  signUp,
  toCheckout,
} from './steps';

const PHONE: BrowserContextOptions = {
  viewport: { width: 390, height: 844 },
  isMobile: true,
  hasTouch: true,
  deviceScaleFactor: 2,
};

const OPERATIONS = ['Overview', 'Fleet', 'Orders', 'Products', 'Users', 'Payment provider', 'Keys'];

/** The page is no wider than its window: nobody has to move it sideways (WCAG 2.2, 1.4.10). */
async function fits(page: Page): Promise<void> {
  const excess = () =>
    page.evaluate(
      () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
    );
  await expect.poll(excess, { message: page.url() }).toBe(0);
}

for (const [name, device] of [
  // Without motion: what fades in has its colours at once.
  ['light, wide', { colorScheme: 'light', reducedMotion: 'reduce' }],
  ['dark, on a phone', { colorScheme: 'dark', reducedMotion: 'reduce', ...PHONE }],
] as [string, BrowserContextOptions][]) {
  test(`every page is accessible, and fits: ${name}`, async ({ api, engine, visit }) => {
    test.slow();
    const tea = `Darjeeling, ${name}`;
    await api.product(tea, 5, 10);
    const { page, open } = await visit(device);
    const check = async (heading: string | RegExp) => {
      await at(page, heading);
      // What is read by and by has come.
      await expect(page.getByRole('status', { name: /loading$/ })).toHaveCount(0);
      await accessible(page);
      await fits(page);
    };
    await open('/no-such-page');
    await check('There is no such page');
    await open('/sign-in');
    await check('Sign in');
    await signUp(page);
    await goTo(page, 'Orders', 'Orders');
    await expect(page.getByText('You have no orders yet')).toBeVisible();
    await check('Orders');
    await goTo(page, 'Cart, empty', 'Cart');
    await expect(page.getByText('The cart is empty')).toBeVisible();
    await check('Cart');
    await page.getByRole('button', { name: 'Account of Ada' }).click();
    const account = page.getByRole('menuitem', { name: 'Account' });
    await expect(account).toBeVisible();
    await accessible(page);
    await account.click();
    await check('Account');
    await toCheckout(page, tea);
    await check('Checkout');
    await order(page);
    await hasStatus(page, 'Paid');
    await check(/^Order /);

    await signIn(page, engine.admin.email, engine.admin.password);
    for (const operation of OPERATIONS) {
      await operate(page, operation);
      await check(operation);
    }
    await operate(page, 'Users');
    await page.getByRole('button', { name: 'Disable Ada' }).first().click();
    await expect(page.getByRole('dialog')).toBeVisible();
    await accessible(page);
    await page.getByRole('button', { name: 'Leave it' }).click();
    await operate(page, 'Products');
    await page.getByRole('link', { name: 'Add a product' }).click();
    await check('Add a product');
    await operate(page, 'Products');
    await page.getByRole('link', { name: tea, exact: true }).click();
    await expect(page.getByRole('button', { name: 'Archive' })).toBeVisible();
    await check(tea);
    await operate(page, 'Orders');
    await page.getByRole('row', { name: tea }).getByRole('link').click();
    await expect(page.getByRole('row', { name: /^charging/ })).toBeVisible();
    await check(/^Order /);
  });
}

/** Presses Tab until this has the focus, and says what had it on the way if it never gets it. */
async function tabTo(page: Page, role: 'button' | 'link' | 'textbox', name: string | RegExp) {
  const wanted = page.getByRole(role, { name }).first();
  await expect(wanted).toBeVisible();
  const passed: string[] = [];
  for (let tabs = 0; tabs < 60; tabs += 1) {
    await page.keyboard.press('Tab');
    if (await wanted.evaluate((element) => element === document.activeElement)) {
      // People must see where the focus is (WCAG 2.2, 2.4.7).
      const seen = await wanted.evaluate((element) => {
        const { outlineStyle, outlineWidth } = getComputedStyle(element);
        const field = element.closest('.Mui-focused');
        return field !== null || (outlineStyle !== 'none' && outlineWidth !== '0px');
      });
      expect(seen, `the focus on ${String(name)} can be seen`).toBe(true);
      return;
    }
    passed.push(await page.evaluate(() => document.activeElement?.outerHTML.slice(0, 80) ?? ''));
  }
  throw new Error(`${String(name)} never has the focus: ${passed.join('\n')}`);
}

test('with the keyboard alone, a newcomer gets from the catalogue to a paid order', async ({
  api,
  visit,
}) => {
  await api.product('Yunnan', 9, 10);
  const { page, open } = await visit();
  const { keyboard } = page;
  await open('/');
  await tabTo(page, 'link', 'Sign in');
  await keyboard.press('Enter');
  await at(page, 'Sign in');
  await tabTo(page, 'link', 'Make an account');
  await keyboard.press('Enter');
  await at(page, 'Make an account');
  await tabTo(page, 'textbox', 'Name');
  await keyboard.type('Grace');
  await keyboard.press('Tab');
  await keyboard.type(`keyboard-${Date.now()}@example.com`);
  await keyboard.press('Tab');
  await keyboard.type('correct horse battery');
  await keyboard.press('Enter');
  await expect(page.getByRole('button', { name: 'Account of Grace' })).toBeVisible();
  await expect(page.getByRole('heading', { level: 1, name: 'Catalogue' })).toBeFocused();
  await tabTo(page, 'link', /^Yunnan/);
  await keyboard.press('Enter');
  await at(page, 'Yunnan');
  await tabTo(page, 'button', 'Put into the cart');
  await keyboard.press('Enter');
  await tabTo(page, 'link', 'To the cart');
  await keyboard.press('Enter');
  await at(page, 'Cart');
  await tabTo(page, 'link', 'To the checkout');
  await keyboard.press('Enter');
  await at(page, 'Checkout');
  await tabTo(page, 'button', /^Order and pay/);
  await keyboard.press('Enter');
  await hasStatus(page, 'Paid');
  // A dialog takes the focus, Escape closes it, and the focus is where it was.
  await tabTo(page, 'button', 'Cancel the order');
  await keyboard.press('Enter');
  const dialog = page.getByRole('dialog');
  await expect(dialog).toBeVisible();
  await expect(dialog.locator(':focus')).toHaveCount(1);
  await keyboard.press('Escape');
  await expect(dialog).toBeHidden();
  await expect(page.getByRole('button', { name: 'Cancel the order' })).toBeFocused();
});

test('on a phone, a newcomer gets from the catalogue to a paid order', async ({ api, visit }) => {
  const long = 'A tea with a rather long name, of the second flush';
  await api.product(long, 1234.5, 10);
  const { page, open } = await visit(PHONE);
  await open('/');
  await expect(productLink(page, long)).toBeVisible();
  await fits(page);
  await signUp(page);
  await openProduct(page, long);
  await fits(page);
  await page.getByRole('button', { name: 'Put into the cart' }).tap();
  await page.getByRole('link', { name: 'To the cart' }).tap();
  await at(page, 'Cart');
  await page.getByRole('button', { name: /^One unit more of A tea/ }).tap();
  await expect(page.getByTestId('total')).toHaveText('€2,469.00');
  await fits(page);
  await page.getByRole('link', { name: 'To the checkout' }).tap();
  await at(page, 'Checkout');
  await fits(page);
  await page.getByRole('button', { name: /^Order and pay/ }).tap();
  await hasStatus(page, 'Paid');
  await fits(page);
});
