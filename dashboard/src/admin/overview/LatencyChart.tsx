import {
  CartesianGrid,
  Legend,
  ResponsiveContainer,
  Scatter,
  ScatterChart,
  Tooltip,
  XAxis,
  YAxis,
} from 'recharts';
import { clock, duration } from '../../format/time';
import { CHART_HEIGHT, useChartLook } from './chart';

/** Something that took its time. */
export interface Point {
  /** When it began, milliseconds since 1970. */
  readonly at: number;
  readonly ms: number;
}

/** Points of one kind. */
export interface Kind {
  readonly name: string;
  readonly color: 'error' | 'info' | 'success' | 'warning';
  readonly shape: 'circle' | 'diamond';
  readonly points: readonly Point[];
}

interface Props {
  /** What a point is, such as `Placed`. */
  readonly began: string;
  readonly kinds: readonly Kind[];
}

/** When each began, and how long it took. */
export function LatencyChart({ began, kinds }: Props) {
  const { palette, axis, grid, tooltip, legend } = useChartLook();
  return (
    <ResponsiveContainer width="100%" height={CHART_HEIGHT}>
      <ScatterChart margin={{ left: 0, right: 12, top: 4 }}>
        <CartesianGrid {...grid} />
        <XAxis
          {...axis}
          dataKey="at"
          name={began}
          type="number"
          domain={['dataMin', 'dataMax']}
          tickFormatter={clock}
          minTickGap={40}
        />
        <YAxis {...axis} dataKey="ms" name="Took" axisLine={false} tickFormatter={duration} />
        <Tooltip
          {...tooltip}
          formatter={(value, name) =>
            name === began ? clock(Number(value)) : duration(Number(value))
          }
        />
        <Legend {...legend} />
        {kinds.map(({ name, color, shape, points }) => (
          <Scatter
            key={name}
            name={name}
            data={[...points]}
            fill={palette?.[color].main ?? 'currentColor'}
            shape={shape}
            isAnimationActive={false}
          />
        ))}
      </ScatterChart>
    </ResponsiveContainer>
  );
}
