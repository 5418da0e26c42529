import { lazy } from 'react';
import { Route, Routes } from 'react-router';
import { RequireAdmin, RequireUser } from '../session/Require';
import Catalogue from '../shop/Catalogue';
import { NotFound } from './NotFound';

const Account = lazy(() => import('../shop/Account'));
const Admin = lazy(() => import('../admin/Admin'));
const CartPage = lazy(() => import('../shop/CartPage'));
const Checkout = lazy(() => import('../shop/Checkout'));
const OrderPage = lazy(() => import('../shop/OrderPage'));
const Orders = lazy(() => import('../shop/Orders'));
const ProductPage = lazy(() => import('../shop/ProductPage'));
const SignIn = lazy(() => import('../session/SignIn'));
const SignUp = lazy(() => import('../session/SignUp'));

/** Every page. All but the catalogue are loaded when they are opened. */
export function Pages() {
  return (
    <Routes>
      <Route index element={<Catalogue />} />
      <Route path="products/:id" element={<ProductPage />} />
      <Route path="sign-in" element={<SignIn />} />
      <Route path="sign-up" element={<SignUp />} />
      <Route element={<RequireUser />}>
        <Route path="cart" element={<CartPage />} />
        <Route path="checkout" element={<Checkout />} />
        <Route path="orders" element={<Orders />} />
        <Route path="orders/:id" element={<OrderPage />} />
        <Route path="account" element={<Account />} />
      </Route>
      <Route element={<RequireAdmin />}>
        <Route path="admin/*" element={<Admin />} />
      </Route>
      <Route path="*" element={<NotFound />} />
    </Routes>
  );
}
