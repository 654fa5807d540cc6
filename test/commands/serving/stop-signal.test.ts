/** What a second SIGTERM or SIGINT does: timeout(1) sends two at once, and a person may send one more. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

const MODULE = new URL('../../../src/commands/serving/stop-signal.js', import.meta.url).href;
/** Cleans up for some time after the first signal, as the agent removes its tracing instance, and says so. */
const program = (cleanUpMs: number) => `
  import { stopSignal } from '${MODULE}';
  const signal = stopSignal(() => {});
  signal.addEventListener('abort', () => setTimeout(() => { console.log('clean'); process.exit(); }, ${cleanUpMs}));
  setInterval(() => {}, 1000);
  console.log('ready');`;

/** Sends two signals with a pause between them. Returns what the program printed, and how it ended. */
async function stopTwice(cleanUpMs: number, pauseMs: number, second: NodeJS.Signals) {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program(cleanUpMs)]);
  const printed: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => printed.push(text));
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  await sleep(pauseMs);
  child.kill(second);
  const [code, signal] = await once(child, 'close');
  return { printed: printed.join(''), code, signal };
}

for (const second of ['SIGTERM', 'SIGINT'] as const)
  test(`${second} right after SIGTERM does not keep the program from cleaning up`, async () => {
    assert.deepEqual(await stopTwice(500, 20, second), { printed: 'ready\nclean\n', code: 0, signal: null });
  });

test('a signal that comes later ends the program at once', async () => {
  assert.deepEqual(await stopTwice(60_000, 2000, 'SIGINT'), { printed: 'ready\n', code: null, signal: 'SIGINT' });
});
