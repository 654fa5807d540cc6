/** Starts small-vmm.c: a VMM that is ready within a millisecond and poses as another one. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { endLater } from '../end-later.js';
import { ROOT } from '../paths.js';

export interface SmallVmmOptions {
  /**
   * Program name and arguments that the process shows; default: those of cloud-hypervisor with a socket `<name>.sock`.
   */
  readonly args?: readonly string[];
  /** KVM_RUN calls of each vCPU thread, which is the number of its exits. */
  readonly exits: number;
  /** Number of threads that run the vCPU, one after the other. */
  readonly threads?: number;
  /** Name of these threads. */
  readonly comm?: string;
  /** KVM_RUN calls before a thread has that name. */
  readonly commAfter?: number;
  readonly startUs?: number;
  readonly endUs?: number;
  readonly stayUs?: number;
  /** Port that the guest writes to, up to 255; default: 0x80. */
  readonly port?: number;
}

export interface SmallVmm {
  readonly pid: number;
  /** Waits until it has ended by itself. Fails if it ended in any other way. */
  finished(): Promise<void>;
  kill(): Promise<void>;
}

let compiled: string | undefined;

/** Path of the program, which is compiled once. */
function program(): string {
  if (compiled !== undefined) return compiled;
  const folder = mkdtempSync(join(tmpdir(), 'small-vmm-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  compiled = join(folder, 'small-vmm');
  execFileSync('gcc', ['-O2', '-pthread', '-o', compiled, join(ROOT, 'test/support/guest/small-vmm.c')]);
  return compiled;
}

/** Compiles the program, so that a later start takes no time. */
export function prepareSmallVmm(): void {
  program();
}

export function startSmallVmm(name: string, options: SmallVmmOptions): SmallVmm {
  const { exits, threads = 1, comm, commAfter = 0, startUs = 0, endUs = 0, stayUs = 0, port = 0x80 } = options;
  const [argv0 = '', ...args] = options.args ?? ['cloud-hypervisor', '--api-socket', `/run/${name}.sock`];
  const child = spawn(program(), args, {
    argv0,
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      ...process.env,
      VMM_EXITS: String(exits),
      VMM_THREADS: String(threads),
      VMM_COMM_AFTER: String(commAfter),
      VMM_START_US: String(startUs),
      VMM_END_US: String(endUs),
      VMM_STAY_US: String(stayUs),
      VMM_PORT: String(port),
      ...(comm === undefined ? {} : { VMM_COMM: comm }),
    },
  });
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const ended = once(child, 'close').then(() => forget());
  const kill = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await ended;
  };
  const forget = endLater(kill);
  return {
    pid: child.pid ?? -1,
    async finished() {
      await ended;
      assert.equal(child.exitCode, 0, `${name}: ${child.signalCode ?? ''} ${stderr}`);
    },
    kill,
  };
}
