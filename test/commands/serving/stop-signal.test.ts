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
  const isOff = () => signal.aborted && process.listenerCount('SIGINT') === 0;
  const looks = setInterval(() => { if (isOff()) { clearInterval(looks); console.log('off'); } }, 20);
  setInterval(() => {}, 1000);
  console.log('ready');`;

/** Sends a signal, and another one after `pause`. Returns what the program printed, and how it ended. */
async function stopTwice(cleanUpMs: number, pause: (printed: () => string) => Promise<void>, second: NodeJS.Signals) {
  const child = spawn(process.execPath, ['--input-type=module', '--eval', program(cleanUpMs)]);
  const printed: string[] = [];
  child.stdout.setEncoding('utf8').on('data', (text: string) => printed.push(text));
  await once(child.stdout, 'data');
  child.kill('SIGTERM');
  await pause(() => printed.join(''));
  child.kill(second);
  const [code, signal] = await once(child, 'close');
  return { printed: printed.join(''), code, signal };
}

for (const second of ['SIGTERM', 'SIGINT'] as const)
  test(`${second} right after SIGTERM does not keep the program from cleaning up`, async () => {
    assert.deepEqual(await stopTwice(500, () => sleep(20), second), {
      printed: 'ready\nclean\n',
      code: 0,
      signal: null,
    });
  });

test('a signal that comes later ends the program at once', async () => {
  const startMs = performance.now();
  const later = async (printed: () => string) => {
    while (!printed().includes('off')) await sleep(20);
    // The two signals of timeout(1) are some milliseconds apart.
    assert.ok(performance.now() - startMs > 900);
  };
  assert.deepEqual(await stopTwice(600_000, later, 'SIGINT'), {
    printed: 'ready\noff\n',
    code: null,
    signal: 'SIGINT',
  });
});
