/**
 * Attacks by the files of tenants: logs and simple traces of QEMU, in a folder that every user may write to. The honest
 * VM is a process in a tree like /proc, which has its log open.
 */
import { execFileSync } from 'node:child_process';
import {
  appendFileSync,
  chmodSync,
  chownSync,
  linkSync,
  mkdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { ask } from '../../support/agent/web-agent.js';
import { Samples } from '../../support/prometheus/samples.js';
import type { Attack, Target } from '../attack.js';
import { procTree } from './proc-tree.js';

const HONEST = 'honest';
const HONEST_UID = 1000;
const HONEST_PID = 4000;
/** A user without rights, who owns no file. */
const EVIL_UID = 65_534;
/** A line of the honest VM, once at the beginning of the attack and once in the middle of it. */
const HONEST_LINE = `${HONEST_PID + 1}@1700000000.000000:kvm_run_exit cpu_index 0, reason 17\n`;
/** The same, by the attacker. */
const FORGED_LINE = `${HONEST_PID + 1}@1700000000.000000:kvm_run_exit cpu_index 0, reason 6\n`;
const SECRET = 'hunter2';
const SECRET_LINES = [`${SECRET}_password x`, `7@1.5:${SECRET}_token x`, `${SECRET}_key: x`, `api_key ${SECRET}`];
const LINES_AT_ONCE = 5000;
const PAUSE_MS = 100;

/** Disturbs the folder of logs once, as another user. */
type Round = (logs: string, round: number) => void;

function attackByFiles(name: string, round: Round): Attack {
  return {
    class: 'tenant',
    name,
    command: 'run',
    skip: () => (process.getuid?.() === 0 ? undefined : 'needs root'),
    prepare: async (folder) => {
      const logs = join(folder, 'logs');
      mkdirSync(logs);
      chmodSync(folder, 0o755);
      chmodSync(logs, 0o1777);
      const honest = join(logs, `${HONEST}.log`);
      writeFileSync(honest, '');
      chownSync(honest, HONEST_UID, HONEST_UID);
      const proc = procTree();
      proc.put({
        pid: HONEST_PID,
        comm: 'qemu-system-x86',
        uid: HONEST_UID,
        startTime: 7,
        args: ['qemu-system-x86_64', '-name', `guest=${HONEST}`],
        threads: [{ tid: HONEST_PID + 1, comm: 'CPU 0/KVM', startTime: 7 }],
        descriptors: ['anon_inode:kvm-vm', honest],
      });
      return [
        '--no-collector.kernel',
        '--no-collector.kvm-stats',
        `--path.procfs=${proc.root}`,
        `--qemu.log=${logs}/*.log`,
        `--qemu.simple=${logs}/trace-*`,
      ];
    },
    attack: async ({ folder }, signal) => {
      process.setgid?.(EVIL_UID);
      process.setuid?.(EVIL_UID);
      for (let count = 0; !signal.aborted; count++) {
        round(join(folder, 'logs'), count);
        await sleep(PAUSE_MS);
      }
    },
    check: async ({ folder }) => appendFileSync(join(folder, `logs/${HONEST}.log`), HONEST_LINE) ?? undefined,
    checkAfter: async (target) => {
      await sleep(4000);
      const text = await metricsOf(target);
      if (text.includes(SECRET)) return 'a secret has become a label';
      const exits = new Samples(text).sumBy('reason', 'kvm_exits_total', { vm: HONEST });
      const counted = JSON.stringify(exits);
      return counted === '{"KVM_EXIT_INTERNAL_ERROR":1}' ? undefined : `the honest VM has ${counted}`;
    },
  };
}

export const TENANT_FILES: readonly Attack[] = [
  attackByFiles('forged lines of a log: reasons, events, threads and secrets without end', (logs, round) => {
    const lines = Array.from({ length: LINES_AT_ONCE }, (_, i) => forgedLine(round * LINES_AT_ONCE + i));
    for (const name of ['forged', `${HONEST}.log`]) appendFileSync(join(logs, `${name}.log`), lines.join(''));
  }),
  attackByFiles('sixty logs with a thousand made-up threads each', (logs, round) => {
    for (let file = 0; file < 60; file++) {
      const lines = Array.from({ length: 500 }, (_, i) => threadLine((file * 2000 + round * 500 + i) % 4_000_000));
      appendFileSync(join(logs, `threads-${file}.log`), lines.join(''));
    }
  }),
  attackByFiles('fifty logs that are written as fast as possible', (logs, round) => {
    const lines = FORGED_LINE.repeat(LINES_AT_ONCE);
    for (let file = 0; file < 50; file++) {
      const path = join(logs, `busy-${file}.log`);
      if (round % 10 === 0) writeFileSync(path, '');
      appendFileSync(path, lines);
    }
  }),
  attackByFiles('logs and traces of a terabyte of holes, which grow and shrink', (logs, round) => {
    for (let file = 0; file < 20; file++) {
      const path = join(logs, file % 2 === 0 ? `holes-${file}.log` : `trace-${file}`);
      writeFileSync(path, file % 2 === 0 ? FORGED_LINE : simpleHeader());
      truncateSync(path, 2 ** 40 - round);
      if (round % 2 === 0) appendFileSync(path, FORGED_LINE);
    }
  }),
  attackByFiles('lines without an end, of zeros and of blanks', (logs, round) => {
    for (let file = 0; file < 20; file++) {
      const path = join(logs, `line-${file}.log`);
      if (round % 20 === 0) writeFileSync(path, '');
      appendFileSync(path, Buffer.alloc(1 << 19, file % 2 === 0 ? 0 : 0x20));
    }
  }),
  attackByFiles('thousands of logs', (logs, round) => {
    for (let file = 0; file < 500; file++) writeFileSync(join(logs, `many-${round % 20}-${file}.log`), FORGED_LINE);
  }),
  attackByFiles('thousands of names that are no logs', (logs, round) => {
    for (let file = 0; file < 1000; file++) writeFileSync(join(logs, `other-${round % 50}-${file}.txt`), '');
  }),
  attackByFiles('pipes, folders and links in the place of logs and traces', (logs, round) => {
    const names = Array.from({ length: 100 }, (_, file) => join(logs, `odd-${round % 10}-${file}.log`));
    for (const name of names) rmSync(name, { recursive: true, force: true });
    const trace = join(logs, `trace-${HONEST_PID + (round % 10)}`);
    rmSync(trace, { force: true });
    execFileSync('mkfifo', [...names.slice(0, 30), trace]);
    for (const name of names.slice(30, 60)) symlinkSync('/etc/passwd', name);
    for (const name of names.slice(60, 80)) symlinkSync('/dev/zero', name);
    for (const name of names.slice(80)) mkdirSync(name);
  }),
  attackByFiles('logs that are replaced and linked again and again', (logs, round) => {
    for (let file = 0; file < 50; file++) {
      const path = join(logs, `swap-${file}.log`);
      writeFileSync(`${path}.new`, FORGED_LINE.repeat(10));
      renameSync(`${path}.new`, path);
      const link = join(logs, `link-${file}-${round % 20}.log`);
      rmSync(link, { force: true });
      linkSync(path, link);
    }
  }),
  attackByFiles('simple traces with made-up names and broken records', (logs, round) => {
    for (let file = 0; file < 20; file++) {
      const path = join(logs, `trace-${file === 0 ? HONEST_PID : file}`);
      if (round % 10 === 0) writeFileSync(path, simpleHeader());
      appendFileSync(path, Buffer.concat([mapping(round), noise(100_000, round * 20 + file)]));
    }
  }),
];

function forgedLine(n: number): string {
  return [
    `kvm_run_exit cpu_index ${n % 4096}, reason ${n}\n`,
    `made_up_event_${n} x ${n}\n`,
    `${n}@1700000000.000000:kvm_run_exit cpu_index ${n % 7}, reason 2\n`,
    `virtio_queue_notify vdev 0x${n.toString(16)} n 0 vq 0x${n.toString(16)}\n`,
    `memory_region_ops_write cpu 0 mr 0x1 addr 0x${n.toString(16)} value 0x0 size 1 name 'region-${n}'\n`,
    `kvm_set_ioeventfd_mmio fd: 1 @0x${n.toString(16)}000 val=0x0 assign: 1 size: 0 match: 0\n`,
    FORGED_LINE,
    `${SECRET_LINES[n % SECRET_LINES.length]}\n`,
  ][n % 8] as string;
}

function threadLine(n: number): string {
  return `${n + 1}@1700000000.000000:kvm_run_exit cpu_index ${n % 3}, reason 2\n`;
}

/** The header of a simple trace of version 4. */
function simpleHeader(): Buffer {
  const header = Buffer.alloc(24, 0xff);
  header.writeBigUInt64LE(0xf2b177cb0aa429b4n, 8);
  header.writeBigUInt64LE(4n, 16);
  return header;
}

/** A mapping that names an event. */
function mapping(round: number): Buffer {
  const name = Buffer.from(`made_up_${round}`);
  const bytes = Buffer.alloc(20 + name.length);
  bytes.writeBigUInt64LE(BigInt(round % 65_536), 8);
  bytes.writeUInt32LE(name.length, 16);
  name.copy(bytes, 20);
  return bytes;
}

/** Pseudo-random bytes, half of them small, as in records. */
function noise(length: number, seed: number): Buffer {
  const bytes = Buffer.alloc(length);
  let state = seed + 1;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    bytes[i] = state & 0x10_00_00 ? state >>> 24 : (state >>> 16) & 1;
  }
  return bytes;
}

async function metricsOf({ url }: Target): Promise<string> {
  const answer = await ask(`${url}/metrics`, { signal: AbortSignal.timeout(10_000) });
  return typeof answer === 'string' ? '' : answer.body.toString();
}
