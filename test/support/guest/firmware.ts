/**
 * Guests whose exits are known by construction: 64 KiB firmware images for QEMU's `-bios`. Such an image does a given
 * number of port reads, port writes and the like, and nothing else. It replaces the firmware of QEMU, so the exits of a
 * whole run are those of its steps and one for the final `out 0x501`, which makes QEMU's isa-debug-exit device end QEMU
 * with {@link GUEST_EXIT_STATUS}.
 *
 *   F000:0000   secondary CPUs start here: mov ds .. their steps .. lock inc [0x6000] .. hlt
 *   F000:xxxx   first CPU: unreal mode if its steps need it .. its steps .. out 0x501
 *   F000:FFF0   reset vector: jmp far to the code of the first CPU
 *
 * steps.ts has the code of the steps.
 */
import { back, long, quad, word } from './machine-code.js';
import { halt, needsUnrealMode, SEGMENT, type Step, startSecondaryCpus, stepCode } from './steps.js';

/** What a firmware image does. */
export interface GuestProgram {
  /** What the first CPU does. */
  readonly steps: readonly Step[];
  /**
   * How many secondary CPUs there are, and what each of them does. The first CPU waits for them before it ends the
   * guest.
   */
  readonly secondary?: { readonly cpus: number; readonly steps: readonly Step[] };
}

/** Exit status of QEMU. isa-debug-exit derives it from the value that the guest writes: (value << 1) | 1. */
export const GUEST_EXIT_STATUS = 33;
const EXIT_PORT = 0x501;
const EXIT_VALUE = GUEST_EXIT_STATUS >> 1;

const SIZE = 0x10000;
const RESET_VECTOR = 0xfff0;
/** Address of a byte in RAM that each secondary CPU increments when its steps are done. */
const DONE_COUNTER = 0x6000;
const STACK = 0x7000;

export function guestFirmware({ steps, secondary }: GuestProgram): Buffer {
  const image = Buffer.alloc(SIZE, 0xf4); // hlt
  const secondaryCode = secondary === undefined ? [] : secondaryCpu(secondary.steps);
  const first = secondaryCode.length;
  // The descriptor table follows the code. The length of the code does not depend on the address in it, so any address
  // will do here.
  const gdt = align(first + firstCpu(0, steps, secondary?.cpus ?? 0).length, 8);
  const gdtr = gdt + 16;
  place(image, 0, secondaryCode);
  place(image, first, firstCpu(gdtr, steps, secondary?.cpus ?? 0));
  place(image, gdt, [...quad(0n), ...quad(FLAT_DATA), ...word(15), ...long(SEGMENT * 16 + gdt)]);
  place(image, RESET_VECTOR, [0xea, ...word(first), ...word(SEGMENT)]); // jmp far
  return image;
}

/**
 * Segment descriptor: writable data, base 0, limit 4 GiB. It is marked as accessed, because the CPU cannot mark it in
 * ROM.
 */
const FLAT_DATA = 0x00cf93000000ffffn;

function firstCpu(gdtr: number, steps: readonly Step[], secondaryCpus: number): number[] {
  return [
    ...prologue(),
    ...(secondaryCpus > 0 || needsUnrealMode(steps) ? unrealMode(gdtr) : []),
    ...(secondaryCpus > 0 && !steps.some((step) => 'startSecondary' in step) ? startSecondaryCpus() : []),
    ...steps.flatMap(stepCode),
    ...(secondaryCpus > 0 ? waitForSecondaryCpus(secondaryCpus) : []),
    ...[0xba, ...word(EXIT_PORT)], //    mov dx, 0x501
    ...[0xb0, EXIT_VALUE], //            mov al, 16
    ...[0xee], //                        out dx, al
    ...halt(),
  ];
}

function secondaryCpu(steps: readonly Step[]): number[] {
  if (needsUnrealMode(steps)) throw new Error('only the first CPU can reach memory above 1 MiB');
  return [
    ...prologue(),
    ...steps.flatMap(stepCode),
    ...[0xf0, 0xfe, 0x06, ...word(DONE_COUNTER)], // lock inc byte [0x6000]
    ...halt(),
  ];
}

function prologue(): number[] {
  return [
    ...[0xfa, 0xfc], //              cli; cld
    ...[0x31, 0xc0], //              xor ax, ax
    ...[0x8e, 0xd8], //              mov ds, ax
    ...[0x8e, 0xd0], //              mov ss, ax
    ...[0xbc, ...word(STACK)], //    mov sp, 0x7000
  ];
}

/**
 * Enters unreal mode: real mode in which FS reaches all 4 GiB, because it keeps the limit that it was loaded with in
 * protected mode.
 */
function unrealMode(gdtr: number): number[] {
  return [
    ...[0xb8, ...word(SEGMENT)], //             mov ax, 0xf000
    ...[0x8e, 0xd8], //                         mov ds, ax
    ...[0x0f, 0x01, 0x16, ...word(gdtr)], //    lgdt [gdtr]
    ...[0x0f, 0x20, 0xc0], //                   mov eax, cr0
    ...[0x0c, 0x01], //                         or al, 1
    ...[0x0f, 0x22, 0xc0], //                   mov cr0, eax
    ...[0xbb, ...word(8)], //                   mov bx, 8
    ...[0x8e, 0xe3], //                         mov fs, bx
    ...[0x24, 0xfe], //                         and al, 0xfe
    ...[0x0f, 0x22, 0xc0], //                   mov cr0, eax
    ...[0x31, 0xc0], //                         xor ax, ax
    ...[0x8e, 0xd8], //                         mov ds, ax
  ];
}

function waitForSecondaryCpus(cpus: number): number[] {
  const compare = [0x80, 0x3e, ...word(DONE_COUNTER), cpus]; //    cmp byte [0x6000], cpus
  return [...compare, 0x75, back(compare)]; //             jne
}

function place(image: Buffer, at: number, bytes: readonly number[]): void {
  if (at < RESET_VECTOR && at + bytes.length > RESET_VECTOR)
    throw new Error('the steps do not fit into a firmware image');
  image.set(bytes, at);
}

function align(at: number, size: number): number {
  return Math.ceil(at / size) * size;
}
