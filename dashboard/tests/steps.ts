import { expect, type Locator, type Page } from '@playwright/test';

export const PASSWORD = 'correct horse battery';

let accounts = 0;

/** An e-mail that no account has. */
export function newEmail(): string {
  accounts += 1;
  return `customer-${accounts}-${Date.now()}@example.com`;
}

/**
 * Waits until the page with this heading is there.
 *
 * A page is loaded when it is opened, and until then the one before stays. What is looked for next could be found
 * on that one.
 */
export async function at(page: Page, heading: string | RegExp): Promise<void> {
  const name = typeof heading === 'string' ? { name: heading, exact: true } : { name: heading };
  await expect(page.getByRole('heading', { level: 1, ...name })).toBeVisible();
}

/** Follows a link, and waits until its page is there. */
export async function follow(link: Locator, heading: string | RegExp): Promise<void> {
  await link.click();
  await at(link.page(), heading);
}

/** Opens a page by a link of the bar above all pages. */
export async function goTo(
  page: Page,
  name: string | RegExp,
  heading: string | RegExp,
): Promise<void> {
  const bar = page.getByRole('banner');
  await follow(bar.getByRole('link', { name }), heading);
}

/** Makes an account by the form, and gives its e-mail. */
export async function signUp(page: Page): Promise<string> {
  const email = newEmail();
  await page.goto('/app/sign-up');
  await page.getByLabel('Name').fill('Ada');
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password').fill(PASSWORD);
  await page.getByRole('button', { name: 'Make the account' }).click();
  await expect(page.getByRole('button', { name: 'Account of Ada' })).toBeVisible();
  return email;
}

export async function signIn(page: Page, email: string, password: string): Promise<void> {
  await page.goto('/app/sign-in');
  await page.getByLabel('E-mail').fill(email);
  await page.getByLabel('Password').fill(password);
  await page.getByRole('main').getByRole('button', { name: 'Sign in' }).click();
  await expect(page.getByRole('button', { name: /^Account of/ })).toBeVisible();
}

/** The link of the catalogue to the product of this name. */
export function productLink(page: Page, name: string): Locator {
  const heading = page.getByRole('heading', { level: 2, name, exact: true });
  return page.getByRole('main').getByRole('link').filter({ has: heading });
}

/** Goes to a product by the catalogue: a reload would end the session. */
export async function openProduct(page: Page, name: string): Promise<void> {
  await goTo(page, 'Catalogue', 'Catalogue');
  await follow(productLink(page, name), name);
}

/** From the page of a product whose unit is in the cart to the checkout. */
export async function fromCartToCheckout(page: Page): Promise<void> {
  await follow(page.getByRole('link', { name: 'To the cart' }), 'Cart');
  await follow(page.getByRole('link', { name: 'To the checkout' }), 'Checkout');
}

/** Puts one unit of a product into the cart, and goes to the checkout. */
export async function toCheckout(page: Page, name: string): Promise<void> {
  await openProduct(page, name);
  await page.getByRole('button', { name: 'Put into the cart' }).click();
  await fromCartToCheckout(page);
}

export async function order(page: Page): Promise<void> {
  await page.getByRole('button', { name: /^Order and pay/ }).click();
}

/** The status that the page of an order shows, for its customer or for an operator. */
export async function hasStatus(page: Page, status: string, timeout?: number): Promise<void> {
  const shown = page.getByRole('main').getByRole('status').getByText(status, { exact: true });
  await expect(shown).toBeVisible(timeout === undefined ? {} : { timeout });
}

/** Cancels the order whose page is open, and answers the question. */
export async function cancelOrder(page: Page, question?: string): Promise<void> {
  await page.getByRole('button', { name: 'Cancel the order' }).click();
  const dialog = page.getByRole('dialog', { name: 'Cancel this order?' });
  if (question !== undefined) await expect(dialog).toContainText(question);
  await dialog.getByRole('button', { name: 'Cancel the order' }).click();
}

/** Opens a page of operations, from any other page. */
export async function operate(page: Page, name: string): Promise<void> {
  // By the overview: another page may have the same heading.
  await goTo(page, 'Operations', 'Overview');
  const operations = page.getByRole('navigation', { name: 'Operations' });
  await follow(operations.getByRole('link', { name, exact: true }), name);
}
