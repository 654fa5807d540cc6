/** What to change, found live in guests that do one thing too often each. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { startAgent } from '../support/agent/start-agent.js';
import { endAll } from '../support/end-later.js';
import type { Step } from '../support/guest/firmware.js';
import { liveTest } from '../support/guest/live-test.js';
import { startGuest } from '../support/guest/start-guest.js';

afterEach(endAll);

const ENDLESS = 2 ** 31;

/** Finding -> what the guest does without end. */
const GUESTS: Readonly<Record<string, Step>> = {
  'acpi-pm-timer': { in: 0x608, times: ENDLESS },
  rtc: { in: 0x71, times: ENDLESS },
  hpet: { mmioRead: 0xfed000f0, times: ENDLESS },
  'serial-console': { out: 0x3f8, times: ENDLESS },
  'emulated-disk': { in: 0x1f7, times: ENDLESS },
  'vmware-backdoor': { in: 0x5658, times: ENDLESS },
  'ps2-polling': { in: 0x64, times: ENDLESS },
};

for (const [advice, step] of Object.entries(GUESTS))
  test(`a guest made for ${advice} has this finding and no other`, liveTest(), async () => {
    // This machine may have fewer CPUs than there are busy guests.
    const agent = await startAgent({ args: ['--advice.lasting=3s', '--advice.disable=waiting-for-cpu'] });
    startGuest({ name: 'found', steps: [step] });
    startGuest({ name: 'other', steps: [{ out: 0x80, times: ENDLESS }] });
    const samples = await agent.scrapeUntil(
      'a finding',
      (now) => now.of('kvm_vm_advice', { vm: 'found' }).length > 0,
      60_000,
    );
    const findings = samples.of('kvm_vm_advice', {});
    assert.deepEqual(
      findings.map(({ labels }) => [labels.get('vm'), labels.get('advice')]),
      [['found', advice]],
    );
  });
