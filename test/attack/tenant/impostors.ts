/** Attacks by processes of tenants: processes that pose as VMs, and a VMM with threads without end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { basename } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from '../../support/agent/web-agent.js';
import { ioExits } from '../../support/guest/agent-checks.js';
import { startSmallVmm } from '../../support/guest/start-small-vmm.js';
import { Samples } from '../../support/prometheus/samples.js';
import { isAvailable, type Requirement } from '../../support/requirements.js';
import type { Attack, Target } from '../attack.js';
import { untilAborted } from '../network/sockets.js';

const NEEDS: readonly Requirement[] = ['root', 'kvm', 'kvm-events', 'gcc'];
const IMPOSTORS_AT_ONCE = 200;
const IDLE_IMPOSTORS = 1000;
/** VMs of the attacker that run at a time, and exits of each. */
const VMS_AT_ONCE = 10;
const VM_EXITS = 20;
/** Characters that act on a terminal: escape, and a mark of direction. */
const ACTING = ['\u001b', '\u202e'] as const;
/** Bytes of the arguments of an idle impostor. */
const LONG_ARGUMENT = 100_000;

/** The VM that is not attacked: it runs while the attack goes on, and lives to its end. Other suites may run, too. */
const honestName = (folder: string) => `honest-${basename(folder)}`;
const HONEST_EXITS = 5000;
const HONEST_START_US = 4_000_000;
/** Time for the VM to finish, and for the agent to count it. */
const HONEST_WAIT_MS = 20_000;
const HONEST_END_US = 600_000_000;
/** Time in which it makes its VM. */
const HONEST_MAKE_MS = 1000;
/** Folder of an attack -> process of the honest VM, which is stopped until the agent reads events. */
const stopped = new Map<string, number>();

const kernelAttack: Pick<Attack, 'class' | 'command' | 'skip' | 'prepare' | 'check' | 'checkAfter'> = {
  class: 'tenant',
  command: 'run',
  skip: () => (NEEDS.every(isAvailable) ? undefined : `needs ${NEEDS.join(', ')}`),
  prepare: async (folder) => {
    const name = honestName(folder);
    const args = ['qemu-system-x86_64', '-name', `guest=${name}`];
    const { pid } = startSmallVmm(name, { args, exits: HONEST_EXITS, startUs: HONEST_START_US, endUs: HONEST_END_US });
    await sleep(HONEST_MAKE_MS);
    process.kill(pid, 'SIGSTOP');
    stopped.set(folder, pid);
    return [`--tracefs.instance=attack_${process.pid}`];
  },
  check: async ({ folder }) => {
    const pid = stopped.get(folder);
    if (pid !== undefined) process.kill(pid, 'SIGCONT');
    return undefined;
  },
  checkAfter: async (target) => {
    const honest = honestName(target.folder);
    let samples = await samplesOf(target);
    for (const endMs = performance.now() + HONEST_WAIT_MS; performance.now() < endMs; await sleep(200)) {
      if (ioExits(samples, honest) >= HONEST_EXITS) break;
      samples = await samplesOf(target);
    }
    const labels = new Set(samples.of('kvm_vm_info').map((sample) => sample.labels.get('vm') ?? ''));
    const posing = [...labels].filter((vm) => vm.startsWith('posed'));
    if (posing.length > 0) return `${posing.length} processes without a VM are shown, as ${posing[0]}`;
    const exits = ioExits(samples, honest);
    return exits === HONEST_EXITS ? undefined : `${exits} of ${HONEST_EXITS} exits of the VM ${honest} counted`;
  },
};

export const IMPOSTORS: readonly Attack[] = [
  {
    ...kernelAttack,
    name: 'processes with the command line of a VM, again and again',
    attack: async ({ folder }, signal) => {
      const children = new Set<ChildProcess>();
      const start = (n: number) => {
        const child = startImpostor(['sh', '-c', 'sleep 1; :', '-name', `guest=${nameOf(folder, n)}`]);
        children.add(child);
        child.once('exit', () => {
          children.delete(child);
          if (!signal.aborted) start(n);
        });
      };
      for (let n = 0; n < IMPOSTORS_AT_ONCE; n++) start(n);
      await untilAborted(signal);
      for (const child of children) child.kill('SIGKILL');
    },
  },
  {
    ...kernelAttack,
    name: 'a thousand processes with the command line of a VM, 100 KB each',
    attack: async ({ folder }, signal) => {
      const long = 'x'.repeat(LONG_ARGUMENT);
      const children = Array.from({ length: IDLE_IMPOSTORS }, (_, n) =>
        startImpostor(
          ['sh', '-c', 'exec 3</dev/kvm; read line; :', '-name', `guest=${nameOf(folder, n)}`, long],
          'pipe',
        ),
      );
      await untilAborted(signal);
      for (const child of children) child.kill('SIGKILL');
    },
  },
  {
    ...kernelAttack,
    name: 'VMs without end, each with a name of its own that is long and acts on terminals',
    attack: async (_target, signal) => {
      const run = async (place: number) => {
        for (let n = 0; !signal.aborted; n++) {
          const name = `short-${place}-${n}-${ACTING.join('[2J')}${'é'.repeat(300)}`;
          const vmm = startSmallVmm(name, { args: ['qemu-system-x86_64', '-name', name], exits: VM_EXITS });
          await vmm.finished();
        }
      };
      await Promise.all(Array.from({ length: VMS_AT_ONCE }, (_, place) => run(place)));
    },
    checkAfter: async (target) => {
      for (const path of ['/', '/api/vms', '/api/history', '/metrics']) {
        const answer = await ask(target.url + path, { signal: AbortSignal.timeout(10_000) });
        if (typeof answer === 'string' || answer.status !== 200) return `${path} gets no answer`;
        const text = answer.body.toString();
        if (ACTING.some((character) => text.includes(character))) return `${path} has a name that acts on terminals`;
      }
      return kernelAttack.checkAfter?.(target);
    },
  },
  {
    ...kernelAttack,
    name: 'threads without end that each run a vCPU once',
    attack: async (_target, signal) => {
      const vmm = startSmallVmm('threads', { exits: 1, threads: 1e9 });
      await untilAborted(signal);
      await vmm.kill();
    },
  },
];

function nameOf(folder: string, n: number): string {
  return n === 0 ? honestName(folder) : `posed-${n}`;
}

function startImpostor([file = '', ...args]: readonly string[], input: 'ignore' | 'pipe' = 'ignore'): ChildProcess {
  return spawn(file, args, { argv0: 'qemu-system-x86_64', stdio: [input, 'ignore', 'ignore'] });
}

async function samplesOf({ url }: Target): Promise<Samples> {
  const answer = await ask(`${url}/metrics`, { signal: AbortSignal.timeout(10_000) });
  return new Samples(typeof answer === 'string' ? '' : answer.body.toString());
}
