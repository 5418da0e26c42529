import type { components } from './schema';

type Schemas = components['schemas'];

export type Cart = Schemas['Cart'];
export type CartItem = Schemas['CartItem'];
export type Order = Schemas['Order'];
export type OrderItem = Schemas['OrderItem'];
export type OrderStatus = Schemas['OrderStatus'];
export type Product = Schemas['Product'];
export type ProviderFailure = NonNullable<Schemas['SetFailureRateRequest']['failures']>[number];
export type User = Schemas['User'];
