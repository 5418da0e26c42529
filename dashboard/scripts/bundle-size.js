// Fails when the first page of the shop loads more JavaScript than it may.

import { readFileSync, readdirSync, rmSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';

/** What the shop may load before it shows its first page: 200 kB, compressed with gzip. */
const LIMIT = 200_000;

const dist = new URL('../dist/', import.meta.url);
/** @typedef {Record<string, { file: string, isEntry?: boolean, imports?: string[] }>} Manifest */
const manifestText = () => readFileSync(new URL('.vite/manifest.json', dist), 'utf8');
const manifest = /** @type {Manifest} */ (JSON.parse(manifestText()));

/** The files that a chunk needs before it runs.
 * @param {string} name
 * @param {Set<string>} files
 */
function collect(name, files) {
  const chunk = manifest[name];
  if (chunk === undefined || files.has(chunk.file)) return;
  files.add(chunk.file);
  for (const imported of chunk.imports ?? []) collect(imported, files);
}

/** @type {Set<string>} */
const first = new Set();
for (const [name, chunk] of Object.entries(manifest)) {
  if (chunk.isEntry) collect(name, first);
}
// The catalogue is the first page that people see.
collect('src/shop/Catalogue.tsx', first);

/** @param {string} file */
function sizes(file) {
  const bytes = readFileSync(new URL(file, dist));
  return { gzip: gzipSync(bytes, { level: 9 }).length, brotli: brotliCompressSync(bytes).length };
}

let gzip = 0;
let brotli = 0;
for (const file of first) {
  const size = sizes(file);
  gzip += size.gzip;
  brotli += size.brotli;
}
let all = 0;
for (const file of readdirSync(new URL('assets/', dist))) {
  if (file.endsWith('.js')) all += sizes(`assets/${file}`).gzip;
}
const kb = (/** @type {number} */ bytes) => `${(bytes / 1000).toFixed(1)} kB`;
console.log(
  `first page: ${kb(gzip)} of JavaScript with gzip, ${kb(brotli)} with brotli; all pages: ${kb(all)}`,
);
if (gzip > LIMIT) {
  console.error(
    `the first page loads more than ${kb(LIMIT)}: ${[...first].join(', ')} in ${fileURLToPath(dist)}`,
  );
  process.exitCode = 1;
}

// It is for this check, and nobody needs to be served it.
rmSync(new URL('.vite/', dist), { recursive: true });
