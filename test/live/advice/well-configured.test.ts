/** VMs that need no advice: idle and busy ones with the devices that the advice recommends. None has a finding. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import { ioExits } from '../../support/guest/agent-checks.js';
import { liveTest } from '../../support/guest/live-test.js';
import { type GuestOptions, startGuest } from '../../support/guest/start-guest.js';
import type { Step } from '../../support/guest/steps.js';

const LASTING_SECONDS = 3;
const HALT: Step = { halt: true };

/** A guest that wakes up at each tick of its timer, and writes to a port. */
const ticking = (hertz: number, port = 0x80, times = 1): readonly Step[] => [
  { bursts: { out: port, times, everyMs: 1000 / hertz } },
];

const GUESTS: Readonly<Record<string, Omit<GuestOptions, 'name'> & { readonly qemu?: string }>> = {
  idle: { steps: [HALT] },
  'idle-4-vcpus': { steps: [HALT], vcpus: 4, secondarySteps: [HALT] },
  busy: { steps: [{ spin: true }] },
  'tick-100-hz': { steps: ticking(100) },
  'tick-250-hz-q35': { steps: ticking(250), qemu: '-machine q35' },
  // As libvirt starts Windows. The clock of Hyper-V, which it has too, is not in every KVM.
  'tick-64-hz-without-hpet': { steps: ticking(64), qemu: '-machine hpet=off -rtc base=localtime,driftfix=slew' },
  'virtio-devices': {
    steps: ticking(100),
    qemu:
      '-machine q35 -netdev user,id=net0 -device virtio-net-pci,netdev=net0,ioeventfd=on ' +
      '-device virtio-serial-pci -chardev null,id=console0 -device virtconsole,chardev=console0',
  },
  'virtio-desktop': {
    steps: ticking(100),
    qemu: '-machine q35,vmport=off,i8042=off -device qemu-xhci -device virtio-tablet-pci -device virtio-gpu-pci',
  },
  // A line of 80 characters is logged five times a second.
  'quiet-serial-port': { steps: ticking(5, 0x3f8, 80), qemu: '-serial null' },
  'seldom-rtc': { steps: ticking(20, 0x70, 2) },
};

afterEach(endAll);

test('ten well-configured VMs have no finding', liveTest(), async () => {
  // This machine may have fewer CPUs than busy vCPUs: then vCPUs wait, and QEMU answers late.
  const disabled = ['waiting-for-cpu', 'slow-device-model'].map((rule) => `--advice.disable=${rule}`);
  const agent = await startAgent({ args: [`--advice.lasting=${LASTING_SECONDS}s`, ...disabled] });
  const guests = Object.entries(GUESTS).map(([name, { qemu, ...options }]) =>
    startGuest({ name, ...options, extraArgs: qemu?.split(' ') ?? [] }),
  );
  assert.equal(guests.length, 10);
  // Guests that only halt or spin need not make an exit.
  const makesExits = (name: string) => GUESTS[name]?.steps.some((step) => 'bursts' in step) === true;
  await agent.scrapeUntil('the times of all VMs, and the exits of those that make any', (samples) =>
    guests.every(
      ({ name }) =>
        samples.of('kvm_vcpu_seconds_total', { vm: name }).length > 0 &&
        (!makesExits(name) || ioExits(samples, name) > 0),
    ),
  );
  await sleep(3 * LASTING_SECONDS * 1000);
  const samples = await agent.scrape();
  // A QEMU that refuses its arguments ends, but may be seen for a moment, too.
  for (const { name, lastWords } of guests) assert.equal(lastWords(), undefined, name);
  const findings = guests.flatMap(({ name }) => samples.of('kvm_vm_advice', { vm: name }));
  assert.deepEqual(
    findings.map(({ labels }) => `${labels.get('vm')}: ${labels.get('advice')}`),
    [],
  );
});
