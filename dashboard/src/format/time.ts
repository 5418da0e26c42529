const dateTimes = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium', timeStyle: 'short' });
const dates = new Intl.DateTimeFormat(undefined, { dateStyle: 'medium' });
const clocks = new Intl.DateTimeFormat(undefined, { timeStyle: 'medium' });
const minutes = new Intl.DateTimeFormat(undefined, { timeStyle: 'short' });
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: 'auto' });
const seconds = new Intl.NumberFormat(undefined, { maximumFractionDigits: 1 });

const UNITS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1000],
];

export function dateTime(time: string | number): string {
  return dateTimes.format(new Date(time));
}

export function date(time: string): string {
  return dates.format(new Date(time));
}

/** The time of a day, with seconds. */
export function clock(time: string | number): string {
  return clocks.format(new Date(time));
}

/** The time of a day, without seconds. */
export function minute(time: number): string {
  return minutes.format(new Date(time));
}

/** How long ago that was, or how soon it will be: `5 minutes ago`. */
export function ago(time: string | number, now = Date.now()): string {
  const past = new Date(time).getTime() - now;
  const [unit, size] = UNITS.find(([, size]) => Math.abs(past) >= size) ?? ['second', 1000];
  return relative.format(Math.round(past / size), unit);
}

/** A length of time: `840 ms`, `2.1 s`. */
export function duration(milliseconds: number): string {
  const ms = Math.max(0, milliseconds);
  return ms < 1000 ? `${Math.round(ms)} ms` : `${seconds.format(ms / 1000)} s`;
}
