/** Attacks by the answers of a VM to questions about KVM's own statistics, beside a VM that answers honestly. */
import { setTimeout as sleep } from 'node:timers/promises';
import {
  HONEST_ANSWERS,
  HONEST_EXITS,
  putStatisticsVms,
  type StatisticsAnswers,
  serveStatistics,
  VCPU_PATH,
} from '../../support/agent/statistics-sockets.js';
import { ask } from '../../support/agent/web-agent.js';
import { Samples } from '../../support/prometheus/samples.js';
import type { Attack } from '../attack.js';
import { untilAborted } from '../network/sockets.js';
import { procTree } from './proc-tree.js';

/** The agent asks each ten seconds. */
const HONEST_WAIT_MS = 25_000;
/** Threads of a VM's process, and the VM as a whole. */
const MAX_PARTS = 3;

const provided = (part: object) => [{ provider: 'kvm', target: 'vcpu', ...part }];
const named = (names: readonly string[], more: object = {}) =>
  names.map((name) => ({ name, type: 'cumulative', exponent: 0, ...more }));
const MADE_UP = Array.from({ length: 20_000 }, (_, n) => `made_up_${n}_exits`);
const OF_VM = MADE_UP.map((name) => `other_${name}`);
const MANY = Array.from({ length: 4096 }, (_, n) => n);

const ATTACKS: readonly (readonly [string, Partial<StatisticsAnswers>])[] = [
  [
    'made-up names without end',
    {
      schemas: [...provided({ stats: named(MADE_UP) }), ...provided({ target: 'vm', stats: named(OF_VM) })],
      vmStats: [{ provider: 'kvm', stats: OF_VM.map((name) => ({ name, value: 1 })) }],
      stats: [{ provider: 'kvm', 'qom-path': VCPU_PATH, stats: MADE_UP.map((name) => ({ name, value: 1 })) }],
    },
  ],
  [
    'thousands of vCPUs',
    {
      schemas: provided({ stats: named(MADE_UP.slice(0, 12)) }),
      cpus: MANY.map((n) => ({ 'cpu-index': n, 'qom-path': `${VCPU_PATH}[${n}]`, 'thread-id': n })),
      stats: MANY.map((n) => ({
        provider: 'kvm',
        'qom-path': `${VCPU_PATH}[${n}]`,
        stats: MADE_UP.slice(0, 12).map((name) => ({ name, value: n })),
      })),
    },
  ],
  [
    'known names as other kinds',
    {
      schemas: provided({
        stats: named(['exits', 'io_exits', 'halt_exits'], { type: 'log2-histogram', unit: 'seconds', exponent: -9 }),
      }),
      stats: [
        {
          provider: 'kvm',
          'qom-path': VCPU_PATH,
          stats: [{ name: 'exits', value: Array.from({ length: 32 }, () => 1e18) }],
        },
      ],
    },
  ],
  [
    'values that no counter has',
    {
      stats: [-1, 1e30, '7', null, [[]], {}].map((value) => ({
        provider: 'kvm',
        'qom-path': VCPU_PATH,
        stats: [{ name: 'exits', value }],
      })),
    },
  ],
  ['other shapes', { schemas: { return: [] }, cpus: 'none', stats: [[[]], null, 7] }],
];

export const TENANT_STATISTICS: readonly Attack[] = ATTACKS.map(
  ([what, changed]): Attack => ({
    class: 'tenant',
    name: `statistics of a VM: ${what}`,
    command: 'run',
    prepare: async (folder) => putStatisticsVms(procTree(), folder),
    attack: async ({ folder }, signal) => {
      await serveStatistics(folder, 'evil', { ...HONEST_ANSWERS, ...changed });
      await untilAborted(signal);
    },
    // The honest VM comes after the other one was asked.
    checkAfter: async ({ url, folder }) => {
      await serveStatistics(folder, 'victim', HONEST_ANSWERS);
      for (const endMs = performance.now() + HONEST_WAIT_MS; performance.now() < endMs; await sleep(300)) {
        const answer = await ask(`${url}/metrics`, { signal: AbortSignal.timeout(10_000) });
        const samples = new Samples(typeof answer === 'string' ? '' : answer.body.toString());
        const parts = Object.keys(samples.sumBy('vcpu', 'kvm_stat_total', { vm: 'evil' }));
        if (parts.length > MAX_PARTS) return `a VM of two threads has ${parts.length} vCPUs`;
        if (samples.sum('kvm_stat_total', { vm: 'victim', stat: 'exits' }) === HONEST_EXITS) return undefined;
      }
      return 'the honest VM has no statistics';
    },
  }),
);
