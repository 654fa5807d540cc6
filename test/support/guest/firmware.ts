/**
 * Guests whose exits are known by construction: 64 KiB firmware images for QEMU's `-bios` that do so many port reads, port writes ...
 * and nothing else. There is no other firmware, so the exits of the whole run are the steps', and one for the last
 * `out 0x501`, which ends QEMU (isa-debug-exit) with {@link GUEST_EXIT_STATUS}.
 *
 *   F000:0000   where further CPUs start: mov ds .. their steps .. lock inc [0x6000] .. hlt
 *   F000:xxxx   the first CPU: unreal mode if need be .. its steps .. out 0x501
 *   F000:FFF0   reset vector: jmp far to the first CPU
 *
 * 16-bit code; opcodes as in the Intel SDM, volume 2. 66 before an instruction makes its operands 32 bits wide, 67 its addresses,
 * 64 takes FS as segment.
 */

export type Step =
  | { readonly out: number; readonly times: number }
  | { readonly in: number; readonly times: number }
  | { readonly mmioRead: number; readonly times: number }
  | { readonly mmioWrite: number; readonly times: number }
  | { readonly cpuid: true; readonly times: number }
  /** Reads each of the 65,536 ports once. */
  | { readonly readEveryPort: true }
  /** Counts its rounds in RAM, at {@link ROUNDS}. */
  | { readonly forever: { readonly out: number } }
  /** So many writes at each tick of the APIC's timer, asleep (HLT) in between; counted at {@link ROUNDS}, too. No `ticks`: forever. */
  | {
      readonly bursts: {
        readonly out: number;
        readonly times: number;
        readonly everyMs: number;
        readonly ticks?: number;
      };
    };

export interface Guest {
  /** What the first CPU does. */
  readonly steps: readonly Step[];
  /** What each further CPU does, before the first one ends the guest: the first waits for all of them. */
  readonly others?: { readonly cpus: number; readonly steps: readonly Step[] };
}

/** isa-debug-exit makes (value << 1) | 1 of what is written to it. */
export const GUEST_EXIT_STATUS = 33;
const EXIT_PORT = 0x501;
const EXIT_VALUE = GUEST_EXIT_STATUS >> 1;

const SIZE = 0x10000;
const SEGMENT = 0xf000;
const RESET_VECTOR = 0xfff0;
/** A byte of RAM in which the further CPUs count themselves done. */
const DONE = 0x6000;
const STACK = 0x7000;
/** Rounds of `forever`, 32 bits. */
export const ROUNDS = 0x5000;
const APIC = {
  endOfInterrupt: 0xfee000b0,
  spurious: 0xfee000f0,
  icr: 0xfee00300,
  timer: 0xfee00320,
  timerStart: 0xfee00380,
  timerDivide: 0xfee003e0,
};
/** Of the timer's interrupt. */
const VECTOR = 0x20;
/** To all but self: INIT; and start at page 0xF0, which is F000:0000. */
const INIT_OTHERS = 0x000c4500;
const START_OTHERS = 0x000c46f0;

export function guestFirmware({ steps, others }: Guest): Buffer {
  const image = Buffer.alloc(SIZE, 0xf4); // hlt
  const otherCode = others === undefined ? [] : otherCpu(others.steps);
  const first = otherCode.length;
  // Tables behind the code: where that ends is known once it is written with any address.
  const gdt = align(first + firstCpu(0, steps, others?.cpus ?? 0).length, 8);
  const gdtr = gdt + 16;
  place(image, 0, otherCode);
  place(image, first, firstCpu(gdtr, steps, others?.cpus ?? 0));
  place(image, gdt, [...quad(0n), ...quad(FLAT_DATA), ...word(15), ...long(SEGMENT * 16 + gdt)]);
  place(image, RESET_VECTOR, [0xea, ...word(first), ...word(SEGMENT)]); // jmp far
  return image;
}

/** Data, writable, base 0, limit 4 GiB; marked accessed already, as the table is in ROM. */
const FLAT_DATA = 0x00cf93000000ffffn;

function firstCpu(gdtr: number, steps: readonly Step[], others: number): number[] {
  return [
    ...prologue(),
    ...(others > 0 || needsUnrealMode(steps) ? unrealMode(gdtr) : []),
    ...(others > 0 ? startOthers() : []),
    ...steps.flatMap(code),
    ...(others > 0 ? waitFor(others) : []),
    ...[0xba, ...word(EXIT_PORT)], //    mov dx, 0x501
    ...[0xb0, EXIT_VALUE], //            mov al, 16
    ...[0xee], //                        out dx, al
    ...halt(),
  ];
}

