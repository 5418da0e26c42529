import type { components } from '../../api/schema';

export type Step = components['schemas']['OrderStep'];

/** How a step of the saga stands. */
export type Standing = 'not begun' | 'next' | 'under way' | 'done' | 'not done';

/** A step of the saga in the diagram. */
export interface Node {
  readonly step: string;
  readonly name: string;
  readonly standing: Standing;
  /** How often it was begun. */
  readonly attempts: number;
}

/** The way to a delivered order. */
export const FORWARD = [
  { step: 'reserving', name: 'Reserve stock' },
  { step: 'charging', name: 'Charge' },
  { step: 'clearing the cart', name: 'Clear cart' },
  { step: 'shipped', name: 'Ship' },
  { step: 'delivered', name: 'Deliver' },
];

/** What undoes the forward step of the same place. */
export const BACK = [
  { step: 'releasing', name: 'Release stock' },
  { step: 'refunding', name: 'Refund' },
];

/** How a step stands after what was done. `next` is the step that comes next, if one does. */
export function nodeOf(
  { step, name }: { readonly step: string; readonly name: string },
  steps: readonly Step[],
  next: string | undefined,
): Node {
  const begun = steps.filter((taken) => taken.step === step);
  return { step, name, standing: standing(begun.at(-1), step === next), attempts: begun.length };
}

function standing(last: Step | undefined, isNext: boolean): Standing {
  if (last === undefined) return isNext ? 'next' : 'not begun';
  if (last.outcome === '') return 'under way';
  if (last.outcome === 'done') return 'done';
  return isNext ? 'next' : 'not done';
}

/** How long a step took, milliseconds; one that is under way lasts until now. */
export function lasted({ began_at: began, ended_at: ended }: Step, now: number): number {
  return (ended === '' ? now : Date.parse(ended)) - Date.parse(began);
}

/** Where a step lies in the time of the whole saga, as shares of 1. */
export function placed(step: Step, steps: readonly Step[], now: number) {
  const begins = steps.map(({ began_at: at }) => Date.parse(at));
  const ends = steps.map(({ ended_at: at }) => (at === '' ? now : Date.parse(at)));
  const first = Math.min(...begins);
  const whole = Math.max(Math.max(...ends) - first, 1);
  return {
    from: (Date.parse(step.began_at) - first) / whole,
    length: lasted(step, now) / whole,
  };
}
