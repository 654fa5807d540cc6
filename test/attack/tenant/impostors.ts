/** Attacks by processes of tenants: processes that pose as VMs, and VMs that pose as other VMs. */
import { type ChildProcess, spawn } from 'node:child_process';
import { isAvailable } from '../../support/requirements.js';
import type { Attack } from '../attack.js';
import { untilAborted } from '../network/sockets.js';

const IMPOSTORS_AT_ONCE = 200;

export const IMPOSTORS: readonly Attack[] = [
  {
    class: 'tenant',
    name: 'processes with the command line of a VM',
    command: 'run',
    skip: () => (isAvailable('root') && isAvailable('kvm-events') ? undefined : 'needs root and kvm-events'),
    prepare: async () => [`--tracefs.instance=attack_${process.pid}`],
    attack: async (_target, signal) => {
      const children = new Set<ChildProcess>();
      const start = (n: number) => {
        const child = spawn('sh', ['-c', 'sleep 1; :', '-name', `guest=vm-${n}`], {
          argv0: 'qemu-system-x86_64',
          stdio: 'ignore',
        });
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
];
