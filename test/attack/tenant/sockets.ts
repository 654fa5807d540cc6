/** Attacks by control sockets: those of a VM that has taken over its QEMU, and those that no VM serves. */
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import { socketLink } from '../../support/agent/socket-link.js';
import { ask } from '../../support/agent/web-agent.js';
import { Samples } from '../../support/prometheus/samples.js';
import type { Attack } from '../attack.js';
import { untilAborted } from '../network/sockets.js';
import { procTree } from './proc-tree.js';

const SOCKETS = 40;
const CHUNK = 1 << 16;
const GREETING = '{"QMP": {"version": {}, "capabilities": []}}\n';
const NAMES = ['evil', 'victim'] as const;

type Answer = (client: Socket) => void;

/** Writes pieces as fast as the agent reads them. */
function flood(piece: () => string): Answer {
  return (client) => {
    const write = () => {
      while (!client.destroyed && client.write(piece()));
    };
    client.on('drain', write);
    write();
  };
}

/** Greets, and answers each command by the same text. */
function answerBy(answerTo: (command: string) => string): Answer {
  return (client) => {
    client.write(GREETING);
    client.on('data', (data) => {
      const commands = data.toString().trim().split('\n');
      for (const command of commands) client.write(`${answerTo(JSON.parse(command).execute)}\n`);
    });
  };
}

function identityOf(command: string, other: string): string {
  if (command === 'query-name') return '{"return": {"name": "evil"}}';
  if (command === 'query-uuid') return '{"return": {"UUID": ""}}';
  return command === 'qmp_capabilities' ? '{"return": {}}' : other;
}

const MTREE = Array.from({ length: 70_000 }, (_, i) => {
  const first = (0x1_0000 + i * 2).toString(16).padStart(16, '0');
  return `  ${first}-${first} (prio 0, i/o): made-up-${i}\r\n`;
}).join('');
const LONG_MTREE = JSON.stringify({ return: `FlatView #0\r\n AS "memory", root: system\r\n${MTREE}` });

const SMALL_OBJECTS = `{"return": [${'{},'.repeat(2_000_000)}0]}`;

const ANSWERS: readonly (readonly [string, Answer])[] = [
  ['silent', () => {}],
  ['closed at once', (client) => client.destroy()],
  ['a line without an end', flood(() => 'x'.repeat(CHUNK))],
  ['events without end', flood(() => '{"event": "STOP"}\n'.repeat(CHUNK / 18))],
  ['answers that were not asked for', flood(() => '{"return": {}}\n'.repeat(CHUNK / 15))],
  ['deeply nested answers', answerBy(() => `${'['.repeat(200_000)}${']'.repeat(200_000)}`)],
  ['millions of small objects', answerBy((command) => identityOf(command, SMALL_OBJECTS))],
  ['long lists of addresses', answerBy((command) => identityOf(command, LONG_MTREE))],
  ['the name of another VM', answerBy((command) => identityOf(command, '{"return": ""}').replace('evil', 'victim'))],
];

function attackBySockets(what: string, answer: Answer, servedBy: 'a VM' | 'no VM'): Attack {
  return {
    class: 'tenant',
    name: `control sockets of ${servedBy}: ${what}`,
    command: 'run',
    prepare: async (folder) => {
      const proc = procTree();
      for (const [index, name] of NAMES.entries()) {
        const pid = 41 + index;
        const args = ['qemu-system-x86_64', '-name', `guest=${name}`];
        proc.put({ pid, comm: 'qemu-system-x86', startTime: pid, args, descriptors: ['anon_inode:kvm-vm'] });
        symlinkSync('/proc/self/net', join(proc.root, `${pid}/net`));
        symlinkSync('/', join(proc.root, `${pid}/root`));
      }
      // The attacker links its sockets to the VM here.
      symlinkSync(join(proc.root, '41/fd'), join(folder, 'descriptors'));
      mkdirSync(join(folder, 'sockets'));
      writeFileSync(join(folder, 'victim.log'), '');
      return [
        '--no-collector.kernel',
        `--path.procfs=${proc.root}`,
        `--qemu.log=${folder}/*.log`,
        `--qemu.qmp=${folder}/sockets/*`,
      ];
    },
    attack: async ({ folder }, signal) => {
      for (let socket = 0; socket < SOCKETS; socket++) {
        const path = join(folder, `sockets/${socket}`);
        const server = createServer((client) => answer(client.on('error', () => {})));
        await new Promise<void>((resolve) => {
          server.listen(path, resolve);
        });
        const descriptors = join(folder, 'descriptors');
        if (servedBy === 'a VM')
          symlinkSync(socketLink(path), join(descriptors, String(readdirSync(descriptors).length)));
      }
      await untilAborted(signal);
    },
    checkAfter: async ({ url }) => {
      const response = await ask(`${url}/metrics`, { signal: AbortSignal.timeout(10_000) });
      const samples = new Samples(typeof response === 'string' ? '' : response.body.toString());
      const vms = samples.of('kvm_vm_info').map(({ labels }) => labels.get('vm'));
      return vms.includes('victim') ? undefined : `the VMs are ${vms.join(', ')}`;
    },
  };
}

export const TENANT_SOCKETS: readonly Attack[] = [
  ...ANSWERS.map(([what, answer]) => attackBySockets(what, answer, 'a VM')),
  attackBySockets(
    'events without end',
    flood(() => '{"event": "STOP"}\n'.repeat(CHUNK / 18)),
    'no VM',
  ),
];
