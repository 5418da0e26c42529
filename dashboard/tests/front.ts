import { readFileSync } from 'node:fs';
import {
  createServer,
  request,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, resolve } from 'node:path';

const dist = resolve(import.meta.dirname, '../dist');

/** What a page may do: the policy of the edge function that serves it. */
const POLICY =
  "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

const KINDS: Record<string, string> = {
  '.css': 'text/css',
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
};

/** The last byte of the next address of a client. */
let next = 2;

/**
 * What a browser of a test talks to: the built page, and the engine behind it.
 *
 * The gateway limits requests for each address, so each browser has one of the loopback network for itself.
 */
export class Front {
  readonly #server: Server;
  readonly #address = `127.0.0.${next++}`;

  /** The page comes from `dist/`, or, as at the edge, from the engine's function. */
  constructor(port: () => number, pageFrom: 'dist' | 'engine' = 'dist') {
    this.#server = createServer((asked, answer) => {
      const own = pageFrom === 'dist' && asked.url?.startsWith('/app/') === true;
      if (own) page(asked.url ?? '', answer);
      else this.#pass(asked, answer, port());
    });
  }

  /** Listens, and gives the address. */
  async listen(): Promise<string> {
    await new Promise<void>((done) => this.#server.listen(0, '127.0.0.1', done));
    const { port } = this.#server.address() as AddressInfo;
    return `http://localhost:${port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #pass(asked: IncomingMessage, answer: ServerResponse, port: number): void {
    const { method, url, headers } = asked;
    const options = {
      host: '127.0.0.1',
      port,
      localAddress: this.#address,
      method,
      path: url,
      headers,
    };
    const passed = request(options, (answered) => {
      answer.writeHead(answered.statusCode ?? 502, answered.headers);
      answered.pipe(answer);
    });
    // Nothing answers: neither does this.
    passed.on('error', () => answer.destroy());
    asked.pipe(passed);
  }
}

/** A built file; a path without a file is the page. */
function page(url: string, answer: ServerResponse): void {
  const path = new URL(url, 'http://localhost').pathname.slice('/app/'.length);
  const name = extname(path) === '' ? 'index.html' : path;
  try {
    const body = readFileSync(resolve(dist, name));
    const kind = KINDS[extname(name)] ?? 'application/octet-stream';
    answer.writeHead(200, { 'content-type': kind, 'content-security-policy': POLICY });
    answer.end(body);
  } catch {
    answer.writeHead(404).end();
  }
}
