/**
 * Decodes the arguments of the few QEMU events whose arguments are of use, in text and in simple traces.
 *
 *   virtio_queue_notify vdev 0x5555dcf8d400 n 0 vq 0x7f08cffd9010
 *   virtio_notify_irqfd vdev 0x56314baca600 vq 0x7fdd42630010
 *   virtio_pci_notify_write 0x0 = 0x0 (2)
 *   virtio_set_status vdev 0x5555dcf8d400 val 15
 *   virtio_blk_handle_read vdev 0x5555dcf8d400 req 0x5555dc5936c0 sector 0 nsectors 1
 *   kvm_set_ioeventfd_mmio fd: 22 @0xfebfb000 val=0x0 assign: 1 size: 0 match: 0
 *   kvm_irqchip_add_msi_route dev virtio-blk-pci vector 1 virq 24
 *   memory_region_ops_write cpu 0 mr 0x55be8a87e2e0 addr 0x80 value 0x78 size 1 name 'ioport80'
 *
 * From hw/virtio, hw/block, accel/kvm and softmmu/trace-events of QEMU 7.2 (memory_region_ops_*: in system/ later; with
 * the name since 2021). In a simple trace the arguments have the same order, 64 bits each; a string is a length and its
 * bytes.
 *
 * Addresses of memory_region_ops_* are absolute: guest physical addresses or ports. The text does not say which, but no
 * device has memory below 64 KiB. Arguments in text are found by the words before them, not by their position. If one
 * is missing, the event still counts.
 */

import { Names } from '../../trace/names.js';
import {
  IRQ_NOTIFY,
  IRQFD_DEFERRED,
  IRQFD_NOTIFY,
  NOTIFY_WRITE,
  type QemuSignal,
  type QemuSink,
  QUEUE_NOTIFY,
  type Vocabulary,
} from '../../trace/sink.js';
import { ascii, decimal, hexadecimal, indexOf, indexOfByte, SPACE, skipWord, startsWith } from '../text/bytes.js';
import { readU64 } from './simple-layout.js';

const VDEV = ascii('vdev 0x');
const ASSIGN = ascii('assign: ');
const DEV = ascii('dev ');
const ADDR = ascii(' addr 0x');
const NAME = ascii(" name '");
const AT = 0x40;
const QUOTE = 0x27;
const WORD = 8;
const MAX_DEVICE_NAMES = 1024;

interface DetailDecoder {
  text(bytes: Uint8Array, start: number, end: number, timeNs: number, id: number, sink: QemuSink): void;
  /** @param start of the arguments, which are `view[start, end)` */
  simple(view: DataView, start: number, end: number, timeNs: number, id: number, sink: QemuSink): void;
}

/** The decoders of arguments for the events of one vocabulary. */
class VocabularyDetails {
  /** Decoder by id of the event; null if the arguments are ignored, undefined if not looked up yet. */
  readonly byEvent: (DetailDecoder | null | undefined)[] = [];
  /** Names of devices and memory regions, so that each becomes a string only once. */
  readonly names = new Names(MAX_DEVICE_NAMES);
}

const DETAILS = new WeakMap<Vocabulary, VocabularyDetails>();

/** Decodes the text of an event. `start`: position behind the event's name. */
export function emitTextDetail(
  bytes: Uint8Array,
  start: number,
  end: number,
  timeNs: number,
  id: number,
  event: number,
  vocabulary: Vocabulary,
  sink: QemuSink,
): void {
  const text = bytes[start] === SPACE ? start + 1 : start;
  decoderOf(vocabulary, event)?.text(bytes, text, end, timeNs, id, sink);
}

/** Decodes the arguments of a record. */
export function emitSimpleDetail(
  view: DataView,
  start: number,
  end: number,
  timeNs: number,
  id: number,
  event: number,
  vocabulary: Vocabulary,
  sink: QemuSink,
): void {
  decoderOf(vocabulary, event)?.simple(view, start, end, timeNs, id, sink);
}

function decoderOf(vocabulary: Vocabulary, event: number): DetailDecoder | null {
  let details = DETAILS.get(vocabulary);
  if (details === undefined) {
    details = new VocabularyDetails();
    DETAILS.set(vocabulary, details);
  }
  const known = details.byEvent[event];
  if (known !== undefined) return known;
  // No holes: V8 reads arrays that have holes more slowly.
  while (details.byEvent.length <= event) details.byEvent.push(undefined);
  const create = DETAIL_DECODERS.get(vocabulary.qemuEvents.text(event));
  const decoder = create === undefined ? null : create(details.names);
  details.byEvent[event] = decoder;
  return decoder;
}

const DETAIL_DECODERS: ReadonlyMap<string, (names: Names) => DetailDecoder> = new Map<
  string,
  (names: Names) => DetailDecoder
>([
  ['virtio_queue_notify', () => signal(QUEUE_NOTIFY)],
  ['virtio_pci_notify_write', () => signal(NOTIFY_WRITE)],
  ['virtio_pci_notify_write_pio', () => signal(NOTIFY_WRITE)],
  ['virtio_notify', () => signal(IRQ_NOTIFY)],
  ['virtio_notify_irqfd', () => signal(IRQFD_NOTIFY)],
  ['virtio_notify_irqfd_deferred_fn', () => signal(IRQFD_DEFERRED)],
  ['virtio_set_status', () => device('')],
  ['virtio_blk_handle_read', () => device('virtio-blk')],
  ['virtio_blk_handle_write', () => device('virtio-blk')],
  ['virtio_blk_req_complete', () => device('virtio-blk')],
  ['kvm_set_ioeventfd_mmio', () => ioeventfd(true)],
  ['kvm_set_ioeventfd_pio', () => ioeventfd(false)],
  ['kvm_irqchip_add_msi_route', msiRoute],
  ['memory_region_ops_read', region],
  ['memory_region_ops_write', region],
]);

