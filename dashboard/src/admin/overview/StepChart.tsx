import {
  CartesianGrid,
  Legend,
  Line,
  LineChart,
  ResponsiveContainer,
  Tooltip,
  XAxis,
  YAxis,
} from 'recharts';
import type { Sample } from '../../api/fleet';
import { clock, minute } from '../../format/time';
import { CHART_HEIGHT, useChartLook } from './chart';

interface Series {
  readonly key: Exclude<keyof Sample, 'at'>;
  readonly name: string;
  readonly color: 'error' | 'info' | 'success' | 'warning';
}

interface Props {
  readonly samples: Sample[];
  readonly series: readonly Series[];
}

/** Whole numbers over time, each of which holds until the next one. */
export function StepChart({ samples, series }: Props) {
  const { palette, axis, grid, tooltip, legend } = useChartLook();
  return (
    <ResponsiveContainer width="100%" height={CHART_HEIGHT}>
      <LineChart data={samples} margin={{ left: -20, right: 4, top: 4 }}>
        <CartesianGrid {...grid} />
        <XAxis
          {...axis}
          dataKey="at"
          type="number"
          domain={['dataMin', 'dataMax']}
          tickFormatter={minute}
          minTickGap={24}
        />
        <YAxis {...axis} allowDecimals={false} axisLine={false} />
        <Tooltip {...tooltip} labelFormatter={(at) => clock(Number(at))} />
        <Legend {...legend} iconType="plainline" />
        {series.map(({ key, name, color }) => (
          <Line
            key={key}
            dataKey={key}
            name={name}
            type="stepAfter"
            dot={false}
            strokeWidth={2}
            stroke={palette?.[color].main ?? 'currentColor'}
            isAnimationActive={false}
          />
        ))}
      </LineChart>
    </ResponsiveContainer>
  );
}
