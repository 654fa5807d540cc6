/**
 * Machine code of what a CPU of a guest does, in the images of firmware.ts: 16-bit code with the opcodes of the Intel
 * SDM, volume 2. The prefix 66 makes the operands of an instruction 32 bits wide, 67 makes its addresses 32 bits wide,
 * and 64 selects FS as its segment.
 */
import { type DeviceStep, deviceCode, isDeviceStep, needsMemoryAbove1MiB } from './device-steps.js';
import { back, long, loopEcx, repeat, store, word } from './machine-code.js';
import { nestedRounds } from './nested-steps.js';

/** Something that a CPU of the guest does. */
export type Step =
  | DeviceStep
  | { readonly out: number; readonly times: number }
  | { readonly in: number; readonly times: number }
  | { readonly mmioRead: number; readonly times: number }
  | { readonly mmioWrite: number; readonly times: number }
  /** CPUID with a leaf in EAX. */
  | { readonly cpuid: number; readonly times: number }
  | { readonly rdmsr: number; readonly times: number }
  /** Writes an MSR with the value that it has. Each time is one RDMSR and one WRMSR. */
  | { readonly rewriteMsr: number; readonly times: number }
  /** Writes a value of 32 bits to an MSR. */
  | { readonly wrmsr: number; readonly value: number; readonly times: number }
  /** Reads a byte of each page from an address on, once. */
  | { readonly touchPages: number; readonly times: number }
  /**
   * Writes to the pages of a block, without end. After each {@link PAGES_PER_OUT}, it writes to port 0x80, which it
   * counts at {@link WRITE_COUNTER}.
   */
  | DirtyPages
  /** Takes interrupts without end; see {@link levelInterrupts}. */
  | { readonly levelInterrupts: LevelInterrupts }
  /** VMMCALL with a number in EAX; the call of AMD. */
  | { readonly vmmcall: number; readonly times: number }
  /** An instruction PAUSE. */
  | { readonly pause: true; readonly times: number }
  /** CPUID with each leaf from 0 to 65,535, once. */
  | { readonly cpuidOfEveryLeaf: true }
  /** Runs a guest of its own that does these steps and halts, `times` times; see nested-steps.ts. */
  | { readonly nested: readonly Step[]; readonly times: number }
  /** Jumps to itself without end. */
  | { readonly spin: true }
  /** Halts without end, with interrupts off. */
  | { readonly halt: true }
  /** Waits, busily, until the test calls `goOn` of the guest. */
  | { readonly waitForHost: true }
  /** Starts the secondary CPUs, which the image starts at once otherwise: they may be plugged in before this step. */
  | { readonly startSecondary: true }
  /** Ejects a CPU, as an operating system does that was asked to give it back (QEMU, docs/specs/acpi_cpu_hotplug). */
  | { readonly ejectCpu: number }
  /** Reads each of the 65,536 ports once. */
  | { readonly readEveryPort: true }
  /** Writes to a port without end. The guest counts the writes in RAM, at {@link WRITE_COUNTER}. */
  | { readonly forever: { readonly out: number } }
  /**
   * Writes to a port without end. Each write makes QEMU clear a block of the guest's RAM, by the DMA interface of
   * its device fw_cfg.
   */
  | { readonly foreverClear: { readonly bytes: number } }
  /**
   * Writes to a port `times` times at each tick of the APIC timer and halts in between; without `ticks`, it never ends.
   * The guest counts these writes at {@link WRITE_COUNTER}, too.
   */
  | {
      readonly bursts: {
        readonly out: number;
        readonly times: number;
        readonly everyMs: number;
        readonly ticks?: number;
      };
    };

interface DirtyPages {
  /** Address of the block, a multiple of its size. */
  readonly dirtyPages: number;
  /** Number of pages: a power of 2. */
  readonly pages: number;
  /** Pages from one written page to the next, an odd number. Default: 1. */
  readonly stride?: number;
}

interface LevelInterrupts {
  /** Pin of the I/O APIC. */
  readonly pin: number;
  /** Address and value of 32 bits that make the device raise its line. */
  readonly raise: readonly [address: number, value: number];
}

