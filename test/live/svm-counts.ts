/**
 * Run on a host whose guests raise kvm_exit (svm.test.ts does, in an emulated one): two guests, counted by the agent and by the kernel itself
 * with hist triggers, in an instance of their own. Per VM, vCPU and reason the counts must be equal. Prints both; exit code 1 where
 * they differ.
 *
 * Agent and triggers come before the guests: to switch a tracepoint on while vCPUs run can crash an emulated host.
 */
import { mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent, TRACEFS, uniqueInstance } from '../support/agent/agent.js';
import { endAll } from '../support/end-later.js';
import { type RunningGuest, startGuest } from '../support/guest/start-guest.js';
import type { Samples } from '../support/prometheus/samples.js';

/** Everything takes long in an emulated host. */
const PATIENCE_MS = 120_000;

/** As the kernel's own text tells it from other errors. */
const EINTR = -4;

const EXITS = { event: 'kvm_exit', keys: 'common_pid,vcpu_id,exit_reason' };
const USERSPACE_EXITS = { event: 'kvm_userspace_exit', keys: 'common_pid,reason,errno' };

type HistLine = Readonly<Record<string, number>>;

/** `{ common_pid: 181, reason: 2, errno: 0 } hitcount: 50000` */
function readHist(instance: string, event: string): HistLine[] {
  const text = readFileSync(join(instance, 'events/kvm', event, 'hist'), 'utf8');
  if (!/Dropped: 0$/m.test(text)) throw new Error(`the hist trigger dropped some:\n${text}`);
  return [...text.matchAll(/^\{(.*)\} hitcount:\s+(\d+)/gm)].map(([, keys = '', hits]) => ({
    ...Object.fromEntries(
      [...keys.matchAll(/(\w+):\s+(\d+)/g)].map(([, key, value]) => [
        key,
        Number(BigInt.asIntN(32, BigInt(value ?? 0))),
      ]),
    ),
    hits: Number(hits),
  }));
}

/**
 * The kernel's own names, from the last table in the event's format (the one before is of the other vendor): `{ 0x07b, "io" }`,
 * `{ 2, "KVM_EXIT_" "IO" }`.
 */
function readNames(event: string): Map<number, string> {
  const format = readFileSync(join(TRACEFS, 'events/kvm', event, 'format'), 'utf8');
  const table = (format.split('__print_symbolic(').at(-1) ?? '').replaceAll('" "', '');
  return new Map([...table.matchAll(/\{ (\w+), "([^"]+)" \}/g)].map(([, code, name]) => [Number(code), name ?? '']));
}

/** Thread -> VM, as long as they live. */
function watchThreads(guests: readonly RunningGuest[]): Map<number, string> {
  const owners = new Map<number, string>();
  const look = () => {
    for (const { pid, name } of guests) {
      try {
        for (const tid of readdirSync(`/proc/${pid}/task`)) owners.set(Number(tid), name);
      } catch {
        // It has ended.
      }
    }
  };
  const timer = setInterval(look, 50);
  timer.unref();
  return owners;
}

/** Counts of the hist triggers under the agent's labels. */
function expected(instance: string, owners: ReadonlyMap<number, string>): Map<string, number> {
  const counts = new Map<string, number>();
  const add = (key: string, hits: number) => counts.set(key, (counts.get(key) ?? 0) + hits);
  const vcpus = new Map<number, number>();
  const exitNames = readNames(EXITS.event);
  for (const { common_pid: tid = 0, vcpu_id: vcpu = 0, exit_reason: reason = 0, hits = 0 } of readHist(
    instance,
    EXITS.event,
  )) {
    vcpus.set(tid, vcpu);
    add(`${owners.get(tid)} vcpu ${vcpu} kvm ${exitNames.get(reason) ?? reason}`, hits);
  }
  const userspaceNames = readNames(USERSPACE_EXITS.event);
  for (const { common_pid: tid = 0, reason = 0, errno = 0, hits = 0 } of readHist(instance, USERSPACE_EXITS.event)) {
    const name = errno === EINTR ? 'restart' : errno < 0 ? 'error' : userspaceNames.get(reason);
    add(`${owners.get(tid)} vcpu ${vcpus.get(tid)} qemu ${name}`, hits);
  }
  return counts;
}

function counted(samples: Samples): Map<string, number> {
  return new Map(
    samples.of('kvm_exits_total').map(({ labels, value }) => {
      const [vm, vcpu, layer, reason] = ['vm', 'vcpu', 'layer', 'reason'].map((label) => labels.get(label));
      return [`${vm} vcpu ${vcpu} ${layer} ${reason}`, value];
    }),
  );
}

async function compare(): Promise<boolean> {
  const agent = await startAgent({ patienceMs: PATIENCE_MS });
  const instance = join(TRACEFS, 'instances', uniqueInstance());
  mkdirSync(instance);
  for (const { event, keys } of [EXITS, USERSPACE_EXITS])
    writeFileSync(join(instance, 'events/kvm', event, 'trigger'), `hist:keys=${keys}:size=4096`);
  const nowhere = 0x1000_0000;
  const guests = [
    startGuest({
      name: 'svm-a',
      vcpus: 2,
      steps: [
        { out: 0x80, times: 20_000 },
        { cpuid: true, times: 5000 },
      ],
      others: [{ out: 0x80, times: 10_000 }],
    }),
    startGuest({
      name: 'svm-b',
      steps: [
        { in: 0x402, times: 10_000 },
        { mmioRead: nowhere, times: 5000 },
        { mmioWrite: nowhere, times: 3000 },
      ],
    }),
  ];
  const owners = watchThreads(guests);
  for (const guest of guests) await guest.finished();
  await sleep(3000);
  const [ours, theirs] = [counted(await agent.scrape()), expected(instance, owners)];
  for (const { event, keys } of [EXITS, USERSPACE_EXITS])
    writeFileSync(join(instance, 'events/kvm', event, 'trigger'), `!hist:keys=${keys}:size=4096`);
  rmdirSync(instance);
  console.log(agent.log());
  await agent.stop();
  return show(ours, theirs);
}

function show(ours: ReadonlyMap<string, number>, theirs: ReadonlyMap<string, number>): boolean {
  console.log(`${'series'.padEnd(44)}${'agent'.padStart(10)}${'hist'.padStart(10)}`);
  let equal = theirs.size > 0;
  for (const key of [...new Set([...ours.keys(), ...theirs.keys()])].sort()) {
    const [own = 0, hist = 0] = [ours.get(key), theirs.get(key)];
    equal &&= own === hist;
    console.log(
      `${key.padEnd(44)}${String(own).padStart(10)}${String(hist).padStart(10)}${own === hist ? '' : '   DIFFERENT'}`,
    );
  }
  return equal;
}

try {
  process.exitCode = (await compare()) ? 0 : 1;
} finally {
  await endAll();
}
