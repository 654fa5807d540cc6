import assert from 'node:assert/strict';
import { test } from 'node:test';
import { QemuLogDecoder } from '../../../src/decode/qemu/log-decoder.js';
import { QemuSimpleDecoder } from '../../../src/decode/qemu/simple-decoder.js';
import { CallSink } from '../../support/trace/call-sink.js';
import { type SimpleArgument, SimpleBuilder } from '../../support/trace/simple-builder.js';
import { newVocabulary } from '../../support/trace/vocabulary.js';

const TID = 11597;

/** Calls on the sink that follow the call for the event itself. */
function fromText(line: string): string[] {
  const vocabulary = newVocabulary();
  const sink = new CallSink(vocabulary);
  const decoder = new QemuLogDecoder(vocabulary, sink);
  decoder.push(Buffer.from(`${TID}@1.000000:${line}\n`, 'latin1'));
  decoder.end();
  assert.equal(sink.calls[0], `qemuEvent 1000000000 ${TID} ${line.split(' ')[0]}`);
  return sink.calls.slice(1);
}

function fromSimple(name: string, args: readonly SimpleArgument[]): string[] {
  const vocabulary = newVocabulary();
  const sink = new CallSink(vocabulary);
  const decoder = new QemuSimpleDecoder(vocabulary, sink);
  decoder.push(
    new SimpleBuilder(4)
      .mapping(7, name)
      .event(7, 1000000000, TID, ...args)
      .build(),
  );
  decoder.end();
  assert.equal(sink.calls[0], `qemuEvent 1000000000 ${TID} ${name}`);
  return sink.calls.slice(1);
}

const VDEV = 0x5555dcf8d400;

/** Texts as QEMU 7.2 wrote them (captures virtio/); arguments in the order of its trace-events-all. */
const EVENTS: readonly (readonly [line: string, args: readonly SimpleArgument[], calls: readonly string[]])[] = [
  [
    'virtio_queue_notify vdev 0x5555dcf8d400 n 0 vq 0x7f08cffd9010',
    [VDEV, 0, 0x7f08cffd9010],
    [`qemuSignal 1000000000 ${TID} 0 0x5555dcf8d400`],
  ],
  ['virtio_pci_notify_write 0x0 = 0x0 (2)', [0, 0, 2], [`qemuSignal 1000000000 ${TID} 1 0x0`]],
  ['virtio_pci_notify_write_pio 0x10 = 0x1 (2)', [16, 1, 2], [`qemuSignal 1000000000 ${TID} 1 0x0`]],
  [
    'virtio_notify_irqfd vdev 0x5555dcf8d400 vq 0x7fdd42630010',
    [VDEV, 0x7fdd42630010],
    [`qemuSignal 1000000000 ${TID} 2 0x5555dcf8d400`],
  ],
  [
    'virtio_notify_irqfd_deferred_fn vdev 0x5555dcf8d400 vq 0x7fdd42630010',
    [VDEV, 0x7fdd42630010],
    [`qemuSignal 1000000000 ${TID} 3 0x5555dcf8d400`],
  ],
  [
    'virtio_notify vdev 0x5555dcf8d400 vq 0x7fdd42630010',
    [VDEV, 0x7fdd42630010],
    [`qemuSignal 1000000000 ${TID} 4 0x5555dcf8d400`],
  ],
  ['virtio_set_status vdev 0x5555dcf8d400 val 15', [VDEV, 15], [`qemuDevice ${TID} 0x5555dcf8d400 `]],
  [
    'virtio_blk_handle_read vdev 0x5555dcf8d400 req 0x5555dc5936c0 sector 0 nsectors 1',
    [VDEV, 0x5555dc5936c0, 0, 1],
    [`qemuDevice ${TID} 0x5555dcf8d400 virtio-blk`],
  ],
  [
    'kvm_set_ioeventfd_mmio fd: 22 @0xfebfb000 val=0x0 assign: 1 size: 0 match: 0',
    [22, 0xfebfb000, 0, 1, 0, 0],
    [`setIoeventfd ${TID} mmio 0xfebfb000 true`],
  ],
  [
    'kvm_set_ioeventfd_pio fd: 18 @0xc010 val=0x6 assign: 0 size: 2 match: 1',
    [18, 0xc010, 6, 0, 2, 1],
    [`setIoeventfd ${TID} pio 0xc010 false`],
  ],
  [
    'kvm_irqchip_add_msi_route dev virtio-net-pci vector 1 virq 24',
    ['virtio-net-pci', 1, 24],
    [`qemuDevice ${TID} 0x0 virtio-net`],
  ],
  [
    'kvm_irqchip_add_msi_route dev virtio-blk-pci-non-transitional vector 0 virq 25',
    ['virtio-blk-pci-non-transitional', 0, 25],
    [`qemuDevice ${TID} 0x0 virtio-blk`],
  ],
  // Not a virtio device, so it names none.
  ['kvm_irqchip_add_msi_route dev vfio-pci vector 0 virq 25', ['vfio-pci', 0, 25], []],
  [
    "memory_region_ops_write cpu 0 mr 0x55be8a87e2e0 addr 0x80 value 0x78 size 1 name 'ioport80'",
    [0, 0x55be8a87e2e0, 0x80, 0x78, 1, 'ioport80'],
    [`qemuRegion ${TID} 0x80 ioport80`],
  ],
  [
    "memory_region_ops_read cpu 1 mr 0x55be8a87e2e0 addr 0xfebf0010 value 0x0 size 4 name 'e1000 mmio'",
    [1, 0x55be8a87e2e0, 0xfebf0010, 0, 4, 'e1000 mmio'],
    [`qemuRegion ${TID} 0xfebf0010 e1000 mmio`],
  ],
  // QEMU before 2021 writes no name.
  [
    'memory_region_ops_read cpu 1 mr 0x55be8a87e2e0 addr 0xfebf0010 value 0x0 size 4',
    [1, 0x55be8a87e2e0, 0xfebf0010, 0, 4],
    [],
  ],
  ['vhost_dev_start 0x55be8a87e2e0:virtio-net vrings:1', [0x55be8a87e2e0, 'virtio-net', 1], []],
];

for (const [line, args, calls] of EVENTS) {
  const [name = ''] = line.split(' ');
  test(`${line}: text and simple trace give the same calls`, () => {
    assert.deepEqual(fromText(line), calls);
    assert.deepEqual(fromSimple(name, args), calls);
  });
  test(`${name}: cut anywhere, it counts, and gives no wrong details`, () => {
    for (let end = name.length + 1; end < line.length; end++) {
      const allowed = new Set([...calls.map((call) => call.split(' ')[0]), undefined]);
      for (const call of fromText(line.slice(0, end))) assert.ok(allowed.has(call.split(' ')[0]), call);
    }
    for (let end = 0; end < args.length; end++) {
      const allowed = new Set(calls.map((call) => call.split(' ')[0]));
      for (const call of fromSimple(name, args.slice(0, end))) assert.ok(allowed.has(call.split(' ')[0]), call);
    }
  });
}
