/**
 * The part of a trace.dat before the pages, in version 6: every trace-cmd and KernelShark in use can open it, while
 * trace-cmd before 3.0 cannot open version 7. Layout: src/decode/trace-dat/tracing-data.ts and version-6.ts.
 */
import { endianness, release } from 'node:os';
import { join } from 'node:path';
import { NOTES } from '../../decode/trace-dat/options.js';
import { tryListFolder, tryReadBytes } from '../../system/files.js';
import { VERSION } from '../../system/version.js';

const [CPUSTAT, TRACECLOCK, UNAME, CPUCOUNT, VERSION_OPTION, NO_OPTION] = [2, 4, 5, 8, 9, 0];
const LONG_BYTES = 8;

/** The parts of the head that are known when the capture begins. */
export interface CapturedFormats {
  readonly pageSize: number;
  readonly headerPage: Buffer;
  readonly headerEvent: Buffer;
  readonly ftrace: readonly Buffer[];
  /** System -> texts of its format files. */
  readonly systems: ReadonlyMap<string, readonly Buffer[]>;
  /** Text of trace_clock. */
  readonly clock: Buffer;
}

/** The parts of the head that are known at the end. */
export interface CaptureEnd {
  /** Lines about the VMs. */
  readonly notes: string;
  /** Text of saved_cmdlines. */
  readonly cmdlines: Buffer;
  /** Indexed by the number of the CPU. A number that no CPU has stands for one without pages. */
  readonly cpus: readonly { readonly stats: string; readonly size: number }[];
}

/** `events`: `system:name`. All events of kvm are included, because they are few. */
export function captureFormats(instance: string, events: readonly string[], pageSize: number): CapturedFormats {
  const names = new Set(events.map((event) => event.replace(':', '/')));
  for (const event of tryListFolder(join(instance, 'events/kvm'))) names.add(`kvm/${event}`);
  const systems = new Map<string, Buffer[]>();
  for (const name of names) {
    const [system = ''] = name.split('/');
    const text = tryReadBytes(join(instance, 'events', name, 'format'));
    if (text !== undefined) systems.set(system, [...(systems.get(system) ?? []), text]);
  }
  const read = (file: string) => tryReadBytes(join(instance, file)) ?? Buffer.alloc(0);
  return {
    pageSize,
    headerPage: read('events/header_page'),
    headerEvent: read('events/header_event'),
    ftrace: [read('events/ftrace/print/format')].filter(({ length }) => length > 0),
    systems,
    clock: read('trace_clock'),
  };
}

/** The head of the file, and the place of each CPU's pages behind it. */
export function traceDatHead(formats: CapturedFormats, end: CaptureEnd): { head: Buffer; places: number[] } {
  const { pageSize, headerPage, headerEvent, ftrace, systems, clock } = formats;
  const currentClock = Buffer.from(/\[[\w-]+\]/.exec(clock.toString())?.[0] ?? '[local]');
  const before = Buffer.concat([
    Buffer.from('\x17\x08\x44tracing6\0', 'latin1'),
    Buffer.from([endianness() === 'BE' ? 1 : 0, LONG_BYTES]),
    u32(pageSize),
    Buffer.from('header_page\0'),
    sized(u64, headerPage),
    Buffer.from('header_event\0'),
    sized(u64, headerEvent),
    texts(ftrace),
    u32(systems.size),
    ...Array.from(systems, ([name, formatTexts]) => Buffer.concat([Buffer.from(`${name}\0`), texts(formatTexts)])),
    // Neither the kernel's symbols nor its printk formats are needed.
    u32(0),
    u32(0),
    sized(u64, end.cmdlines),
    u32(end.cpus.length),
    Buffer.from('options  \0'),
    option(TRACECLOCK, Buffer.concat([clock, Buffer.alloc(1)])),
    option(UNAME, text(`Linux ${release()} ${process.arch}`)),
    option(VERSION_OPTION, text(`kvm-exit-exporter ${VERSION}`)),
    ...end.cpus.map(({ stats }, cpu) => option(CPUSTAT, text(`CPU: ${cpu}\n${stats}`))),
    option(CPUSTAT, text(`${NOTES}${end.notes}`)),
    option(CPUCOUNT, u32(end.cpus.length)),
    u16(NO_OPTION),
    Buffer.from('flyrecord\0'),
  ]);
  const after = sized(u64, currentClock);
  let place = aligned(before.length + 16 * end.cpus.length + after.length, pageSize);
  const places = end.cpus.map(({ size }) => {
    const own = place;
    place += size;
    return own;
  });
  const table = end.cpus.flatMap(({ size }, cpu) => [u64(places[cpu] as number), u64(size)]);
  return { head: Buffer.concat([before, ...table, after]), places };
}

function aligned(length: number, pageSize: number): number {
  return Math.ceil(length / pageSize) * pageSize;
}

function texts(all: readonly Buffer[]): Buffer {
  return Buffer.concat([u32(all.length), ...all.map((one) => sized(u64, one))]);
}

function option(id: number, data: Buffer): Buffer {
  return Buffer.concat([u16(id), u32(data.length), data]);
}

function sized(number: (value: number) => Buffer, data: Buffer): Buffer {
  return Buffer.concat([number(data.length), data]);
}

function text(content: string): Buffer {
  return Buffer.from(`${content}\0`);
}

function u16(value: number): Buffer {
  return Buffer.from(Uint16Array.of(value).buffer);
}

function u32(value: number): Buffer {
  return Buffer.from(Uint32Array.of(value).buffer);
}

function u64(value: number): Buffer {
  return Buffer.from(BigUint64Array.of(BigInt(value)).buffer);
}
