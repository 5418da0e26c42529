import Box from '@mui/material/Box';
import Table from '@mui/material/Table';
import TableBody from '@mui/material/TableBody';
import TableCell from '@mui/material/TableCell';
import TableHead from '@mui/material/TableHead';
import TableRow from '@mui/material/TableRow';
import type { ReactNode } from 'react';

/** A column: its name, and what it shows of a row. */
export interface Column<T> {
  readonly name: string;
  readonly show: (row: T) => ReactNode;
  readonly align?: 'left' | 'right';
  /** A text of several words, which may take more than one line. */
  readonly wraps?: boolean;
}

interface Props<T> {
  /** What the rows are. */
  readonly label: string;
  readonly columns: readonly Column<T>[];
  readonly rows: readonly T[];
  readonly keyOf: (row: T) => string;
}

/** Rows in columns. Where it is too narrow for them, the table is moved sideways, also by keys. */
export function DataTable<T>({ label, columns, rows, keyOf }: Props<T>) {
  return (
    <Box
      role="region"
      aria-label={label}
      tabIndex={0}
      sx={{ overflowX: 'auto', borderTop: 1, borderColor: 'divider' }}
    >
      <Table size="small" aria-label={label}>
        <TableHead>
          <TableRow>
            {columns.map(({ name, align = 'left' }) => (
              <TableCell key={name} align={align}>
                {name}
              </TableCell>
            ))}
          </TableRow>
        </TableHead>
        <TableBody>
          {rows.map((row) => (
            <TableRow key={keyOf(row)}>
              {columns.map(({ name, align = 'left', wraps = false, show }) => (
                <TableCell
                  key={name}
                  align={align}
                  sx={wraps ? { minWidth: '12rem' } : { whiteSpace: 'nowrap' }}
                >
                  {show(row)}
                </TableCell>
              ))}
            </TableRow>
          ))}
        </TableBody>
      </Table>
    </Box>
  );
}
