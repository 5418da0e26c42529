import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { BACK, FORWARD, nodeOf, type Node, type Standing, type Step } from './saga';

const COLORS: Record<Standing, string> = {
  'not begun': 'divider',
  next: 'text.secondary',
  'under way': 'warning.main',
  done: 'success.main',
  'not done': 'error.main',
};

interface Props {
  readonly steps: readonly Step[];
  /** The step that is under way, or that comes next. */
  readonly next: string | undefined;
}

/** The saga as a diagram: the way forward, and below it what undoes a step. */
export function SagaDiagram({ steps, next }: Props) {
  const forward = FORWARD.map((step) => nodeOf(step, steps, next));
  const back = BACK.map((step) => nodeOf(step, steps, next));
  return (
    <Box
      role="region"
      aria-label="Diagram of the saga"
      tabIndex={0}
      sx={{ overflowX: 'auto', mb: 2.5, py: 0.5 }}
    >
      <Box
        component="ol"
        aria-label="Forward"
        sx={{ ...LANE, '& li + li::before': { ...ARROW, content: '"→"' } }}
      >
        {forward.map((node) => (
          <Block key={node.step} node={node} />
        ))}
      </Box>
      <Box
        component="ol"
        aria-label="Compensation"
        sx={{ ...LANE, mt: 2.5, '& li + li::before': { ...ARROW, content: '"←"' } }}
      >
        {back.map((node) => (
          <Block key={node.step} node={node} undoes />
        ))}
      </Box>
    </Box>
  );
}

const LANE = {
  listStyle: 'none',
  m: 0,
  p: 0,
  display: 'grid',
  gridTemplateColumns: 'repeat(5, minmax(116px, 1fr))',
  columnGap: 3.5,
  minWidth: 680,
};

const ARROW = {
  position: 'absolute',
  left: -21,
  top: '50%',
  transform: 'translateY(-50%)',
  color: 'text.secondary',
};

function Block({ node, undoes = false }: { readonly node: Node; readonly undoes?: boolean }) {
  const { name, standing, attempts } = node;
  const color = COLORS[standing];
  return (
    <Box
      component="li"
      sx={{
        position: 'relative',
        border: 1,
        borderColor: color,
        borderStyle: undoes ? 'dashed' : 'solid',
        borderRadius: 1,
        px: 1.5,
        py: 1,
        ...(undoes && {
          '&::after': {
            content: '"↑ undoes"',
            position: 'absolute',
            top: -20,
            left: 0,
            fontSize: '0.6875rem',
            color: 'text.secondary',
          },
        }),
      }}
    >
      <Typography
        variant="body2"
        sx={{
          fontWeight: 600,
          color: standing === 'not begun' ? 'text.secondary' : 'text.primary',
        }}
      >
        {name}
      </Typography>
      <Typography
        variant="caption"
        component="div"
        sx={{ color: standing === 'not begun' ? 'text.secondary' : color }}
      >
        {standing}
        {attempts > 1 && `, ${attempts} attempts`}
      </Typography>
    </Box>
  );
}
