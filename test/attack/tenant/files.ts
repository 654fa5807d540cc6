/** Attacks by the files of tenants: logs and simple traces of QEMU. */
import { appendFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from '../../support/agent/web-agent.js';
import { Samples } from '../../support/prometheus/samples.js';
import type { Attack, Target } from '../attack.js';

/** A line of a VM that is not attacked. It has a log of its own. */
const HONEST = 'kvm_run_exit cpu_index 0, reason 17\n';
const LINES_AT_ONCE = 5000;

export const TENANT_FILES: readonly Attack[] = [
  {
    class: 'tenant',
    name: 'forged lines of a log: reasons, events and threads without end',
    command: 'run',
    prepare: async (folder) => {
      for (const name of ['honest', 'forged']) writeFileSync(join(folder, `${name}.log`), '');
      return ['--no-collector.kernel', `--qemu.log=${join(folder, '*.log')}`];
    },
    attack: async ({ folder }, signal) => {
      for (let round = 0; !signal.aborted; round++) {
        const lines = Array.from({ length: LINES_AT_ONCE }, (_, i) => forgedLine(round * LINES_AT_ONCE + i));
        appendFileSync(join(folder, 'forged.log'), lines.join(''));
        await sleep(100);
      }
    },
    check: async ({ folder }) => appendFileSync(join(folder, 'honest.log'), HONEST) ?? undefined,
    checkAfter: async (target) => {
      const count = (await samplesOf(target)).sum('kvm_exits_total', {
        vm: 'honest',
        reason: 'KVM_EXIT_INTERNAL_ERROR',
      });
      return count === 1 ? undefined : `${count} of 1 KVM_EXIT_INTERNAL_ERROR of another log counted`;
    },
  },
];

function forgedLine(n: number): string {
  return [
    `kvm_run_exit cpu_index ${n % 4096}, reason ${n}\n`,
    `made_up_event_${n} x ${n}\n`,
    `${n}@1700000000.000000:kvm_run_exit cpu_index ${n % 7}, reason 2\n`,
  ][n % 3] as string;
}

async function samplesOf({ url }: Target): Promise<Samples> {
  const answer = await ask(`${url}/metrics`, { signal: AbortSignal.timeout(10_000) });
  return new Samples(typeof answer === 'string' ? '' : answer.body.toString());
}
