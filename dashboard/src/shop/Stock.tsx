import Typography from '@mui/material/Typography';

/** Below this, people want to know how many are left. */
const FEW = 6;

/** How many units can be bought, in words; nothing while there are many. */
export function Stock({
  units,
  always = false,
}: {
  readonly units: number;
  readonly always?: boolean;
}) {
  if (units >= FEW && !always) return null;
  const text = units === 0 ? 'Sold out' : units < FEW ? `${units} left` : 'In stock';
  const color = units === 0 ? 'error.main' : units < FEW ? 'warning.main' : 'success.main';
  return (
    <Typography variant="body2" component="span" sx={{ color, fontWeight: 500 }}>
      {text}
    </Typography>
  );
}
