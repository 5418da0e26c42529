import { expect, type Page } from '@playwright/test';

export const PASSWORD = 'correct horse battery';

let accounts = 0;

/** An e-mail that no account has. */
export function newEmail(): string {
  accounts += 1;
  return `customer-${accounts}-${Date.now()}@example.com`;
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

/** Goes to a product by the catalogue: a reload would end the session. */
export async function openProduct(page: Page, name: string): Promise<void> {
  await page
    .getByRole('navigation', { name: 'Main' })
    .getByRole('link', { name: 'Catalogue' })
    .click();
  await page.getByRole('link', { name }).click();
  await expect(page.getByRole('heading', { level: 1, name })).toBeVisible();
}

/** Puts one unit of a product into the cart, and goes to the checkout. */
export async function toCheckout(page: Page, name: string): Promise<void> {
  await openProduct(page, name);
  await page.getByRole('button', { name: 'Put into the cart' }).click();
  await page.getByRole('link', { name: 'To the cart' }).click();
  await page.getByRole('link', { name: 'To the checkout' }).click();
  await expect(page.getByRole('heading', { level: 1, name: 'Checkout' })).toBeVisible();
}

export async function order(page: Page): Promise<void> {
  await page.getByRole('button', { name: /^Order and pay/ }).click();
}

/** Opens a page of operations. */
export async function go(page: Page, name: string): Promise<void> {
  await page
    .getByRole('navigation', { name: 'Main' })
    .getByRole('link', { name: 'Operations' })
    .click();
  await page.getByRole('navigation', { name: 'Operations' }).getByRole('link', { name }).click();
  await expect(page.getByRole('heading', { level: 1, name })).toBeVisible();
}