/** Segment of the image. */
export const SEGMENT = 0xf000;
/** Address in RAM of the 32-bit counter of port writes that `forever` and `bursts` keep. */
export const WRITE_COUNTER = 0x5000;
/** Address in RAM of a byte that the host sets to end the step `waitForHost`. */
export const GO_ON = 0x5200;
const APIC = {
  endOfInterrupt: 0xfee000b0,
  spurious: 0xfee000f0,
  icr: 0xfee00300,
  timer: 0xfee00320,
  timerStart: 0xfee00380,
  timerDivide: 0xfee003e0,
};
/** Interrupt vectors. */
const [TIMER_VECTOR, LEVEL_VECTOR] = [0x20, 0x31];
/** Registers of the I/O APIC: which one to access, and its value. Each pin has two, from 0x10 on. */
const IOAPIC = { select: 0xfec00000, window: 0xfec00010 };
const LEVEL_TRIGGERED = 0x8000;
const PAGE = 0x1000;
export const PAGES_PER_OUT = 1024;

const MEMORY_STEPS = 'mmioRead mmioWrite bursts touchPages dirtyPages levelInterrupts startSecondary'.split(' ');

/** True if a step reaches memory above 1 MiB, which needs FS to have a limit of 4 GiB. */
export function needsUnrealMode(steps: readonly Step[]): boolean {
  return steps.some((step) => MEMORY_STEPS.some((name) => name in step) || needsMemoryAbove1MiB(step));
}

export function stepCode(step: Step): number[] {
  if ('spin' in step) return [0xeb, back([])]; //    jmp
  if ('halt' in step) return halt();
  if ('forever' in step) return forever(step.forever.out);
  if ('waitForHost' in step) return [0x80, 0x3e, ...word(GO_ON), 0, 0x74, 0xf9]; // cmp byte [0x5200], 0; je -7
  if ('startSecondary' in step) return startSecondaryCpus();
  if ('ejectCpu' in step) return ejectCpu(step.ejectCpu);
  if ('foreverClear' in step) return foreverClear(step.foreverClear.bytes);
  if ('bursts' in step) return bursts(step.bursts);
  if ('dirtyPages' in step) return dirtyPages(step);
  if ('levelInterrupts' in step) return levelInterrupts(step.levelInterrupts);
  if (isDeviceStep(step)) return deviceCode(step, WRITE_COUNTER);
  if ('readEveryPort' in step) return [0x31, 0xd2, 0xec, 0x42, 0x75, 0xfc]; // xor dx, dx; in al, dx; inc dx; jnz -4
  if ('cpuidOfEveryLeaf' in step) return cpuidOfEveryLeaf();
  if (step.times === 0) return [];
  if ('nested' in step) return nestedRounds(step.times, step.nested.flatMap(stepCode), SEGMENT);
  if ('out' in step) return [0xba, ...word(step.out), ...repeat(step.times, [0xee])]; // mov dx, port; out dx, al
  if ('in' in step) return [0xba, ...word(step.in), ...repeat(step.times, [0xec])]; //   mov dx, port; in al, dx
  // mov edi, gpa; mov al, [fs:edi]
  if ('mmioRead' in step) return [0x66, 0xbf, ...long(step.mmioRead), ...repeat(step.times, [0x64, 0x67, 0x8a, 0x07])];
  // mov edi, gpa; mov [fs:edi], al
  if ('mmioWrite' in step)
    return [0x66, 0xbf, ...long(step.mmioWrite), ...repeat(step.times, [0x64, 0x67, 0x88, 0x07])];
  if ('cpuid' in step) return counted(step.times, [...movEax(step.cpuid), 0x66, 0x31, 0xc9, ...CPUID]); // xor ecx, ecx
  if ('rdmsr' in step) return counted(step.times, [...movEcx(step.rdmsr), ...RDMSR]);
  if ('rewriteMsr' in step) return counted(step.times, [...movEcx(step.rewriteMsr), ...RDMSR, ...WRMSR]);
  if ('wrmsr' in step) {
    const value = [...movEax(step.value), 0x66, 0x31, 0xd2]; // mov eax, value; xor edx, edx
    return counted(step.times, [...movEcx(step.wrmsr), ...value, ...WRMSR]);
  }
  if ('pause' in step) return repeat(step.times, [0xf3, 0x90]); // pause
  if ('touchPages' in step) {
    const touch = [0x64, 0x67, 0x8a, 0x07, 0x66, 0x81, 0xc7, ...long(0x1000)]; // mov al, [fs:edi]; add edi, 4096
    return [0x66, 0xbf, ...long(step.touchPages), ...repeat(step.times, touch)];
  }
  return counted(step.times, [...movEax(step.vmmcall), ...VMMCALL]);
}

