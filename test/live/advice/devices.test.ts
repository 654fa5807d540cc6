/**
 * Findings about devices: each device in a real QEMU, and the same guest in a VM that was changed as the advice says.
 * The guest counts its accesses itself. What they cost is added up from the kernel's text of a trace, where KVM shows
 * entries into the guest; svm-advice.test.ts runs this on such a host, an emulated one.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { FindingData } from '../../../src/advice/finding-data.js';
import { RULES } from '../../../src/advice/rules.js';
import { type RunningAgent, startAgent } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import { withoutArchCapabilities } from '../../support/guest/cpu-of-host.js';
import { emptyQcow2 } from '../../support/guest/empty-qcow2.js';
import { liveTest } from '../../support/guest/live-test.js';
import { type RunningGuest, startGuest } from '../../support/guest/start-guest.js';
import { TELLS_KVM } from '../../support/guest/tells-kvm.js';
import { TextTrace } from '../../support/trace/text-trace.js';
import { COST_EVENTS, costsByReason } from '../../support/trace/trace-costs.js';
import { vcpuThread } from '../times/vcpu-shares.js';
import { DEVICE_GUESTS, type DeviceGuest } from './device-guests.js';

const LASTING_SECONDS = 3;
/** Largest difference between the figures of a finding and those of the guest and of the trace. */
const TOLERANCE = 0.2;
const SAMPLES = 8;
const MAX_TRIES = 6;
/** pvm has nothing of Hyper-V, and QEMU ends if it cannot set it up. */
const HOST_LACKS = /failed to set MSR 0x400000|kernel doesn't allow setting HyperV/;

const ACCESSES = ['KVM_EXIT_IO', 'KVM_EXIT_MMIO'];
/** Half a million events. */
const BUFFER_KB = 24_576;
/** This machine may have fewer CPUs than busy vCPUs. So QEMU may be slow to answer, too. */
const OF_THE_HOST = ['waiting-for-cpu', 'slow-device-model'];
/** Gives the agent a CPU beside guests that never sleep. */
const FIRST = ['nice', '-n', '-15'];

const folder = mkdtempSync(join(tmpdir(), 'advice-'));
let agent: RunningAgent;
let trace: TextTrace | undefined;

before(async () => {
  if (liveTest().skip !== false) return;
  if (TELLS_KVM) trace = new TextTrace(COST_EVENTS, BUFFER_KB);
  agent = await startAgent({
    args: [
      `--advice.lasting=${LASTING_SECONDS}s`,
      ...OF_THE_HOST.map((rule) => `--advice.disable=${rule}`),
      `--qemu.qmp=${folder}/*.sock`,
    ],
    prefix: FIRST,
  });
});

after(async () => {
  await endAll();
  trace?.close();
  rmSync(folder, { recursive: true });
});

for (const [index, guest] of DEVICE_GUESTS.entries())
  test(`${guest.name}: found as ${guest.advice}, and not found once it is cured`, liveTest(), async (t) => {
    const found = start(`found-${index}`, guest, guest.qemu);
    const cured = start(`cured-${index}`, guest, guest.cured ?? printedChange(guest.advice));
    try {
      await agent.scrapeUntil(
        'a finding',
        (samples) => samples.of('kvm_vm_advice', { vm: found.name }).length > 0,
        60_000,
      );
      let measured = await measure(found, cured, guest);
      // The load of this machine may change between the period of the finding and the time of the measurement.
      for (let tries = 1; !measured.figures.every(isClose) && tries < MAX_TRIES; tries++)
        measured = await measure(found, cured, guest);
      const { figures, names, namesOfCured } = measured;
      assert.ok(names.length > 0, `the finding went away: ${found.writesDone()} rounds, ${stateOf(found)}`);
      for (const { what, finding, expected } of figures)
        t.diagnostic(`${what} ${finding.toPrecision(4)}, expected ${expected.toPrecision(4)}`);
      assert.deepEqual(names, [guest.advice]);
      const words = cured.lastWords();
      if (words === undefined) assert.deepEqual(namesOfCured, []);
      else {
        assert.match(words, HOST_LACKS);
        t.diagnostic(`the cure was not tried, as the KVM of this host lacks it: ${words.split('\n', 1)[0]}`);
      }
      assert.ok(figures.every(isClose), JSON.stringify(figures));
    } finally {
      await Promise.all([found.kill(), cured.kill()]);
    }
  });

interface Figure {
  readonly what: string;
  /** Mean of several moments. */
  readonly finding: number;
  /** The guest's own count, or what the trace adds up to, in the same time. */
  readonly expected: number;
}