function otherCpu(steps: readonly Step[]): number[] {
  if (needsUnrealMode(steps)) throw new Error('only the first CPU can reach memory above 1 MiB');
  return [
    ...prologue(),
    ...steps.flatMap(code),
    ...[0xf0, 0xfe, 0x06, ...word(DONE)], // lock inc byte [0x6000]
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

function needsUnrealMode(steps: readonly Step[]): boolean {
  return steps.some((step) => 'mmioRead' in step || 'mmioWrite' in step || 'bursts' in step);
}

/** Real mode, but FS reaches all 4 GiB: loaded in protected mode, its limit stays. */
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

/** INIT, a moment's wait, start, wait, start: a CPU that runs already ignores the second. */
function startOthers(): number[] {
  const send = (command: number) => set(APIC.icr, command);
  const wait = [
    ...[0x66, 0xb9, ...long(2000)], //    mov ecx, 2000
    ...loopEcx([]),
  ];
  return [...send(INIT_OTHERS), ...wait, ...send(START_OTHERS), ...wait, ...send(START_OTHERS)];
}

/** Needs unreal mode. */
function set(address: number, value: number): number[] {
  return [
    ...[0x66, 0xbf, ...long(address)], //                      mov edi, address
    ...[0x64, 0x67, 0x66, 0xc7, 0x07, ...long(value)], //      mov dword [fs:edi], value
  ];
}

function waitFor(cpus: number): number[] {
  const compare = [0x80, 0x3e, ...word(DONE), cpus]; //    cmp byte [0x6000], cpus
  return [...compare, 0x75, back(compare)]; //             jne
}

function code(step: Step): number[] {
  if ('forever' in step) return forever(step.forever.out);
  if ('bursts' in step) return bursts(step.bursts);
  if ('readEveryPort' in step) return [0x31, 0xd2, 0xec, 0x42, 0x75, 0xfc]; // xor dx, dx; in al, dx; inc dx; jnz -4
  if (step.times === 0) return [];
  if ('out' in step) return [0xba, ...word(step.out), ...times(step.times, [0xee])]; // mov dx, port; out dx, al
  if ('in' in step) return [0xba, ...word(step.in), ...times(step.times, [0xec])]; //   mov dx, port; in al, dx
  if ('mmioRead' in step) return [0x66, 0xbf, ...long(step.mmioRead), ...times(step.times, [0x64, 0x67, 0x8a, 0x07])]; // mov edi, gpa; mov al, [fs:edi]
  if ('mmioWrite' in step) return [0x66, 0xbf, ...long(step.mmioWrite), ...times(step.times, [0x64, 0x67, 0x88, 0x07])]; // mov [fs:edi], al
  return cpuids(step.times);
}

function forever(port: number): number[] {
  const once = [0xee, 0x66, 0xff, 0x06, ...word(ROUNDS)]; //    out dx, al; inc dword [0x5000]
  return [0xba, ...word(port), ...once, 0xeb, back(once)]; //   mov dx, port .. jmp
}

/** KVM's APIC counts nanoseconds where it divides by 1. */
const NS_PER_MS = 1_000_000;

function bursts({ out, times, everyMs, ticks }: Extract<Step, { bursts: unknown }>['bursts']): number[] {
  const once = [
    ...[0x66, 0xb9, ...long(times)], //                                  mov ecx, times
    ...loopEcx([0xee, 0x66, 0xff, 0x06, ...word(ROUNDS)]), //            out dx, al; inc dword [0x5000]
    ...[0xfb, 0xf4, 0xfa], //                                            sti; hlt; cli
    ...(ticks === undefined ? [] : [0x66, 0x4e]), //                     dec esi
  ];
  return [
    ...onInterrupt(),
    ...set(APIC.spurious, 0x1ff),
    ...set(APIC.timerDivide, 0b1011),
    ...set(APIC.timer, 0x20000 | VECTOR), // periodic
    ...set(APIC.timerStart, everyMs * NS_PER_MS),
    ...[0xba, ...word(out)], //                mov dx, port
    ...[0x66, 0xbe, ...long(ticks ?? 0)], //   mov esi, ticks
    ...once,
    ...[ticks === undefined ? 0xeb : 0x75, back(once)], // jmp, or jnz
  ];
}

/** Has {@link VECTOR} answered by code that stands here, and is jumped over. */
function onInterrupt(): number[] {
  const handler = [
    ...[0x66, 0x57, ...set(APIC.endOfInterrupt, 0), 0x66, 0x5f], //    push edi; ..; pop edi
    0xcf, //                                                           iret
  ];
  return [
    ...[0xe8, ...word(handler.length)], //                             call past the handler: leaves its address on the stack
    ...handler,
    ...[0x8f, 0x06, ...word(VECTOR * 4)], //                           pop word [4 * vector]
    ...[0xc7, 0x06, ...word(VECTOR * 4 + 2), ...word(SEGMENT)], //     mov word [4 * vector + 2], 0xf000
  ];
}

/** mov ecx, count; body; dec ecx; jnz */
function times(count: number, body: readonly number[]): number[] {
  return [0x66, 0xb9, ...long(count), ...loopEcx(body)];
}

function loopEcx(body: readonly number[]): number[] {
  const once = [...body, 0x66, 0x49];
  return [...once, 0x75, back(once)];
}

/** CPUID takes ecx and gives it back changed, so edi counts. */
function cpuids(count: number): number[] {
  const once = [
    ...[0x66, 0x31, 0xc0], //    xor eax, eax
    ...[0x66, 0x31, 0xc9], //    xor ecx, ecx
    ...[0x0f, 0xa2], //          cpuid
    ...[0x66, 0x4f], //          dec edi
  ];
  return [0x66, 0xbf, ...long(count), ...once, 0x75, back(once)];
}

/** cli; hlt; jmp */
function halt(): number[] {
  return [0xfa, 0xf4, 0xeb, back([0xfa, 0xf4])];
}

/** Displacement of a short jump that follows `skipped` and goes back to its start. */
function back(skipped: readonly number[]): number {
  return 0x100 - (skipped.length + 2);
}

function place(image: Buffer, at: number, bytes: readonly number[]): void {
  if (at < RESET_VECTOR && at + bytes.length > RESET_VECTOR) throw new Error('too many steps for an image');
  image.set(bytes, at);
}

function align(at: number, size: number): number {
  return Math.ceil(at / size) * size;
}

function word(value: number): number[] {
  return [value & 0xff, (value >>> 8) & 0xff];
}

function long(value: number): number[] {
  return [...word(value), ...word(value >>> 16)];
}

function quad(value: bigint): number[] {
  return [...long(Number(value & 0xffffffffn)), ...long(Number(value >> 32n))];
}
