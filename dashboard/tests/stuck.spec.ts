import { accessible, expect, test } from './fixtures';
import {
  cancelOrder,
  follow,
  hasStatus,
  operate,
  order,
  signIn,
  signUp,
  toCheckout,
} from './steps';

test('an order whose refund is put off comes first, and an admin drives it on', async ({
  api,
  engine,
  visit,
}) => {
  test.slow();
  await api.calm();
  await api.product('Keemun Mao Feng', 14, 10);
  await api.product('Bancha', 6, 10);
  const { page: customer } = await visit();
  await signUp(customer);
  await toCheckout(customer, 'Keemun Mao Feng');
  await order(customer);
  await hasStatus(customer, 'Paid');
  // A newer one, which is not stuck.
  const { page: other } = await visit();
  await signUp(other);
  await toCheckout(other, 'Bancha');
  await order(other);
  await hasStatus(other, 'Paid');

  const { page: admin } = await visit();
  await signIn(admin, engine.admin.email, engine.admin.password);
  await operate(admin, 'Orders');
  const stuck = admin.getByRole('region', { name: 'Stuck' });
  await expect(admin.getByRole('row', { name: 'Bancha' })).toBeVisible();
  await expect(stuck.getByRole('row', { name: 'Keemun Mao Feng' })).toHaveCount(0);

  // The payment provider is down, also for refunds: the refund is put off, and nobody drives the order.
  await api.provider(1, 0, ['TEMPORARILY_UNAVAILABLE']);
  await cancelOrder(customer);
  await expect(customer.getByRole('dialog').getByRole('alert')).toContainText(
    'the order is being cancelled',
  );
  const row = stuck.getByRole('row', { name: 'Keemun Mao Feng' });
  await expect(row).toBeVisible();
  await expect(admin.getByRole('main').getByRole('table').first()).toHaveAccessibleName(
    'Stuck orders',
  );
  await expect(admin.getByRole('main').locator('tbody tr').first()).toContainText('Keemun');
  await accessible(admin);

  await follow(row.getByRole('link'), /^Order /);
  await expect(
    admin.getByText(/^Nobody drives this order\. The next step is refunding/),
  ).toBeVisible();
  await hasStatus(admin, 'Paid');
  await accessible(admin);
  const driveOn = admin.getByRole('button', { name: 'Drive on now' });
  const tries = admin.getByRole('table', { name: 'Steps' }).getByRole('row', {
    name: /^refunding/,
  });
  // The provider is still down. Each press drives, once the pause after the last try is over, and puts it off again.
  await expect(async () => {
    await driveOn.click();
    await expect(tries.filter({ hasText: 'get-order' }).first()).toContainText('put off', {
      timeout: 1_000,
    });
  }).toPass();

  await api.calm();
  await expect(async () => {
    // The job that tries such orders each minute may have been faster.
    if (await driveOn.isVisible()) await driveOn.click();
    await hasStatus(admin, 'Cancelled', 1_000);
  }).toPass();
  await expect(driveOn).toBeHidden();
  await expect(tries.last()).toContainText('done');
  await accessible(admin);
  await operate(admin, 'Orders');
  await expect(stuck).toHaveCount(0);
});
