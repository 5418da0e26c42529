import { accessible, expect, test } from './fixtures';
import { at, follow, hasStatus, operate, order, signIn, signUp, toCheckout } from './steps';

test('an admin adds a product, sells it, ships it, and archives it', async ({
  api,
  engine,
  visit,
}) => {
  await api.calm();
  const { page: admin } = await visit();
  await signIn(admin, engine.admin.email, engine.admin.password);
  await operate(admin, 'Products');
  await accessible(admin);
  await follow(admin.getByRole('link', { name: 'Add a product' }), 'Add a product');
  await admin.getByLabel('Name').fill('Lapsang');
  await admin.getByLabel('Price').fill('a lot');
  await admin.getByRole('button', { name: 'Add the product' }).click();
  await expect(admin.getByLabel('Price')).toHaveAttribute('aria-invalid', 'true');
  await accessible(admin);
  await admin.getByLabel('Price').fill('6.50');
  await admin.getByLabel('Stock').fill('3');
  await admin.getByRole('button', { name: 'Add the product' }).click();
  await at(admin, 'Lapsang');

  await admin.getByLabel('Price').fill('7.25');
  await admin.getByRole('button', { name: 'Save' }).click();
  await expect(admin.getByText('Saved.')).toBeVisible();
  await admin.getByLabel('Change by').fill('-4');
  await admin.getByRole('button', { name: 'Change the stock' }).click();
  await expect(admin.getByRole('alert')).toBeVisible();
  await admin.getByLabel('Change by').fill('2');
  await admin.getByRole('button', { name: 'Change the stock' }).click();
  await expect(admin.getByRole('region', { name: 'Stock' }).getByRole('status')).toHaveText('5');
  await accessible(admin);

  const { page: customer } = await visit();
  await signUp(customer);
  await toCheckout(customer, 'Lapsang');
  await order(customer);
  await hasStatus(customer, 'Paid');

  await operate(admin, 'Orders');
  const row = admin.getByRole('row', { name: 'Lapsang' });
  await expect(row).toContainText('€7.25');
  await accessible(admin);
  await follow(row.getByRole('link'), /^Order /);
  await expect(admin.getByRole('row', { name: /^charging/ })).toContainText('create-order');
  await accessible(admin);
  await admin.getByRole('button', { name: 'Ship' }).click();
  await admin.getByRole('button', { name: 'Deliver' }).click();
  await hasStatus(admin, 'Delivered');

  await operate(admin, 'Products');
  await follow(admin.getByRole('link', { name: 'Lapsang', exact: true }), 'Lapsang');
  await admin.getByRole('button', { name: 'Archive' }).click();
  await admin.getByRole('dialog').getByRole('button', { name: 'Archive' }).click();
  await expect(admin.getByText(/^Archived on/)).toBeVisible();
});

test('charges that fail open the circuit breaker, and the shop recovers', async ({
  api,
  engine,
  visit,
}) => {
  test.slow();
  await api.product('Pu-erh', 11, 50);
  const { page: admin } = await visit();
  await signIn(admin, engine.admin.email, engine.admin.password);
  await operate(admin, 'Payment provider');
  await accessible(admin);
  await admin.getByRole('slider', { name: 'Charges that fail' }).press('End');
  await admin.getByRole('slider', { name: 'Longest time' }).press('Home');
  await admin.getByRole('slider', { name: 'Shortest time' }).press('Home');
  await admin.getByRole('checkbox', { name: /Gateway timeout/ }).uncheck();
  await admin.getByRole('checkbox', { name: /Insufficient funds/ }).uncheck();
  await admin.getByRole('button', { name: 'Set' }).click();
  await expect(admin.getByText('100% of the charges fail.')).toBeVisible();

  const { page: customer } = await visit();
  await signUp(customer);
  for (let failed = 0; failed < 3; failed += 1) {
    await toCheckout(customer, 'Pu-erh');
    await order(customer);
    await at(customer, /^Order /);
    await expect(customer.getByRole('alert')).toContainText('This order was not completed');
  }
  await expect.poll(() => api.openBreakers()).toEqual(['process-payment']);
  await api.calm();

  await operate(admin, 'Overview');
  await expect(admin.getByText('Orders per minute')).toBeVisible();
  await accessible(admin);
  await operate(admin, 'Orders');
  await admin.getByLabel('Status').selectOption('FAILED');
  await expect(admin.getByRole('row', { name: 'Pu-erh' })).toHaveCount(3);

  // The circuit breaker is open for 30 s. Then two orders that are paid close it.
  for (let paid = 0; paid < 2; paid += 1) {
    await expect(async () => {
      await toCheckout(customer, 'Pu-erh');
      await order(customer);
      await hasStatus(customer, 'Paid', 4_000);
    }).toPass({ intervals: [1_000, 5_000] });
  }
  await expect.poll(() => api.openBreakers()).toEqual([]);
});
