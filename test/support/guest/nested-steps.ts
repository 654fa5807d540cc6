/**
 * A guest that runs a guest of its own by AMD SVM: the inner guest does its steps in real mode and halts. The outer
 * guest intercepts VMMCALL, PAUSE and HLT only, so all other exits of the inner guest are handled by KVM itself.
 *
 * Source: AMD64 Architecture Programmer's Manual, volume 2, chapter 15 and appendix B (layout of the VMCB).
 */
import { back, long, word } from './machine-code.js';

/** Addresses in RAM. */
const VMCB = 0x8000;
const HOST_SAVE_AREA = 0x9000;
const INNER_START = 0xa000;
const PAGE_DIRECTORY = 0xb000;

const EFER = 0xc0000080;
const EFER_SVME = 0x1000;
const VM_HSAVE_PA = 0xc0010117;

/** Offsets in the VMCB. */
const [EXIT_CODE, RIP] = [0x70, 0x578];
const EXIT_HLT = 0x78;
/** Exits after which the inner guest goes on: their codes, and the length of the instruction. */
const VMMCALL = { code: 0x81, bytes: 3 };
const PAUSE = { code: 0x77, bytes: 2 };

/** A segment of real mode: selector and attributes, limit, base. */
function segment(offset: number, attributes: number, selector: number): [offset: number, value: number][] {
  return [
    [offset, selector + attributes * 0x10000],
    [offset + 4, 0xffff],
    [offset + 8, selector * 16],
  ];
}

/** Offset in the VMCB and 32 bits there; everything else is 0. */
const fields = (codeSegment: number): readonly (readonly [offset: number, value: number])[] => [
  [0x00c, 3 << 23], //    intercepts PAUSE and HLT
  [0x010, 0b11], //       intercepts VMRUN, as every guest must, and VMMCALL
  [0x058, 1], //          address space of the inner guest
  ...segment(0x400, 0x93, 0), // ES
  ...segment(0x410, 0x9b, codeSegment),
  ...segment(0x420, 0x93, 0), // SS
  ...segment(0x430, 0x93, 0), // DS
  [0x484, 0xffff], //     limit of IDTR
  [0x4d0, EFER_SVME],
  [0x558, 0x10], //       CR0: real mode
  [0x560, 0x400], //      DR7
  [0x568, 0xffff0ff0], // DR6
  [0x570, 2], //          RFLAGS
];

const setDword = (address: number, value: number) => [0x66, 0xc7, 0x06, ...word(address), ...long(value)];
const movEcx = (value: number) => [0x66, 0xb9, ...long(value)];
const movEax = (value: number) => [0x66, 0xb8, ...long(value)];
const [RDMSR, WRMSR] = [
  [0x0f, 0x32],
  [0x0f, 0x30],
];

/** KVM, unlike the CPU, refuses VMRUN without paging: a page of 4 MiB, mapped to itself. */
const PAGING_ON = [
  ...setDword(PAGE_DIRECTORY, 0x83),
  ...[...movEax(PAGE_DIRECTORY), 0x0f, 0x22, 0xd8], //                    mov cr3, eax
  ...[0x0f, 0x20, 0xe0, 0x0c, 0x10, 0x0f, 0x22, 0xe0], //                 mov eax, cr4; or al, 0x10; mov cr4, eax
  ...[0x0f, 0x20, 0xc0, 0x66, 0x0d, ...long(0x80000001)], //              mov eax, cr0; or eax, ..
  ...[0x0f, 0x22, 0xc0], //                                               mov cr0, eax
];
const PAGING_OFF = [
  ...[0x0f, 0x20, 0xc0, 0x66, 0x25, ...long(0x7ffffffe), 0x0f, 0x22, 0xc0], // mov eax, cr0; and eax, ..; mov cr0, eax
];

/** Ends QEMU with another status than a guest that has done its steps. */
const GIVE_UP = [0xba, ...word(0x501), 0xb0, 1, 0xee]; // mov dx, 0x501; mov al, 1; out dx, al

/** Code that follows `before`: after such an exit, it skips the instruction and starts at `before` again. */
function resume({ code, bytes }: typeof VMMCALL, before: readonly number[]): number[] {
  const goOn = [0x83, 0x06, ...word(VMCB + RIP), bytes]; //                    add word [vmcb + rip], bytes
  const compare = [0x81, 0x3e, ...word(VMCB + EXIT_CODE), ...word(code)]; //   cmp word [vmcb + exit code], code
  const all = [...compare, 0x75, goOn.length + 2, ...goOn]; //                 jne past
  return [...all, 0xeb, back([...before, ...all])]; //                         jmp
}

/**
 * Runs the inner guest `rounds` times from its start to its end. Each round is one VMRUN and one more per VMMCALL and
 * PAUSE of the inner guest. Needs a vCPU with SVM: `-cpu host`. The code of the inner guest must leave ESI alone.
 * @param codeSegment segment of the image
 */
export function nestedRounds(rounds: number, inner: readonly number[], codeSegment: number): number[] {
  const innerCode = [...inner, 0xf4]; // .. hlt
  const start = [0xa1, ...word(INNER_START), 0xa3, ...word(VMCB + RIP)]; //    mov ax, [start]; mov [vmcb + rip], ax
  const compare = (code: number) => [0x83, 0x3e, ...word(VMCB + EXIT_CODE), code]; // cmp word [vmcb + exit code], ..
  const run = [...movEax(VMCB), 0x0f, 0x01, 0xd8]; // vmrun
  const called = [...run, ...resume(VMMCALL, run)];
  const again = [...called, ...resume(PAUSE, called)];
  const check = [...compare(EXIT_HLT), 0x74, GIVE_UP.length, ...GIVE_UP]; // je past
  const round = [...start, ...again, ...check, 0x66, 0x4e]; // dec esi
  return [
    ...fields(codeSegment).flatMap(([offset, value]) => setDword(VMCB + offset, value)),
    ...[0xe8, ...word(innerCode.length), ...innerCode], //    call past the inner guest, which pushes its address
    ...[0x8f, 0x06, ...word(INNER_START)], //                 pop word [start]
    ...[...movEcx(EFER), ...RDMSR, 0x66, 0x0d, ...long(EFER_SVME), ...WRMSR], // or eax, svme
    ...[...movEcx(VM_HSAVE_PA), ...movEax(HOST_SAVE_AREA), 0x66, 0x31, 0xd2, ...WRMSR], // xor edx, edx
    ...PAGING_ON,
    ...[0x66, 0xbe, ...long(rounds)], //    mov esi, rounds
    ...round,
    ...[0x75, 0x100 - (round.length + 2)], // jnz
    ...[0x0f, 0x01, 0xdc], //               stgi
    ...PAGING_OFF,
  ];
}