interface Measured {
  readonly figures: readonly Figure[];
  /** Names of all findings that were made meanwhile. */
  readonly names: readonly string[];
  readonly namesOfCured: readonly string[];
}

async function measure(found: RunningGuest, cured: RunningGuest, guest: DeviceGuest): Promise<Measured> {
  const { advice, exitsPerRound, exits = ACCESSES, sleepsIn = [] } = guest;
  const [findings, findingsOfCured]: [FindingData[], FindingData[]] = [[], []];
  trace?.start();
  const [rounds, startMs] = [found.writesDone(), performance.now()];
  for (let sample = 0; sample < SAMPLES; sample++) {
    await sleep((LASTING_SECONDS / 5) * 1000);
    const all = await findingsNow();
    findings.push(...all.filter(({ vm }) => vm === found.name));
    findingsOfCured.push(...all.filter(({ vm }) => vm === cured.name));
  }
  const seconds = (performance.now() - startMs) / 1000;
  const roundsPerSecond = (found.writesDone() - rounds) / seconds;
  trace?.stop();
  const text = trace?.text();
  const thread = vcpuThread(found.pid).split('/').at(-1) ?? '';
  const own = findings.filter((finding) => finding.advice === advice);
  const rate = (expected: number): Figure => ({
    what: 'exits per second',
    finding: mean(own.map(({ per_second }) => per_second)),
    expected,
  });
  const cost = (expected: number): Figure => ({
    what: 'part of a vCPU',
    finding: mean(own.map((finding) => finding.cost ?? Number.NaN)),
    expected,
  });
  const figures = [
    ...(exitsPerRound === undefined ? [] : [rate(roundsPerSecond * exitsPerRound)]),
    ...(text === undefined ? [] : [cost(secondsIn(text, thread, exits))]),
    ...(text === undefined || sleepsIn.length === 0
      ? []
      : [rate(countReturns(text, thread, [...exits, ...sleepsIn]) / seconds)]),
  ];
  const namesOf = (all: readonly FindingData[]) => [...new Set(all.map(({ advice }) => advice))];
  return { figures, names: namesOf(findings), namesOfCured: namesOf(findingsOfCured) };
}

/** Why a guest may have stopped: what QEMU and the kernel said. */
function stateOf(guest: RunningGuest): string {
  const state = guest.lastWords() === undefined ? 'QEMU runs' : 'QEMU has ended';
  const threads = spawnSync('ps', ['-L', '-o', 'tid,stat,wchan:30,comm', '-p', `${guest.pid}`], { encoding: 'utf8' });
  const kernel = spawnSync('dmesg', { encoding: 'utf8' }).stdout?.split('\n').slice(-20).join('\n');
  return `${state}: ${guest.words()}\n${threads.stdout}\n${kernel}`;
}

/** Part of the time in which QEMU answers such exits of a vCPU. */
function secondsIn(text: string, thread: string, exits: readonly string[]): number {
  const costs = costsByReason(text);
  return exits.reduce((sum, reason) => sum + (costs.get(`${thread} ${reason}`)?.seconds ?? 0), 0);
}

function countReturns(text: string, thread: string, reasons: readonly string[]): number {
  const isOne = (line: string) => reasons.some((reason) => line.includes(`kvm_userspace_exit: reason ${reason} (`));
  return text.split('\n').filter((line) => line.includes(`-${thread} `) && isOne(line)).length;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

function isClose({ finding, expected }: Figure): boolean {
  return Math.abs(finding / expected - 1) <= TOLERANCE;
}

function start(name: string, { steps }: DeviceGuest, qemu: string) {
  // A disk of its own: QEMU locks it.
  const disk = join(folder, `${name}.qcow2`);
  writeFileSync(disk, emptyQcow2());
  const args = qemu === '' ? [] : withoutArchCapabilities(qemu).replaceAll('DISK', disk).split(' ');
  return startGuest({ name, steps, extraArgs: [...args, '-qmp', `unix:${folder}/${name}.sock,server=on,wait=off`] });
}

/** The arguments that the advice prints. A tap interface would need a network, and vhost its kernel module. */
function printedChange(advice: string): string {
  const qemu = RULES.find(({ id }) => id === advice)?.changes.qemu ?? '';
  return qemu.replace('tap,id=net0,vhost=on', 'user,id=net0');
}

async function findingsNow(): Promise<readonly FindingData[]> {
  const answer = await fetch(new URL('/api/advice', agent.url));
  const { findings } = (await answer.json()) as { readonly findings: readonly FindingData[] };
  return findings;
}
