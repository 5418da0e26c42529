import react from '@vitejs/plugin-react';
import { defineConfig } from 'vitest/config';

/** Where the functions are while you develop: an engine of `cargo zerocart up`. */
const engine = process.env['ZEROCART_URL'] ?? 'http://localhost:8000';

/** The paths of the API, which the edge serves beside the page. */
const paths = [
  '/users',
  '/auth',
  '/products',
  '/carts',
  '/orders',
  '/payments',
  '/admin',
  '/health',
];

const proxy = Object.fromEntries(paths.map((path) => [`^${path}(/|\\?|$)`, engine]));

export default defineConfig({
  base: '/app/',
  plugins: [react()],
  server: { proxy },
  preview: { proxy },
  test: { include: ['src/**/*.test.ts'] },
  build: {
    target: 'es2023',
    // A file of its own for each asset: the page's policy allows no `data:` but for images.
    assetsInlineLimit: 0,
    // The size check reads it: which files the first page loads.
    manifest: true,
    reportCompressedSize: false,
    // The charts are one large part, which operators load when they open it.
    chunkSizeWarningLimit: 600,
  },
});
