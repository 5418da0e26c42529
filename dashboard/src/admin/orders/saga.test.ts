import { describe, expect, test } from 'vitest';
import { nodeOf, placed, type Step } from './saga';

const step = (name: string, outcome: string, began: number, ended: number | null): Step => ({
  number: 1,
  step: name,
  outcome,
  began_at: new Date(began).toISOString(),
  ended_at: ended === null ? '' : new Date(ended).toISOString(),
  driver: 'create-order',
  fence: 1,
  attempt: 1,
  reason: '',
  trace_id: '',
});

const CHARGE = { step: 'charging', name: 'Charge' };

describe('a step of the saga', () => {
  test.each([
    ['not begun', [], undefined],
    ['next', [], 'charging'],
    ['under way', [step('charging', '', 0, null)], 'charging'],
    ['done', [step('charging', 'unavailable', 0, 1), step('charging', 'done', 1, 2)], undefined],
    ['not done', [step('charging', 'refused', 0, 1)], 'releasing'],
    ['next', [step('charging', 'put off', 0, 1)], 'charging'],
  ])('is %s', (standing, steps, next) => {
    expect(nodeOf(CHARGE, steps, next).standing).toBe(standing);
  });

  test('knows how often it was begun', () => {
    const steps = [step('charging', 'unavailable', 0, 1), step('charging', '', 1, null)];
    expect(nodeOf(CHARGE, steps, undefined).attempts).toBe(2);
  });
});

test('a step lies within the time of all steps, and one under way lasts until now', () => {
  const reserve = step('reserving', 'done', 1000, 2000);
  const charge = step('charging', '', 2000, null);
  const steps = [reserve, charge];
  expect(placed(reserve, steps, 5000)).toEqual({ from: 0, length: 0.25 });
  expect(placed(charge, steps, 5000)).toEqual({ from: 0.25, length: 0.75 });
});

test('a saga that took no time divides by nothing', () => {
  const only = step('reserving', 'done', 1000, 1000);
  expect(placed(only, [only], 1000)).toEqual({ from: 0, length: 0 });
});
