/**
 * The thread that fuzzes one target until its time is over. For the first part of it, inputs that reach new code are
 * kept. Then coverage is switched off, because inputs without it take a quarter of the time. The current input is in
 * memory shared with run.ts, which saves it if this thread hangs.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Coverage } from './coverage.js';
import { mutated, randomNumbers } from './mutate.js';
import { TARGETS } from './targets.js';

export interface Job {
  readonly target: string;
  readonly seed: number;
  readonly ms: number;
  /** The number of the current input, and its length. */
  readonly state: SharedArrayBuffer;
  /** The bytes of the current input. */
  readonly input: SharedArrayBuffer;
}

export interface Report {
  readonly runs: number;
  readonly blocks: number;
  readonly corpus: number;
  readonly failures: readonly { readonly input: Uint8Array; readonly message: string }[];
}

const MAX_FAILURES = 10;
/** The part of the time in which coverage is measured. */
const LEARNING = 1 / 4;

function fuzz({ target: name, seed, ms, state, input }: Job): Report {
  const target = TARGETS.get(name);
  if (target === undefined) throw new Error(`no such target: ${name}`);
  const [numbers, shared] = [new Int32Array(state), new Uint8Array(input)];
  const random = randomNumbers(seed);
  const corpus = [...target.seeds()];
  const pick = () => corpus[Math.floor(random() * corpus.length)] ?? new Uint8Array(0);
  const failures = new Map<string, Uint8Array>();
  const coverage = new Coverage();
  const startMs = performance.now();
  const endMs = startMs + ms;
  let runs = 0;
  const seeds = corpus.length;
  while (performance.now() < endMs && failures.size < MAX_FAILURES) {
    const seedBytes = corpus[runs];
    const bytes = runs < seeds && seedBytes !== undefined ? seedBytes : mutated(pick(), pick(), random);
    shared.set(bytes.subarray(0, shared.length));
    Atomics.store(numbers, 1, bytes.length);
    Atomics.store(numbers, 0, ++runs);
    const cuts = Array.from({ length: 1 + Math.floor(random() * 4) }, random).sort((a, b) => a - b);
    try {
      target.check(bytes, cuts);
    } catch (error) {
      failures.set(String(error instanceof Error ? error.stack : error).slice(0, 600), bytes);
    }
    if (performance.now() > startMs + ms * LEARNING) coverage.stop();
    else if (coverage.hasNew() && runs > seeds) corpus.push(bytes);
  }
  const found = Array.from(failures, ([message, bytes]) => ({ input: bytes, message }));
  return { runs, blocks: coverage.size, corpus: corpus.length, failures: found };
}

parentPort?.postMessage(fuzz(workerData));
