import {
  Bar,
  BarChart,
  CartesianGrid,
  Legend,
  ResponsiveContainer,
  Tooltip,
  XAxis,
  YAxis,
} from 'recharts';
import { minute } from '../../format/time';
import type { Bucket } from './buckets';
import { CHART_HEIGHT, useChartLook } from './chart';

/** Orders minute by minute, by what became of them. */
export function OrdersChart({ buckets }: { readonly buckets: Bucket[] }) {
  const { palette, axis, grid, tooltip, legend } = useChartLook();
  const series = [
    { key: 'paid', name: 'Paid', color: palette?.success.main },
    { key: 'underWay', name: 'Under way', color: palette?.warning.main },
    { key: 'cancelled', name: 'Cancelled', color: palette?.secondary.main },
    { key: 'failed', name: 'Failed', color: palette?.error.main },
  ];
  return (
    <ResponsiveContainer width="100%" height={CHART_HEIGHT}>
      <BarChart data={buckets} margin={{ left: -20, right: 4, top: 4 }} barCategoryGap="18%">
        <CartesianGrid {...grid} />
        <XAxis {...axis} dataKey="at" tickFormatter={minute} minTickGap={24} />
        <YAxis {...axis} allowDecimals={false} axisLine={false} />
        <Tooltip
          {...tooltip}
          labelFormatter={(at) => minute(Number(at))}
          cursor={{ fill: palette?.divider ?? 'none' }}
        />
        <Legend {...legend} />
        {series.map(({ key, name, color }) => (
          <Bar
            key={key}
            dataKey={key}
            name={name}
            stackId="orders"
            fill={color ?? 'currentColor'}
            isAnimationActive={false}
          />
        ))}
      </BarChart>
    </ResponsiveContainer>
  );
}