/** APIC commands for all CPUs but the sender: INIT, and start at page 0xF0, which is F000:0000. */
const INIT_SECONDARY = 0x000c4500;
const START_SECONDARY = 0x000c46f0;

/** Starts the secondary CPUs: INIT, wait, start, wait, start. A CPU that runs already ignores the second start. */
export function startSecondaryCpus(): number[] {
  const send = (command: number) => store(APIC.icr, command);
  const wait = [
    ...[0x66, 0xb9, ...long(2000)], //    mov ecx, 2000
    ...loopEcx([]),
  ];
  return [...send(INIT_SECONDARY), ...wait, ...send(START_SECONDARY), ...wait, ...send(START_SECONDARY)];
}

function forever(port: number): number[] {
  const once = [0xee, 0x66, 0xff, 0x06, ...word(WRITE_COUNTER)]; //    out dx, al; inc dword [0x5000]
  return [0xba, ...word(port), ...once, 0xeb, back(once)]; //          mov dx, port .. jmp
}

const CPU_HOTPLUG_PORT = 0xaf00;
const EJECT = 8;

function ejectCpu(cpu: number): number[] {
  return [
    ...[0xba, ...word(CPU_HOTPLUG_PORT), 0x66, 0x31, 0xc0, 0xee], //    mov dx, port; xor eax, eax; out dx, al
    ...[0xb0, cpu, 0x66, 0xef], //                                      mov al, cpu; out dx, eax
    ...[0x83, 0xc2, 4, 0xb0, EJECT, 0xee], //                           add dx, 4; mov al, 8; out dx, al
  ];
}

/** A request to fw_cfg (docs/specs/fw_cfg.rst of QEMU): control, length and address, which are big-endian. */
const DMA_REQUEST = 0x5100;
const DMA_PORT = 0x518;
/** Reads (2) what was selected (8), and selects an item that does not exist: reading it gives zeros. */
const DMA_CLEAR = 0xffff000a;
const DMA_TARGET = 1 << 20;

function foreverClear(bytes: number): number[] {
  const put = (at: number, value: number) => [0x66, 0xc7, 0x06, ...word(DMA_REQUEST + at), ...bigEndian(value)];
  const once = [
    ...put(0, DMA_CLEAR), //                            mov dword [0x5100], control, which QEMU sets to 0
    ...[0x66, 0xef], //                                 out dx, eax
    ...[0x66, 0xff, 0x06, ...word(WRITE_COUNTER)], //    inc dword [0x5000]
  ];
  return [
    ...[...put(4, bytes), ...put(8, 0), ...put(12, DMA_TARGET)],
    ...[0x66, 0xb8, ...bigEndian(DMA_REQUEST)], //       mov eax, request
    ...[0xba, ...word(DMA_PORT)], //                    mov dx, port
    ...[...once, 0xeb, back(once)],
  ];
}

/** Ticks of KVM's APIC timer in a millisecond: with a divisor of 1 it counts nanoseconds. */
const TIMER_TICKS_PER_MS = 1_000_000;

function bursts({ out, times, everyMs, ticks }: Extract<Step, { bursts: unknown }>['bursts']): number[] {
  const once = [
    ...[0x66, 0xb9, ...long(times)], //                                 mov ecx, times
    ...loopEcx([0xee, 0x66, 0xff, 0x06, ...word(WRITE_COUNTER)]), //    out dx, al; inc dword [0x5000]
    ...[0xfb, 0xf4, 0xfa], //                                           sti; hlt; cli
    ...(ticks === undefined ? [] : [0x66, 0x4e]), //                    dec esi
  ];
  return [
    ...installHandler(TIMER_VECTOR),
    ...store(APIC.spurious, 0x1ff), //                  enables the APIC
    ...store(APIC.timerDivide, 0b1011), //              divisor 1
    ...store(APIC.timer, 0x20000 | TIMER_VECTOR), //    periodic
    ...store(APIC.timerStart, everyMs * TIMER_TICKS_PER_MS),
    ...[0xba, ...word(out)], //                 mov dx, port
    ...[0x66, 0xbe, ...long(ticks ?? 0)], //    mov esi, ticks
    ...once,
    ...[ticks === undefined ? 0xeb : 0x75, back(once)], // jmp, or jnz
  ];
}

