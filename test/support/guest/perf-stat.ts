/** What perf counts meanwhile, on all CPUs: an account of the same tracepoints that is not ours. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';

export interface PerfStat {
  /** Ends it; hits by event. */
  stop(): Promise<Map<string, number>>;
}

/** Counts from before it resolves until `stop` is called. */
export async function startPerfStat(...events: string[]): Promise<PerfStat> {
  // The workload starts once the counters are on, and says so; it ends with its input.
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
