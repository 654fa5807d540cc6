import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { endLater } from '../end-later.js';
import { waitForLog } from './agent-checks.js';
import { startProgram } from './start-program.js';

/** Time for a recorder to start; an emulated host is slow. */
export const PATIENCE_MS = 120_000;
const BUFFER_MIB = 32;

export interface Recorder {
  readonly name: string;
  readonly file: string;
  stop(): Promise<void>;
}

async function startOurs(file: string, args: readonly string[]): Promise<Recorder> {
  const program = startProgram(['record', '-o', file, `--tracefs.buffer-size=${BUFFER_MIB}MiB`, ...args]);
  await waitForLog(program, 'msg=recording', PATIENCE_MS);
  const stop = async () => {
    program.process.kill('SIGINT');
    await program.ended();
    console.log(program.output());
  };
  return { name: 'record', file, stop };
}

/** Starts a recorder that runs a command, which it does once it records, and that ends when the command ends. */
async function startTool(file: string, name: string, ...args: string[]): Promise<Recorder> {
  const command = ['sh', '-c', 'echo started; exec cat'];
  const child = spawn(name, [...args, '-o', file, ...command], { stdio: ['pipe', 'pipe', 'pipe'] });
  const texts = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].on('data', (text) => {
      texts[stream] += text;
    });
  const forget = endLater(() => kill(child));
  const deadline = Date.now() + PATIENCE_MS;
  while (!texts.stdout.includes('started')) {
    if (child.exitCode !== null || Date.now() > deadline) throw new Error(`${name} does not record: ${texts.stderr}`);
    await sleep(50);
  }
  const stop = async () => {
    const ended = once(child, 'close');
    child.stdin.end();
    await ended;
    forget();
    if (child.exitCode !== 0) throw new Error(`${name} ended with ${child.exitCode}: ${texts.stderr}`);
  };
  return { name, file, stop };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'close');
  child.kill('SIGKILL');
  await ended;
}

/** Saves what names a VM and its threads: the recordings of the other tools do not have it. */
export function saveProc(pid: number, target: string): void {
  const files = ['cmdline', 'comm', 'stat', 'status', 'cgroup'].map((file) => `${pid}/${file}`);
  const contents = new Map<string, Buffer>();
  try {
    for (const tid of readdirSync(`/proc/${pid}/task`))
      for (const file of ['comm', 'stat', 'status']) files.push(`${pid}/task/${tid}/${file}`);
    for (const file of files) contents.set(file, readFileSync(join('/proc', file)));
  } catch {
    // The guest, or a thread of it, has ended.
  }
  // A process that has ended and was not waited for has no command line any more.
  if (contents.size < files.length || contents.get(`${pid}/cmdline`)?.length === 0) return;
  for (const [file, content] of contents) {
    mkdirSync(dirname(join(target, file)), { recursive: true });
    writeFileSync(join(target, file), content);
  }
}

export const RECORDERS = ['record', 'trace-cmd', 'perf'] as const;

/**
 * Starts one recorder, with its file in `folder`: vm.dat, trace.dat or perf.data.
 * @param events tracepoints for trace-cmd and perf: `kvm:kvm_exit`
 * @param args further options of `record`
 */
export function startRecorder(
  tool: (typeof RECORDERS)[number],
  folder: string,
  events: readonly string[],
  args: readonly string[] = [],
): Promise<Recorder> {
  const traceCmd = ['record', '-b', `${BUFFER_MIB * 1024}`, ...events.flatMap((event) => ['-e', event])];
  if (tool === 'record') return startOurs(join(folder, 'vm.dat'), args);
  if (tool === 'trace-cmd') return startTool(join(folder, 'trace.dat'), tool, ...traceCmd);
  return startTool(join(folder, 'perf.data'), tool, 'record', '-a', '-m', `${BUFFER_MIB}M`, '-e', events.join(','));
}

/** Starts all three, one after the other. */
export async function startRecorders(
  folder: string,
  events: readonly string[],
  args: readonly string[] = [],
): Promise<Recorder[]> {
  const recorders: Recorder[] = [];
  for (const tool of RECORDERS) recorders.push(await startRecorder(tool, folder, events, args));
  return recorders;
}