function dirtyPages({ dirtyPages: address, pages, stride = 1 }: DirtyPages): number[] {
  const next = [
    ...[0x66, 0x81, 0xc7, ...long(stride * PAGE)], //       add edi, stride
    ...[0x66, 0x81, 0xe7, ...long(pages * PAGE - 1)], //    and edi, size - 1
    ...[0x66, 0x81, 0xcf, ...long(address)], //             or edi, address
  ];
  const once = [
    ...repeat(PAGES_PER_OUT, [0x64, 0x67, 0xfe, 0x07, ...next]), //    inc byte [fs:edi]; ..
    ...[0xe6, 0x80, 0x66, 0xff, 0x06, ...word(WRITE_COUNTER)], //      out 0x80, al; inc dword [0x5000]
  ];
  return [0x66, 0xbf, ...long(address), ...once, 0xeb, back(once)]; //  mov edi, address; ..; jmp
}

/**
 * Makes a device raise its level-triggered line, and takes the interrupt again and again, as nothing lowers the line.
 * The guest counts them at {@link WRITE_COUNTER}.
 */
function levelInterrupts({ pin, raise: [address, value] }: LevelInterrupts): number[] {
  const set = (register: number, value: number) => [...store(IOAPIC.select, register), ...store(IOAPIC.window, value)];
  return [
    ...installHandler(LEVEL_VECTOR, [0x66, 0xff, 0x06, ...word(WRITE_COUNTER)]), // inc dword [0x5000]
    ...store(APIC.spurious, 0x1ff), //              enables the APIC
    ...set(0x11 + 2 * pin, 0), //                   to the APIC with id 0
    ...set(0x10 + 2 * pin, LEVEL_TRIGGERED | LEVEL_VECTOR),
    ...store(address, value),
    ...[0xfb, 0xeb, back([])], //                   sti; jmp
  ];
}

/**
 * Installs the handler of an interrupt, which does something and ends it. The code of the handler stands here and is
 * jumped over.
 */
function installHandler(vector: number, code: readonly number[] = []): number[] {
  const handler = [
    ...code,
    ...[0x66, 0x57, ...store(APIC.endOfInterrupt, 0), 0x66, 0x5f], //    push edi; ..; pop edi
    0xcf, //                                                             iret
  ];
  return [
    ...[0xe8, ...word(handler.length)], //                        call past the handler, which pushes its address
    ...handler,
    ...[0x8f, 0x06, ...word(vector * 4)], //                          pop word [4 * vector]
    ...[0xc7, 0x06, ...word(vector * 4 + 2), ...word(SEGMENT)], //    mov word [4 * vector + 2], 0xf000
  ];
}

const CPUID = [0x0f, 0xa2];
const RDMSR = [0x0f, 0x32];
const WRMSR = [0x0f, 0x30];
const VMMCALL = [0x0f, 0x01, 0xd9];

const movEax = (value: number) => [0x66, 0xb8, ...long(value)];
const movEcx = (value: number) => [0x66, 0xb9, ...long(value)];

/** Repeats a body that overwrites eax to edx: mov edi, count; body; dec edi; jnz. */
function counted(count: number, body: readonly number[]): number[] {
  const once = [...body, 0x66, 0x4f];
  return [0x66, 0xbf, ...long(count), ...once, 0x75, back(once)];
}

/** xor edi, edi; mov eax, edi; xor ecx, ecx; cpuid; inc di; jnz. */
function cpuidOfEveryLeaf(): number[] {
  const once = [0x66, 0x89, 0xf8, 0x66, 0x31, 0xc9, ...CPUID, 0x47];
  return [0x66, 0x31, 0xff, ...once, 0x75, back(once)];
}

/** Stops the CPU for good: cli; hlt; jmp. */
export function halt(): number[] {
  return [0xfa, 0xf4, 0xeb, back([0xfa, 0xf4])];
}

function bigEndian(value: number): number[] {
  return long(value).reverse();
}
