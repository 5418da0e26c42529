// Writes src/api/schema.d.ts: the types of the client, made from the OpenAPI document of this
// repository. With --check it compares, and writes nothing. With a path, it reads the document there
// instead of asking `cargo zerocart openapi`.

import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import openapi, { astToString } from 'openapi-typescript';

const root = fileURLToPath(new URL('../..', import.meta.url));
const target = fileURLToPath(new URL('../src/api/schema.d.ts', import.meta.url));
const [, , ...options] = process.argv;
const check = options.includes('--check');
const path = options.find((option) => !option.startsWith('--'));

/** The document, as text. */
function document() {
  if (path !== undefined) return readFileSync(path, 'utf8');
  const cargo = ['zerocart', 'openapi'];
  return execFileSync('cargo', cargo, { cwd: root, encoding: 'utf8', maxBuffer: 64 << 20 });
}

const header = '// Made from the OpenAPI document by `npm run schema`. Do not edit it.\n\n';
const made = header + astToString(await openapi(document()));
if (!check) {
  writeFileSync(target, made);
} else if (readFileSync(target, 'utf8') !== made) {
  console.error('dashboard/src/api/schema.d.ts is not current: run `npm run schema` in dashboard/');
  process.exitCode = 1;
}
