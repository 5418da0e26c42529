import { accessible, expect, test } from './fixtures';
import { at, openProduct, PASSWORD, productLink, signUp } from './steps';

test('a session that ends asks for the password, and the page stays', async ({
  api,
  engine,
  visit,
}) => {
  await api.product('Matcha', 20, 10);
  const { page } = await visit();
  await signUp(page);
  await openProduct(page, 'Matcha');
  await page.getByLabel('Quantity').fill('3');
  // The key that signed the token is gone: no function takes the token any more.
  engine.command('keys', 'rotate');
  engine.command('keys', 'retire', '--now');
  await page.getByRole('button', { name: 'Put into the cart' }).click();
  const dialog = page.getByRole('dialog', { name: 'Your session has ended' });
  await expect(dialog).toBeVisible();
  await accessible(page);
  await dialog.getByLabel('Password').fill(PASSWORD);
  await dialog.getByRole('button', { name: 'Sign in' }).click();
  await expect(dialog).toBeHidden();
  await expect(page.getByLabel('Quantity')).toHaveValue('3');
  await page.getByRole('button', { name: 'Put into the cart' }).click();
  await expect(page.getByRole('link', { name: 'Cart, 3 units' })).toBeVisible();
});

test('the page says that the shop does not answer, and goes on when it is back', async ({
  api,
  engine,
  visit,
}) => {
  await api.product('Oolong', 8, 10);
  const { page, open } = await visit();
  await open('/');
  await expect(productLink(page, 'Oolong')).toBeVisible();
  await engine.stop();
  await productLink(page, 'Oolong').click();
  const banner = page.getByText('The shop does not answer. What you see may be old');
  await expect(banner).toBeVisible();
  await accessible(page);
  await engine.start();
  await at(page, 'Oolong');
  await expect(banner).toBeHidden();
});
