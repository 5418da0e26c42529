import Box from '@mui/material/Box';
import Checkbox from '@mui/material/Checkbox';
import FormControlLabel from '@mui/material/FormControlLabel';
import FormLabel from '@mui/material/FormLabel';
import Slider from '@mui/material/Slider';
import Typography from '@mui/material/Typography';
import { useState } from 'react';
import type { components } from '../../api/schema';
import type { ProviderFailure } from '../../api/types';
import { percent } from '../../format/money';
import { duration } from '../../format/time';
import { Form } from '../../parts/Form';
import { SubmitButton } from '../../parts/SubmitButton';
import { FAILURES } from './failures';

/** The longest delay of the slider, milliseconds. The API takes more. */
const LONGEST_MS = 10_000;

interface Props {
  readonly error: Error | null;
  readonly isPending: boolean;
  readonly onSend: (body: components['schemas']['SetFailureRateRequest']) => void;
}

/** Sliders for the share of failures and the delays, and the kinds of failure. */
export function ProviderForm({ error, isPending, onSend }: Props) {
  const [rate, setRate] = useState(0.3);
  const [delays, setDelays] = useState([1000, 3000]);
  const [kinds, setKinds] = useState<ProviderFailure[]>(FAILURES.map(({ value }) => value));
  const [min = 0, max = 0] = delays;
  return (
    <Form
      label="Payment provider"
      problem={error}
      onSend={() =>
        onSend({
          failure_rate: rate,
          min_delay_ms: min,
          max_delay_ms: max,
          failures: kinds,
        })
      }
    >
      <Box>
        <Labelled id="rate" name="Charges that fail" value={percent(rate)} />
        <Slider
          aria-labelledby="rate"
          value={rate}
          min={0}
          max={1}
          step={0.05}
          getAriaValueText={percent}
          onChange={(_, value) => setRate(value)}
        />
      </Box>
      <Box>
        <Labelled
          id="delay"
          name="Time that a charge takes"
          value={`${duration(min)} to ${duration(max)}`}
        />
        <Slider
          value={delays}
          min={0}
          max={LONGEST_MS}
          step={100}
          getAriaLabel={(thumb) => (thumb === 0 ? 'Shortest time' : 'Longest time')}
          getAriaValueText={duration}
          onChange={(_, value) => setDelays(value)}
        />
      </Box>
      <Box role="group" aria-labelledby="kinds">
        <FormLabel
          id="kinds"
          sx={{ color: 'text.primary', fontSize: '0.8438rem', fontWeight: 500 }}
        >
          Kinds of failure, each as often as the others
        </FormLabel>
        {FAILURES.map(({ value, text, meaning }) => (
          <FormControlLabel
            key={value}
            sx={{ display: 'flex', alignItems: 'flex-start', mt: 1 }}
            control={
              <Checkbox
                size="small"
                sx={{ py: 0.25 }}
                checked={kinds.includes(value)}
                onChange={(_, checked) =>
                  setKinds((before) =>
                    checked ? [...before, value] : before.filter((kind) => kind !== value),
                  )
                }
              />
            }
            label={
              <>
                <Typography>{text}</Typography>
                <Typography variant="body2" color="textSecondary">
                  {meaning}
                </Typography>
              </>
            }
          />
        ))}
        {kinds.length === 0 && (
          <Typography variant="body2" color="textSecondary">
            If you choose none, all three occur.
          </Typography>
        )}
      </Box>
      <Box>
        <SubmitButton loading={isPending}>Set</SubmitButton>
      </Box>
    </Form>
  );
}

function Labelled({
  id,
  name,
  value,
}: {
  readonly id: string;
  readonly name: string;
  readonly value: string;
}) {
  return (
    <Box sx={{ display: 'flex', justifyContent: 'space-between', gap: 2 }}>
      <FormLabel id={id} sx={{ color: 'text.primary', fontSize: '0.8438rem', fontWeight: 500 }}>
        {name}
      </FormLabel>
      <Typography variant="body2" sx={{ fontVariantNumeric: 'tabular-nums' }}>
        {value}
      </Typography>
    </Box>
  );
}
