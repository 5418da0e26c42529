import Typography from '@mui/material/Typography';
import { useState } from 'react';
import { useOwnRequests } from '../../api/requests';
import type { Order } from '../../api/types';
import { Choice } from '../../parts/Choice';
import { Empty } from '../../parts/states';
import { latencies } from './buckets';
import { LatencyChart, type Kind } from './LatencyChart';
import { Panel } from './Panel';

const ORDERS = 'ORDERS';
const ALL = 'ALL';

/** Latencies: of orders, or of what this page has asked for, also of one function alone. */
export function LatencyPanel({ orders }: { readonly orders: readonly Order[] }) {
  const [shown, setShown] = useState<string>(ORDERS);
  const { answered } = useOwnRequests();
  const routes = [...new Set(answered.map(({ route }) => route))].sort();
  const own = answered.filter(({ route }) => shown === ALL || route === shown);
  const times = latencies(orders);
  const kinds: Kind[] =
    shown === ORDERS
      ? [
          {
            name: 'Paid',
            color: 'success',
            shape: 'circle',
            points: times.filter((one) => one.paid),
          },
          {
            name: 'Failed',
            color: 'error',
            shape: 'diamond',
            points: times.filter((one) => !one.paid),
          },
        ]
      : [
          {
            name: 'No cold start',
            color: 'success',
            shape: 'circle',
            points: own.filter(({ starts }) => starts === 0),
          },
          {
            name: 'With a cold start',
            color: 'info',
            shape: 'diamond',
            points: own.filter(({ starts }) => starts > 0),
          },
        ];
  const filled = kinds.filter(({ points }) => points.length > 0);
  return (
    <Panel
      title="Latency"
      about={
        shown === ORDERS
          ? 'From the record of an order to its payment or failure'
          : 'Of this page’s own requests, from sending to the head of the answer'
      }
      actions={
        <Choice
          label="Latency of"
          value={shown}
          options={[
            { value: ORDERS, text: 'Orders' },
            { value: ALL, text: 'Requests of this page' },
            ...routes.map((route) => ({ value: route, text: route })),
          ]}
          onChoose={setShown}
        />
      }
    >
      {filled.length === 0 ? (
        <Empty title={shown === ORDERS ? 'No order has ended yet' : 'No such request yet'} />
      ) : (
        <LatencyChart began={shown === ORDERS ? 'Placed' : 'Sent'} kinds={filled} />
      )}
      <Typography variant="caption" color="textSecondary" component="p" sx={{ mt: 1 }}>
        The API has no latencies of other callers’ requests. The engine’s metrics have them for each
        function, and the board “zerocart: function” of Grafana shows them.
      </Typography>
    </Panel>
  );
}
