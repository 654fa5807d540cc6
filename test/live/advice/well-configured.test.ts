/** VMs that need no advice: idle and busy ones with the devices that the advice recommends. None has a finding. */
import assert from 'node:assert/strict';
import { afterEach, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startAgent } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
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
  // This machine may have fewer CPUs than busy vCPUs, which is a finding of its own.
  const agent = await startAgent({
    args: [`--advice.lasting=${LASTING_SECONDS}s`, '--advice.disable=waiting-for-cpu'],
  });
  const names = Object.keys(GUESTS);
  for (const [name, { qemu, ...options }] of Object.entries(GUESTS))
    startGuest({ name, ...options, extraArgs: qemu?.split(' ') ?? [] });
  await agent.scrapeUntil(
    'all VMs',
    // A QEMU that refuses its arguments may be seen for a moment too, but it runs no vCPU.
    (samples) => names.every((vm) => samples.sum('kvm_exits_total', { vm }) > 0),
    60_000,
  );
  await sleep(3 * LASTING_SECONDS * 1000);
  const samples = await agent.scrape();
  assert.equal(names.length, 10);
  assert.ok(samples.sum('kvm_exits_total', { vm: 'tick-100-hz', layer: 'qemu' }) > 0);
  assert.deepEqual(
    samples.of('kvm_vm_advice').map(({ labels }) => `${labels.get('vm')}: ${labels.get('advice')}`),
    [],
  );
});
