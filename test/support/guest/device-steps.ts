/**
 * Steps of a guest that uses devices as operating systems do: it sets them up, looks whether they are there, and uses
 * them only then.
 */
import { back, long, store, word } from './machine-code.js';

export type DeviceStep =
  /** Writes a byte to a port once. */
  | { readonly outByte: number; readonly value: number }
  /** Writes 32 bits to a port once, as registers of PCI devices need it. */
  | { readonly outLong: number; readonly value: number }
  /** Writes 32 bits to memory once. */
  | { readonly storeLong: number; readonly value: number }
  /** Writes 0 as 16 bits to a port without end, as drivers of virtio notify a device. */
  | { readonly kick: number }
  /** Reads a byte from a port, or 32 bits from memory, for as long as the device is there. */
  | { readonly poll: Poll };

export type Poll = ({ readonly port: number } | { readonly memory: number }) & {
  /** The device is not there if the lowest byte of the value, `& mask`, is `absent`. */
  readonly mask: number;
  readonly absent: number;
  /** Reads 32 bits from the port, with these values in registers: a question of VMware's guest tools. */
  readonly ask?: { readonly eax: number; readonly ecx: number };
  /** Writes this byte to a port. */
  readonly print?: number;
  /** Does not read at all if CPUID shows the interface of Hyper-V, or if a port reads as this value. */
  readonly unless?: 'hyperv' | { readonly port: number; readonly is: number };
};

/** Address and data of PCI configuration by port. */
const [PCI_ADDRESS, PCI_DATA] = [0xcf8, 0xcfc];

/** Writes a register of a PCI device. */
export function pciWrite(device: number, register: number, value: number, fn = 0): DeviceStep[] {
  const address = 0x80000000 + device * 0x800 + fn * 0x100 + register;
  return [
    { outLong: PCI_ADDRESS, value: address },
    { outLong: PCI_DATA, value },
  ];
}

const NAMES = ['outByte', 'outLong', 'storeLong', 'kick', 'poll'];

export function isDeviceStep(step: object): step is DeviceStep {
  return NAMES.some((name) => name in step);
}

export function needsMemoryAbove1MiB(step: object): boolean {
  return isDeviceStep(step) && ('storeLong' in step || ('poll' in step && 'memory' in step.poll));
}

/** @param counter address of a 32-bit counter of rounds: kicks, or reads of a device that is there */
export function deviceCode(step: DeviceStep, counter: number): number[] {
  const count = [0x66, 0xff, 0x06, ...word(counter)]; // inc dword [counter]
  if ('outByte' in step) return [0xba, ...word(step.outByte), 0xb0, step.value, 0xee]; // mov dx; mov al; out dx, al
  // mov dx, port; mov eax, value; out dx, eax
  if ('outLong' in step) return [0xba, ...word(step.outLong), 0x66, 0xb8, ...long(step.value), 0x66, 0xef];
  if ('storeLong' in step) return store(step.storeLong, step.value);
  if ('kick' in step) {
    const once = [0xef, ...count]; //    out dx, ax; inc
    return [0xba, ...word(step.kick), 0x31, 0xc0, ...once, 0xeb, back(once)]; // mov dx; xor ax, ax; .. jmp
  }
  return pollCode(step.poll, count);
}

function pollCode(poll: Poll, count: readonly number[]): number[] {
  const use = [
    ...(poll.print === undefined ? [] : [0xba, ...word(poll.print), 0xee]), //    mov dx, port; out dx, al
    ...count,
  ];
  // and al, mask; cmp al, absent; je past the jump back
  const test = [...readCode(poll), 0x24, poll.mask, 0x3c, poll.absent, 0x74, use.length + 2];
  const once = [...test, ...use];
  const loop = [...once, 0xeb, back(once)];
  const setUp = 'memory' in poll ? [0x66, 0xbf, ...long(poll.memory)] : []; // mov edi, address
  const skip = poll.unless === undefined ? [] : skipIf(poll.unless, setUp.length + loop.length);
  return [...skip, ...setUp, ...loop];
}

function readCode(poll: Poll): number[] {
  if (!('port' in poll)) return [0x64, 0x67, 0x66, 0x8b, 0x07]; // mov eax, [fs:edi]
  const port = [0xba, ...word(poll.port)]; // mov dx, port
  if (poll.ask === undefined) return [...port, 0xec]; // in al, dx
  const { eax, ecx } = poll.ask;
  return [0x66, 0xb8, ...long(eax), 0x66, 0xb9, ...long(ecx), ...port, 0x66, 0xed]; // mov eax; mov ecx; ..; in eax, dx
}

/** Leaf of CPUID with the name of the hypervisor's interface, and that of Hyper-V: `Hv#1`. */
const [INTERFACE_LEAF, HYPERV] = [0x40000001, 0x31237648];

function skipIf(condition: NonNullable<Poll['unless']>, bytes: number): number[] {
  return condition === 'hyperv'
    ? [
        ...[0x66, 0xb8, ...long(INTERFACE_LEAF)], //    mov eax, leaf
        ...[0x0f, 0xa2], //                             cpuid
        ...[0x66, 0x3d, ...long(HYPERV), 0x74, bytes], // cmp eax, "Hv#1"; je
      ]
    : [0xba, ...word(condition.port), 0xec, 0x3c, condition.is, 0x74, bytes]; // mov dx, port; in al, dx; cmp; je
}
