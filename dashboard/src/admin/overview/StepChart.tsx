import {
  Area,
  AreaChart,
  CartesianGrid,
  ResponsiveContainer,
  Tooltip,
  XAxis,
  YAxis,
} from 'recharts';
import type { Sample } from '../../api/fleet';
import { clock } from '../../format/time';
import { CHART_HEIGHT, useChartLook } from './chart';

interface Props {
  readonly samples: Sample[];
  readonly series: {
    readonly key: 'coldStarts' | 'errors' | 'instances';
    readonly name: string;
    readonly color: 'error' | 'info' | 'success' | 'warning';
  };
}

/** A whole number over time, each value of which holds until the next one. */
export function StepChart({ samples, series: { key, name, color } }: Props) {
  const { palette, axis, grid, tooltip } = useChartLook();
  const paint = palette?.[color].main ?? 'currentColor';
  return (
    <ResponsiveContainer width="100%" height={CHART_HEIGHT}>
      <AreaChart data={samples} margin={{ left: -20, right: 12, top: 4 }}>
        <CartesianGrid {...grid} />
        <XAxis
          {...axis}
          dataKey="at"
          type="number"
          domain={['dataMin', 'dataMax']}
          tickFormatter={clock}
          minTickGap={40}
        />
        <YAxis {...axis} allowDecimals={false} axisLine={false} />
        <Tooltip {...tooltip} labelFormatter={(at) => clock(Number(at))} />
        <Area
          dataKey={key}
          name={name}
          type="stepAfter"
          dot={false}
          strokeWidth={2}
          stroke={paint}
          fill={paint}
          fillOpacity={0.12}
          isAnimationActive={false}
        />
      </AreaChart>
    </ResponsiveContainer>
  );
}
