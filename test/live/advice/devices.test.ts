/**
 * Findings about devices: each device in a real QEMU, and the same guest in a VM that was changed as the advice says.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { RULES } from '../../../src/advice/rules.js';
import { type RunningAgent, startAgent } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import { emptyQcow2 } from '../../support/guest/empty-qcow2.js';
import { liveTest } from '../../support/guest/live-test.js';
import { type RunningGuest, startGuest } from '../../support/guest/start-guest.js';
import { DEVICE_GUESTS, type DeviceGuest } from './device-guests.js';

const LASTING_SECONDS = 3;
/** Largest difference between the rate of a finding and that which the guest counts. */
const TOLERANCE = 0.2;
const SAMPLES = 8;
const MAX_TRIES = 3;
/** pvm has nothing of Hyper-V, and QEMU ends if it cannot set it up. */
const HOST_LACKS = /failed to set MSR 0x400000|kernel doesn't allow setting HyperV/;

const folder = mkdtempSync(join(tmpdir(), 'advice-'));
let agent: RunningAgent;

before(async () => {
  if (liveTest().skip !== false) return;
  // This machine may have fewer CPUs than busy vCPUs, which is a finding of its own.
  agent = await startAgent({
    args: [`--advice.lasting=${LASTING_SECONDS}s`, '--advice.disable=waiting-for-cpu', `--qemu.qmp=${folder}/*.sock`],
  });
});

after(async () => {
  await endAll();
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
      const isCounted = guest.exitsPerRound !== undefined;
      let rates = await measure(found, guest);
      // The load of this machine may change between the period of the finding and the time of the measurement.
      for (let tries = 1; isCounted && !isClose(rates) && tries < MAX_TRIES; tries++)
        rates = await measure(found, guest);
      t.diagnostic(`${Math.round(rates.found)}/s, by the guest ${Math.round(rates.guest)}/s`);
      assert.deepEqual(await namesOf(found.name), [guest.advice]);
      const words = cured.lastWords();
      if (words === undefined) assert.deepEqual(await namesOf(cured.name), []);
      else {
        assert.match(words, HOST_LACKS);
        t.diagnostic(`the cure was not tried, as the KVM of this host lacks it: ${words.split('\n', 1)[0]}`);
      }
      assert.ok(!isCounted || isClose(rates), `${rates.found}/s, by the guest ${rates.guest}/s`);
    } finally {
      await Promise.all([found.kill(), cured.kill()]);
    }
  });

interface Rates {
  readonly found: number;
  readonly guest: number;
}

/** Exits per second: a mean of the finding's, and by the guest's own count in the same time. */
async function measure(found: RunningGuest, { advice, exitsPerRound = Number.NaN }: DeviceGuest): Promise<Rates> {
  const rates: number[] = [];
  const [rounds, startMs] = [found.writesDone(), performance.now()];
  for (let sample = 0; sample < SAMPLES; sample++) {
    await sleep((LASTING_SECONDS / 5) * 1000);
    for (const finding of await findingsOf(found.name)) if (finding.advice === advice) rates.push(finding.per_second);
  }
  const perSecond = ((found.writesDone() - rounds) / (performance.now() - startMs)) * 1000;
  return {
    found: rates.reduce((sum, rate) => sum + rate, 0) / rates.length,
    guest: perSecond * exitsPerRound,
  };
}

function isClose({ found, guest }: Rates): boolean {
  return Math.abs(found / guest - 1) <= TOLERANCE;
}

function start(name: string, { steps }: DeviceGuest, qemu: string) {
  // A disk of its own: QEMU locks it.
  const disk = join(folder, `${name}.qcow2`);
  writeFileSync(disk, emptyQcow2());
  const args = qemu === '' ? [] : qemu.replaceAll('DISK', disk).split(' ');
  return startGuest({ name, steps, extraArgs: [...args, '-qmp', `unix:${folder}/${name}.sock,server=on,wait=off`] });
}

/** The arguments that the advice prints. A tap interface would need a network, and vhost its kernel module. */
function printedChange(advice: string): string {
  const qemu = RULES.find(({ id }) => id === advice)?.changes.qemu ?? '';
  return qemu.replace('tap,id=net0,vhost=on', 'user,id=net0');
}

interface FindingData {
  readonly vm: string;
  readonly advice: string;
  readonly per_second: number;
}

async function findingsOf(vm: string): Promise<FindingData[]> {
  const answer = await fetch(new URL('/api/advice', agent.url));
  const { findings } = (await answer.json()) as { readonly findings: readonly FindingData[] };
  return findings.filter((finding) => finding.vm === vm);
}

async function namesOf(vm: string): Promise<string[]> {
  return (await findingsOf(vm)).map(({ advice }) => advice);
}
