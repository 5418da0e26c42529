import { accessible, expect, test } from './fixtures';
import {
  at,
  cancelOrder,
  follow,
  goTo,
  hasStatus,
  openProduct,
  order,
  PASSWORD,
  productLink,
  signIn,
  signUp,
  toCheckout,
} from './steps';

test('a newcomer signs up, orders, watches the saga, and cancels', async ({ api, visit }) => {
  await api.product('Assam tea', 4.5, 10);
  const { page, open } = await visit();
  await open('/');
  await expect(productLink(page, 'Assam tea')).toBeVisible();
  await accessible(page);
  await signUp(page);
  await openProduct(page, 'Assam tea');
  await accessible(page);
  await page.getByLabel('Quantity').fill('2');
  await page.getByRole('button', { name: 'Put into the cart' }).click();
  await follow(page.getByRole('link', { name: 'To the cart' }), 'Cart');
  await page.getByRole('button', { name: 'One unit more of Assam tea' }).click();
  await expect(page.getByTestId('total')).toHaveText('€13.50');
  await accessible(page);
  await follow(page.getByRole('link', { name: 'To the checkout' }), 'Checkout');
  await accessible(page);

  await api.provider(0, 1500);
  await order(page);
  // The page of the order is there before the charge is made.
  await expect(page.getByText('Charging the payment …')).toBeVisible();
  await hasStatus(page, 'Paid');
  await accessible(page);
  await api.calm();

  await cancelOrder(page, '€13.50 are refunded');
  await expect(page.getByText('Refunded', { exact: true })).toBeVisible();
  await goTo(page, 'Orders', 'Orders');
  await expect(page.getByRole('main').getByText('Cancelled')).toBeVisible();
  await accessible(page);
});

test('words of the server stand beside the field that they name', async ({ visit }) => {
  const { page, open } = await visit();
  await open('/sign-up');
  await page.getByLabel('E-mail').fill('nobody');
  await page.getByRole('button', { name: 'Make the account' }).click();
  await expect(page.getByText('Name is required')).toBeVisible();
  await expect(page.getByLabel('E-mail')).toHaveAccessibleDescription(/must be an e-mail address/);
  await expect(page.getByLabel('Name')).toBeFocused();
  await accessible(page);
});

test('a declined payment leaves the cart, and says why', async ({ api, visit }) => {
  await api.product('Ceylon tea', 5, 10);
  const { page } = await visit();
  await signUp(page);
  await toCheckout(page, 'Ceylon tea');
  await api.provider(1, 0, ['INSUFFICIENT_FUNDS']);
  await order(page);
  await expect(page.getByRole('alert')).toContainText('insufficient funds');
  await accessible(page);
  await api.calm();
  await goTo(page, 'Cart, 1 unit', 'Cart');
  await expect(page.getByText('Ceylon tea')).toBeVisible();
});

test('two browsers want the last unit, and one gets it', async ({ api, visit }) => {
  await api.product('The last cup', 9, 1);
  const pages = [(await visit()).page, (await visit()).page];
  for (const page of pages) {
    await signUp(page);
    await toCheckout(page, 'The last cup');
  }
  await Promise.all(pages.map(order));
  const ended = pages.map(async (page) => {
    await at(page, /^Order /);
    // While it loads, the page has another status, too.
    const status = page
      .getByRole('main')
      .getByRole('status')
      .getByText(/^(Paid|Failed)$/);
    await expect(status).toBeVisible();
    return (await status.textContent()) === 'Paid';
  });
  const paid = await Promise.all(ended);
  expect(paid.filter(Boolean)).toHaveLength(1);
});

test('a double click does it once', async ({ api, visit }) => {
  await api.product('Sencha', 7, 10);
  const { page } = await visit();
  await signUp(page);
  await openProduct(page, 'Sencha');
  await page.getByRole('button', { name: 'Put into the cart' }).dblclick();
  await follow(page.getByRole('link', { name: 'To the cart' }), 'Cart');
  await expect(page.getByTestId('total')).toHaveText('€7.00');
  await follow(page.getByRole('link', { name: 'To the checkout' }), 'Checkout');
  await page.getByRole('button', { name: /^Order and pay/ }).dblclick();
  await hasStatus(page, 'Paid');
  await goTo(page, 'Orders', 'Orders');
  await expect(page.getByRole('main').getByRole('listitem')).toHaveCount(1);
});

test('the back button leads through the pages, and never orders again', async ({ api, visit }) => {
  await api.product('Gyokuro', 12, 10);
  const { page } = await visit();
  await signUp(page);
  await toCheckout(page, 'Gyokuro');
  await order(page);
  await hasStatus(page, 'Paid');
  await page.goBack();
  await expect(page.getByText('The cart is empty')).toBeVisible();
  await page.goBack();
  await at(page, 'Gyokuro');
});

test('who changes the password stays signed in, and other places are asked for it', async ({
  api,
  visit,
}) => {
  await api.product('Houjicha', 6, 10);
  const { page } = await visit();
  const email = await signUp(page);
  const sent = (method: string, path: RegExp) =>
    page.waitForRequest((it) => it.method() === method && path.test(new URL(it.url()).pathname));
  const account = page.getByRole('button', { name: 'Account of Ada' });
  await account.click();
  await follow(page.getByRole('menuitem', { name: 'Account' }), 'Account');
  await page.getByLabel('Present password').fill(PASSWORD);
  await page.getByLabel('New password').fill('battery staple horse');
  const changing = sent('POST', /^\/users\/[^/]+\/password$/);
  const signingIn = page.waitForResponse((it) => it.url().endsWith('/auth/login'));
  await page.getByRole('button', { name: 'Change the password' }).click();
  const before = await (await changing).headerValue('authorization');
  const { token } = (await (await signingIn).json()) as { token: string };
  await expect(page.getByText('The password is changed.')).toBeVisible();
  await accessible(page);
  // What comes next has the new token, because functions refuse the old one within a minute.
  expect(before).not.toBe(`Bearer ${token}`);
  await openProduct(page, 'Houjicha');
  const adding = sent('POST', /^\/carts\//);
  await page.getByRole('button', { name: 'Put into the cart' }).click();
  expect(await (await adding).headerValue('authorization')).toBe(`Bearer ${token}`);
  await expect(page.getByRole('link', { name: 'Cart, 1 unit' })).toBeVisible();

  const { page: elsewhere } = await visit();
  await signIn(elsewhere, email, 'battery staple horse');
});
