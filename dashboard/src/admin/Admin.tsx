import Box from '@mui/material/Box';
import { lazy, Suspense } from 'react';
import { Route, Routes } from 'react-router';
import { NotFound } from '../app/NotFound';
import { Loading } from '../parts/states';
import { AdminNav } from './AdminNav';
import { FleetPage } from './fleet/FleetPage';
import { AdminOrder } from './orders/AdminOrder';
import { AdminOrders } from './orders/AdminOrders';
import { Keys } from './Keys';
import { Payments } from './payments/Payments';
import { EditProduct } from './products/EditProduct';
import { NewProduct } from './products/NewProduct';
import { Products } from './products/Products';
import { Users } from './users/Users';

// With the charts, which are larger than all else.
const Overview = lazy(() => import('./overview/Overview'));

/** The pages of operators, in a part of the program that is loaded when the first of them is opened. */
export default function Admin() {
  return (
    <Box
      sx={{
        display: 'grid',
        gridTemplateColumns: { xs: 'minmax(0, 1fr)', md: '168px minmax(0, 1fr)' },
        columnGap: 5,
        rowGap: 3,
        alignItems: 'start',
      }}
    >
      <AdminNav />
      <Suspense fallback={<Loading what="The page" />}>
        <Routes>
          <Route index element={<Overview />} />
          <Route path="fleet" element={<FleetPage />} />
          <Route path="orders" element={<AdminOrders />} />
          <Route path="orders/:id" element={<AdminOrder />} />
          <Route path="products" element={<Products />} />
          <Route path="products/new" element={<NewProduct />} />
          <Route path="products/:id" element={<EditProduct />} />
          <Route path="users" element={<Users />} />
          <Route path="payments" element={<Payments />} />
          <Route path="keys" element={<Keys />} />
          <Route path="*" element={<NotFound />} />
        </Routes>
      </Suspense>
    </Box>
  );
}
