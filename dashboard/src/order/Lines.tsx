import Table from '@mui/material/Table';
import TableBody from '@mui/material/TableBody';
import TableCell from '@mui/material/TableCell';
import TableHead from '@mui/material/TableHead';
import TableRow from '@mui/material/TableRow';
import type { OrderItem } from '../api/types';
import { amount, count } from '../format/money';

interface Props {
  readonly items: readonly OrderItem[];
  readonly total: number;
}

/** What is ordered, line by line, with the sum. */
export function Lines({ items, total }: Props) {
  return (
    <Table size="small" aria-label="Lines">
      <TableHead>
        <TableRow>
          <TableCell sx={{ pl: 0 }}>Product</TableCell>
          <TableCell align="right">Units</TableCell>
          <TableCell align="right" sx={{ pr: 0 }}>
            Price
          </TableCell>
        </TableRow>
      </TableHead>
      <TableBody>
        {items.map(({ product_id: id, product_name: name, quantity, total_price: price }) => (
          <TableRow key={id}>
            <TableCell sx={{ pl: 0 }}>{name}</TableCell>
            <TableCell align="right">{count(quantity)}</TableCell>
            <TableCell align="right" sx={{ pr: 0, whiteSpace: 'nowrap' }}>
              {amount(price)}
            </TableCell>
          </TableRow>
        ))}
        <TableRow sx={{ '& td, & th': { borderBottom: 0, fontWeight: 600 } }}>
          <TableCell component="th" scope="row" colSpan={2} sx={{ pl: 0 }}>
            Total
          </TableCell>
          <TableCell align="right" sx={{ pr: 0, whiteSpace: 'nowrap' }}>
            {amount(total)}
          </TableCell>
        </TableRow>
      </TableBody>
    </Table>
  );
}
