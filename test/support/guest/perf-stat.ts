/** Counts tracepoint hits with perf, as an independent check of the agent's counts. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface PerfStat {
  /** Stops counting. Returns the number of hits by event. */
  stop(): Promise<Map<string, number>>;
}

/** Starts `perf stat` on all CPUs. It counts from before the promise resolves until `stop` is called. */
export async function startPerfStat(...events: string[]): Promise<PerfStat> {
  // perf starts the workload once its counters are on. The workload prints a line then, and ends when its input is
  // closed.
  const workload = ['sh', '-c', 'echo counting; read line'];
  const child = spawn('perf', [
    'stat',
    '-x',
    ',',
    '-a',
    ...events.flatMap((event) => ['-e', event]),
    '--',
    ...workload,
  ]);
  let stderr = '';
  child.stderr.on('data', (text) => {
    stderr += text;
  });
  const ended = once(child, 'close');
  await Promise.race([once(child.stdout, 'data'), ended]);
  assert.equal(child.exitCode, null, stderr);
  return {
    async stop() {
      child.stdin.end();
      await ended;
      const lines = stderr.split('\n').map((line) => line.split(','));
      return new Map(
        lines.flatMap(([count = '', , event = '']) => (events.includes(event) ? [[event, Number(count)]] : [])),
      );
    },
  };
}
