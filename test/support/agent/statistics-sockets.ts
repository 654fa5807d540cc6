/** VMs in a tree like /proc, and their control sockets, which answer questions about KVM's own statistics. */
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { endLater } from '../end-later.js';
import type { ProcTree } from './proc-tree.js';
import { socketLink } from './socket-link.js';

/** Two VMs, each a process with two threads. */
export const STATISTICS_VMS = { evil: 41, victim: 42 } as const;
type VmName = keyof typeof STATISTICS_VMS;

/** What a control socket answers to `query-stats-schemas`, `query-cpus-fast` and `query-stats`. */
export interface StatisticsAnswers {
  readonly schemas: unknown;
  readonly cpus: unknown;
  /** Statistics of the vCPUs. */
  readonly stats: unknown;
  /** Statistics of the VM as a whole; default: none. */
  readonly vmStats?: unknown;
}

const GREETING = '{"QMP": {"version": {}, "capabilities": []}}\n';
export const VCPU_PATH = '/machine/unattached/device';
export const HONEST_EXITS = 1234;

/** Answers as those of QEMU 7.2 (qapi/stats.json), of one vCPU with one statistic. */
export const HONEST_ANSWERS: StatisticsAnswers = {
  schemas: [{ provider: 'kvm', target: 'vcpu', stats: [{ name: 'exits', type: 'cumulative', exponent: 0 }] }],
  cpus: [{ 'cpu-index': 0, 'qom-path': VCPU_PATH, 'thread-id': STATISTICS_VMS.victim + 1000 }],
  stats: [{ provider: 'kvm', 'qom-path': VCPU_PATH, stats: [{ name: 'exits', value: HONEST_EXITS }] }],
};

/** Puts the VMs into the tree. Returns the arguments with which an agent finds them and their sockets. */
export function putStatisticsVms(proc: ProcTree, folder: string): string[] {
  mkdirSync(join(folder, 'sockets'));
  writeFileSync(join(folder, 'x.log'), '');
  for (const [name, pid] of Object.entries(STATISTICS_VMS)) {
    const args = ['qemu-system-x86_64', '-name', `guest=${name}`];
    const threads = [{ tid: pid + 1000, comm: 'CPU 0/KVM', startTime: pid }];
    proc.put({ pid, comm: 'qemu-system-x86', startTime: pid, args, threads });
    symlinkSync('/proc/self/net', join(proc.root, `${pid}/net`));
    symlinkSync('/', join(proc.root, `${pid}/root`));
    symlinkSync(join(proc.root, `${pid}/fd`), join(folder, `descriptors-${name}`));
  }
  return [
    '--no-collector.kernel',
    `--path.procfs=${proc.root}`,
    `--qemu.log=${folder}/*.log`,
    `--qemu.qmp=${folder}/sockets/*`,
  ];
}

/** Listens on silent control sockets that the process of a VM serves; their names come before other ones. */
export async function serveSilence(folder: string, vm: VmName, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await listen(folder, vm, `a-${n}`, (client) => client.on('error', () => {}));
}

/** Listens on a control socket that the process of a VM serves, and answers. */
export async function serveStatistics(folder: string, vm: VmName, answers: StatisticsAnswers): Promise<void> {
  await listen(folder, vm, vm, (client) => {
    client.on('error', () => {}).write(GREETING);
    client.on('data', (data) => {
      for (const line of data.toString().trim().split('\n'))
        client.write(`${JSON.stringify({ return: answerTo(JSON.parse(line), vm, answers) })}\n`);
    });
  });
}

async function listen(folder: string, vm: VmName, name: string, answer: (client: Socket) => void): Promise<void> {
  const path = join(folder, 'sockets', name);
  const server = createServer(answer);
  await new Promise<void>((resolve) => {
    server.listen(path, resolve);
  });
  server.unref();
  endLater(async () => void server.close());
  const descriptors = join(folder, `descriptors-${vm}`);
  symlinkSync(socketLink(path), join(descriptors, String(readdirSync(descriptors).length)));
}

function answerTo(
  { execute, arguments: given }: { execute: string; arguments?: { target?: string } },
  vm: string,
  answers: StatisticsAnswers,
): unknown {
  if (execute === 'query-name') return { name: vm };
  if (execute === 'query-uuid') return { UUID: '' };
  if (execute === 'query-stats-schemas') return answers.schemas;
  if (execute === 'query-cpus-fast') return answers.cpus;
  if (execute === 'query-stats') return given?.target === 'vcpu' ? answers.stats : (answers.vmStats ?? []);
  return execute === 'human-monitor-command' ? '' : {};
}
