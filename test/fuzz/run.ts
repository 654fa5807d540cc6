/**
 * Coverage-guided fuzzing of all decoders: `npm run fuzz -- [seconds of each target] [seed] [target ...]`.
 *
 * Inputs that reach new code are kept and changed further. An input that fails, or takes longer than {@link HANG_MS},
 * is written to fuzz-findings/ and sets the exit code to 1. Make it a fixture in test/fixtures/fuzz once it is fixed.
 */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { ROOT } from '../support/paths.js';
import { TARGETS } from './targets.js';
import type { Job, Report } from './worker.js';

/** Thousands of times longer than an input of this size takes. */
const HANG_MS = 10_000;
/** Bytes of the memory for the current input. */
const MAX_LENGTH = 32_768;
const FINDINGS = join(ROOT, 'fuzz-findings');

function run(job: Job): Promise<Report> {
  const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: job });
  return new Promise((resolve, reject) => {
    let before = 0;
    const watch = setInterval(() => {
      const [now = 0, length = 0] = new Int32Array(job.state);
      if (now === before && now > 0) {
        const input = new Uint8Array(job.input).slice(0, length);
        resolve({ runs: now, blocks: 0, corpus: 0, failures: [{ input, message: `took longer than ${HANG_MS} ms` }] });
        void worker.terminate();
      }
      before = now;
    }, HANG_MS);
    worker.on('message', resolve);
    worker.on('error', reject);
    worker.on('exit', () => clearInterval(watch));
  });
}

function keep(target: string, input: Uint8Array): string {
  mkdirSync(FINDINGS, { recursive: true });
  const path = join(FINDINGS, `${target}-${createHash('sha256').update(input).digest('hex').slice(0, 12)}`);
  writeFileSync(path, input);
  return path;
}

const [seconds = '120', seed = '1', ...chosen] = process.argv.slice(2);
for (const target of chosen.length > 0 ? chosen : TARGETS.keys()) {
  const shared = { state: new SharedArrayBuffer(8), input: new SharedArrayBuffer(MAX_LENGTH) };
  const { runs, blocks, corpus, failures } = await run({
    target,
    seed: Number(seed),
    ms: Number(seconds) * 1000,
    ...shared,
  });
  console.log(`${target}: ${runs} inputs, ${blocks} blocks, ${corpus} kept, ${failures.length} findings`);
  for (const { input, message } of failures) console.log(`${keep(target, input)}\n${message}`);
  if (failures.length > 0) process.exitCode = 1;
}