/** The events that this program understands. */
export const KNOWN_EVENTS: readonly string[] = ['kvm_run_exit', 'vhost_dev_start', ...DETAIL_DECODERS.keys()];

/** The events whose arguments are decoded or that are counted by name: what `events --used` prints. */
export const USED_EVENTS: readonly string[] = KNOWN_EVENTS.filter(
  // These write a line per access or request, so they must be asked for by name.
  (name) => !/^(memory_region_ops_|virtio_blk_)/.test(name),
);

function signal(kind: QemuSignal): DetailDecoder {
  return {
    text: (bytes, start, end, timeNs, id, sink) => sink.qemuSignal(timeNs, id, kind, vdevAt(bytes, start, end)),
    simple: (view, start, end, timeNs, id, sink) => {
      const named = kind !== NOTIFY_WRITE && start + WORD <= end;
      sink.qemuSignal(timeNs, id, kind, named ? readU64(view, start) : 0);
    },
  };
}

function device(name: string): DetailDecoder {
  return {
    text: (bytes, start, end, _timeNs, id, sink) => {
      const vdev = vdevAt(bytes, start, end);
      if (vdev > 0) sink.qemuDevice(id, vdev, name);
    },
    simple: (view, start, end, _timeNs, id, sink) => {
      if (start + WORD <= end) sink.qemuDevice(id, readU64(view, start), name);
    },
  };
}

/** The pointer in `vdev 0x...`; 0 if there is none. */
function vdevAt(bytes: Uint8Array, start: number, end: number): number {
  return startsWith(bytes, start, end, VDEV) ? Math.max(0, hexadecimal(bytes, start + VDEV.length, end)) : 0;
}

function ioeventfd(mmio: boolean): DetailDecoder {
  return {
    text: (bytes, start, end, _timeNs, id, sink) => {
      const at = indexOfByte(bytes, start, end, AT);
      const assign = indexOf(bytes, start, end, ASSIGN);
      const address = at < 0 ? -1 : hexadecimal(bytes, at + 1, end);
      if (address >= 0 && assign >= 0)
        sink.setIoeventfd(id, mmio, address, decimal(bytes, assign + ASSIGN.length, end) === 1);
    },
    simple: (view, start, end, _timeNs, id, sink) => {
      // Arguments: fd, address, value, assign.
      if (start + 4 * WORD <= end)
        sink.setIoeventfd(id, mmio, readU64(view, start + WORD), view.getUint8(start + 3 * WORD) !== 0);
    },
  };
}

/** The name of a PCI device here is its type: `virtio-blk-pci`, `virtio-net-pci-non-transitional`, `vfio-pci`. */
function msiRoute(names: Names): DetailDecoder {
  const emit = (bytes: Uint8Array, start: number, end: number, id: number, sink: QemuSink) => {
    const name = names.text(names.intern(bytes, start, end)).replace(/-pci(-(non-)?transitional)?$/, '');
    if (/^(virtio|vhost)-/.test(name)) sink.qemuDevice(id, 0, name);
  };
  return {
    text: (bytes, start, end, _timeNs, id, sink) => {
      if (!startsWith(bytes, start, end, DEV)) return;
      const name = start + DEV.length;
      emit(bytes, name, skipWord(bytes, name, end), id, sink);
    },
    simple: (view, start, end, _timeNs, id, sink) => {
      const nameEnd = stringEnd(view, start, end);
      if (nameEnd > 0) emit(bytesOf(view), start + 4, nameEnd, id, sink);
    },
  };
}

function region(names: Names): DetailDecoder {
  const emit = (bytes: Uint8Array, start: number, end: number, address: number, id: number, sink: QemuSink) => {
    if (end > start && address >= 0) sink.qemuRegion(id, address, names.text(names.intern(bytes, start, end)));
  };
  return {
    text: (bytes, start, end, _timeNs, id, sink) => {
      const address = indexOf(bytes, start, end, ADDR);
      const name = indexOf(bytes, start, end, NAME);
      if (address < 0 || name < 0) return;
      const nameStart = name + NAME.length;
      const quote = indexOfByte(bytes, nameStart, end, QUOTE);
      if (quote >= 0) emit(bytes, nameStart, quote, hexadecimal(bytes, address + ADDR.length, end), id, sink);
    },
    simple: (view, start, end, _timeNs, id, sink) => {
      // Arguments: cpu, region, address, value, size, and since 2021 the name.
      const name = start + 5 * WORD;
      const nameEnd = stringEnd(view, name, end);
      if (nameEnd > 0) emit(bytesOf(view), name + 4, nameEnd, readU64(view, start + 2 * WORD), id, sink);
    },
  };
}

/** End of the string argument at `at`; -1 if there is none. */
function stringEnd(view: DataView, at: number, end: number): number {
  if (at + 4 > end) return -1;
  const stringEnds = at + 4 + view.getUint32(at, true);
  return stringEnds <= end ? stringEnds : -1;
}

let lastView: DataView | undefined;
let lastBytes = new Uint8Array(0);

/** The bytes under a view. Made once for all records of a chunk. */
function bytesOf(view: DataView): Uint8Array {
  if (view === lastView) return lastBytes;
  lastView = view;
  lastBytes = new Uint8Array(view.buffer as ArrayBuffer, view.byteOffset, view.byteLength);
  return lastBytes;
}
