/**
 * Records VMs that need no advice, one at a time: the recordings of test/fixtures/well-configured. Called by hand, as
 * root on a host with KVM: `node record-well-configured.js FOLDER [NAME...]`. On a KVM that raises kvm_exit, such as
 * that of an emulated host, they have exits to KVM, too. All events are enabled before the first guest starts, because
 * enabling one while vCPUs run can crash such a host.
 */
import { mkdirSync, renameSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TRACEFS, uniqueInstance } from '../../support/agent/start-agent.js';
import { endAll } from '../../support/end-later.js';
import { type GuestOptions, startGuest } from '../../support/guest/start-guest.js';
import { type RECORDERS, startRecorder } from '../../support/guest/start-recorders.js';

interface WellConfigured {
  readonly name: string;
  readonly tool: (typeof RECORDERS)[number];
  /** Arguments of QEMU. */
  readonly qemu: string;
  readonly guest: Omit<GuestOptions, 'name' | 'extraArgs'>;
}

const EVENTS = ['exit', 'entry', 'userspace_exit', 'pio', 'mmio', 'fast_mmio', 'msi_set_irq'].map(
  (name) => `kvm:kvm_${name}`,
);
const SECONDS = 6;
const START_MS = 3000;

const ticking = (hertz: number, port = 0x80, times = 1): GuestOptions['steps'] => [
  { bursts: { out: port, times, everyMs: 1000 / hertz } },
];
const CONSOLE = '-device virtio-serial-pci -chardev null,id=console0 -device virtconsole,chardev=console0';

const VMS: readonly WellConfigured[] = [
  {
    name: 'four-vcpus',
    tool: 'record',
    qemu: '-machine q35',
    guest: { steps: ticking(100), vcpus: 4, secondarySteps: [{ halt: true }] },
  },
  {
    name: 'virtio',
    tool: 'perf',
    qemu: `-machine q35 -netdev user,id=net0 -device virtio-net-pci,netdev=net0,ioeventfd=on ${CONSOLE}`,
    guest: { steps: ticking(250) },
  },
  // A line of 80 characters is logged five times a second.
  { name: 'serial-log', tool: 'perf', qemu: '-serial null', guest: { steps: ticking(5, 0x3f8, 80) } },
  {
    name: 'busy',
    tool: 'record',
    qemu: '-machine q35',
    guest: { steps: ticking(50), vcpus: 2, secondarySteps: [{ spin: true }] },
  },
  { name: 'small-pc', tool: 'perf', qemu: '-machine pc', guest: { steps: ticking(20) } },
  { name: 'old-machine', tool: 'record', qemu: '-machine pc-i440fx-2.11', guest: { steps: ticking(125) } },
  {
    name: 'iothread',
    tool: 'perf',
    qemu: '-machine q35 -object iothread,id=io0 -blockdev null-co,node-name=disk0 -device virtio-blk-pci,drive=disk0,iothread=io0',
    guest: { steps: ticking(200) },
  },
  {
    name: 'usb-xhci',
    tool: 'record',
    qemu: '-machine q35 -device qemu-xhci -device usb-tablet',
    guest: { steps: ticking(100), vcpus: 2, secondarySteps: [{ halt: true }] },
  },
  { name: 'no-hpet', tool: 'perf', qemu: '-machine pc,hpet=off,vmport=off', guest: { steps: ticking(50) } },
  {
    name: 'desktop',
    tool: 'record',
    qemu: '-machine q35,vmport=off,i8042=off -device qemu-xhci -device virtio-tablet-pci -device virtio-gpu-pci',
    guest: { steps: ticking(100) },
  },
  { name: 'console', tool: 'record', qemu: `-machine q35 ${CONSOLE}`, guest: { steps: ticking(30) } },
];

const [, , folder = '.', ...names] = process.argv;
const instance = join(TRACEFS, 'instances', uniqueInstance());
mkdirSync(instance);
writeFileSync(join(instance, 'tracing_on'), '0');
for (const event of EVENTS) writeFileSync(join(instance, 'events', event.replace(':', '/'), 'enable'), '1');
for (const { name, tool, qemu, guest } of VMS) {
  if (names.length > 0 && !names.includes(name)) continue;
  try {
    startGuest({ name, ...guest, extraArgs: qemu.split(' ') });
    await sleep(START_MS);
    const recorder = await startRecorder(tool, folder, EVENTS);
    await sleep(SECONDS * 1000);
    await recorder.stop();
    renameSync(recorder.file, join(folder, `${name}.${tool === 'perf' ? 'perf.data' : 'dat'}`));
  } finally {
    await endAll();
  }
}
rmdirSync(instance);
