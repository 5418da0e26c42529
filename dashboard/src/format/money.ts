/** The shop's currency, an ISO 4217 code. The API's amounts have no currency of their own. */
const CURRENCY = import.meta.env.VITE_CURRENCY ?? 'EUR';

const money = new Intl.NumberFormat(undefined, { style: 'currency', currency: CURRENCY });
const numbers = new Intl.NumberFormat();
const percents = new Intl.NumberFormat(undefined, { style: 'percent', maximumFractionDigits: 1 });

/** An amount, as people of this locale write it. */
export function amount(value: number): string {
  return money.format(value);
}

export function count(value: number): string {
  return numbers.format(value);
}

/** How many there are: `1 product`, `24 products`, `100 products or more`. */
export function counted(value: number, one: string, many: string, orMore = false): string {
  return `${count(value)} ${value === 1 ? one : many}${orMore ? ' or more' : ''}`;
}

/** A share of 1, in percent. */
export function percent(share: number): string {
  return percents.format(share);
}
