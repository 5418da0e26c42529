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
import { duration, minute } from '../../format/time';
import { Empty } from '../../parts/states';
import type { Latency } from './buckets';
import { CHART_HEIGHT, useChartLook } from './chart';

/** How long the saga of each order took. */
export function LatencyChart({ times }: { readonly times: Latency[] }) {
  const { palette, axis, grid, tooltip, legend } = useChartLook();
  if (times.length === 0) return <Empty title="No order has ended yet" />;
  return (
    <ResponsiveContainer width="100%" height={CHART_HEIGHT}>
      <ScatterChart margin={{ left: -8, right: 4, top: 4 }}>
        <CartesianGrid {...grid} />
        <XAxis
          {...axis}
          dataKey="at"
          name="Placed"
          type="number"
          domain={['dataMin', 'dataMax']}
          tickFormatter={minute}
          minTickGap={24}
        />
        <YAxis
          {...axis}
          dataKey="seconds"
          name="Took"
          axisLine={false}
          tickFormatter={(seconds: number) => duration(seconds * 1000)}
        />
        <Tooltip
          {...tooltip}
          formatter={(value, name) =>
            name === 'Placed' ? minute(Number(value)) : duration(Number(value) * 1000)
          }
        />
        <Legend {...legend} />
        <Scatter
          name="Paid"
          data={times.filter(({ paid }) => paid)}
          fill={palette?.success.main ?? 'currentColor'}
          isAnimationActive={false}
        />
        <Scatter
          name="Failed"
          data={times.filter(({ paid }) => !paid)}
          fill={palette?.error.main ?? 'currentColor'}
          shape="diamond"
          isAnimationActive={false}
        />
      </ScatterChart>
    </ResponsiveContainer>
  );
}
