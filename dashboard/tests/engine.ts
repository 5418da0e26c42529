import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join, resolve } from 'node:path';

/** The project whose engine is tested. */
const project = process.env['ZEROCART_PROJECT'] ?? resolve(import.meta.dirname, '../..');

/** The folder of the programs: the newest that cargo has built. */
function programs(): string {
  const named = process.env['ZEROCART_PROGRAMS'];
  if (named !== undefined) return named;
  const target = process.env['CARGO_TARGET_DIR'] ?? join(project, 'target');
  const folders = existsSync(target) ? readdirSync(target) : [];
  const newest = folders
    .map((folder) => join(target, folder, 'release/zerocart'))
    .filter(existsSync)
    .sort((a, b) => statSync(b).mtimeMs - statSync(a).mtimeMs)[0];
  if (newest === undefined) throw new Error('build the programs first: cargo zerocart up');
  return resolve(newest, '..');
}

/** Waits until `found` gives something. */
async function until<T>(what: string, found: () => T | undefined): Promise<T> {
  const deadline = Date.now() + 60_000;
  while (Date.now() < deadline) {
    const value = found();
    if (value !== undefined) return value;
    await new Promise((wake) => setTimeout(wake, 50));
  }
  throw new Error(`${what}: not within a minute`);
}

/** The name of the program of a process, if it is a child of `parent` that has not ended. */
function childProgram(pid: number, parent: number | undefined): string | undefined {
  try {
    // Behind the name in parentheses: the state, and the parent (proc_pid_stat(5)).
    const [, rest = ''] = /^.*\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, 'utf8')) ?? [];
    const [state, ppid] = rest.split(' ');
    if (Number(ppid) !== parent || state === 'Z') return undefined;
    return basename(readlinkSync(`/proc/${pid}/exe`));
  } catch {
    // It has ended meanwhile.
    return undefined;
  }
}

/** A real engine, `zerocart up`, with a PostgreSQL of its own, at a port that is free. */
export class Engine {
  readonly #folder: string;
  readonly #data: string;
  #child: ChildProcess | undefined;
  #output = '';
  /** The port of its gateway; 0 until it runs. It keeps the port when it starts again. */
  port = 0;
  /** What it shows at its first start. */
  admin = { email: '', password: '' };

  constructor() {
    this.#folder = mkdtempSync(join(tmpdir(), 'zerocart-dashboard-'));
    // As root, PostgreSQL runs as somebody else, and keeps its files where it can reach them.
    chmodSync(this.#folder, 0o755);
    this.#data = join(this.#folder, 'data');
  }

  async start(): Promise<void> {
    const options = ['up', '--no-build', '--port', String(this.port)];
    const child = spawn(join(programs(), 'zerocart'), ['--data', this.#data, ...options], {
      cwd: project,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    this.#child = child;
    const keep = (text: Buffer) => {
      this.#output += text.toString();
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const file = join(this.#data, 'engine.json');
    const gateway = await until('the engine is up', () => {
      if (child.exitCode !== null) throw new Error(`the engine ended: ${this.#output}`);
      if (!existsSync(file)) return undefined;
      const told = JSON.parse(readFileSync(file, 'utf8')) as { pid: number; gateway: string };
      return told.pid === child.pid ? told.gateway : undefined;
    });
    this.port = Number(new URL(gateway).port);
    const email = /^\s*e-mail\s+(\S+)/m.exec(this.#output)?.[1];
    const password = /^\s*password\s+(\S+)/m.exec(this.#output)?.[1];
    if (email !== undefined && password !== undefined) this.admin = { email, password };
  }

  /** Runs a command of `zerocart` on this engine, and gives what it prints. */
  command(...options: string[]): string {
    const command = spawnSync(join(programs(), 'zerocart'), ['--data', this.#data, ...options], {
      cwd: project,
      encoding: 'utf8',
    });
    if (command.status !== 0) throw new Error(`${options.join(' ')}: ${command.stderr}`);
    return command.stdout;
  }

  /** What `zerocart ps` says: the process ids of each function that runs. */
  ps(): Map<string, number[]> {
    const { functions } = JSON.parse(this.command('ps', '--json')) as {
      functions: { name: string; instances: { pid: number }[] }[];
    };
    const running = functions.filter(({ instances }) => instances.length > 0);
    return new Map(running.map((one) => [one.name, one.instances.map(({ pid }) => pid).sort()]));
  }

  /** What the kernel says: the ids of this engine's child processes, by the names of their programs. */
  processes(): Map<string, number[]> {
    const found = new Map<string, number[]>();
    for (const pid of readdirSync('/proc').map(Number).filter(Number.isInteger)) {
      const program = childProgram(pid, this.#child?.pid);
      if (program !== undefined) found.set(program, [...(found.get(program) ?? []), pid].sort());
    }
    return found;
  }

  /** Ends every function, so that all are at zero. */
  async toZero(): Promise<void> {
    await until('all functions are at zero', () => {
      const running = [...this.ps().values()].flat();
      for (const pid of running) {
        try {
          process.kill(pid, 'SIGTERM');
        } catch {
          // It has just ended by itself.
        }
      }
      return running.length === 0 ? true : undefined;
    });
  }

  /** Stops it as Ctrl-C does. Its data stays. */
  async stop(): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    child.kill('SIGINT');
    await until('the engine ends', () => child.exitCode ?? child.signalCode ?? undefined);
    this.#child = undefined;
  }

  /** Stops it, and removes its data. */
  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
