/** The sinks between a decoder and the counters: no call gets lost on the way, also none that will be added. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FailedCalls } from '../../src/decode/ftrace/failed-calls.js';
import { Names } from '../../src/trace/names.js';
import { QemuGate } from '../../src/trace/qemu-gate.js';
import {
  ForwardingSink,
  MMIO_WRITE,
  MSR_WRITE,
  QemuForwardingSink,
  type QemuSink,
  QUEUE_NOTIFY,
  type TraceSink,
} from '../../src/trace/sink.js';
import { SwitchedSink } from '../../src/trace/switched-sink.js';
import { TimeWindow, type WindowEdges } from '../../src/trace/time-window.js';
import { KernelWindowSink, QemuWindowSink } from '../../src/trace/window-sinks.js';

type Calls<Sink> = { readonly [Name in keyof Sink]: Sink[Name] extends (...args: infer Args) => void ? Args : never };
type Call = readonly [name: string, ...args: unknown[]];

const TIME_NS = 150;

/** One call of each method. The compiler asks for an entry for each new one. */
const QEMU_CALLS: Calls<QemuSink> = {
  qemuEvent: [TIME_NS, 1, 2],
  qemuRunExit: [TIME_NS, 3, 4, 5],
  qemuSignal: [TIME_NS, 6, QUEUE_NOTIFY, 7],
  qemuDevice: [8, 9, 'virtio-net'],
  qemuRegion: [10, 11, 'rtc'],
  setIoeventfd: [12, true, 13, true],
  lost: [-1, 15],
  malformed: ['record'],
};
const KERNEL_CALLS: Calls<Omit<TraceSink, keyof QemuSink>> = {
  thread: [20, 21, 'CPU 0/KVM'],
  tracepoint: [TIME_NS, 22, 23, 24],
  vmExit: [TIME_NS, 25, 26, 27, 28, 29],
  vmEntry: [TIME_NS, 31, 32, 33],
  userspaceExit: [TIME_NS, 34, 35, 36],
  portIo: [TIME_NS, 37, 38, true, 39, 40],
  mmio: [TIME_NS, 41, 42, MMIO_WRITE, 43],
  fastMmio: [TIME_NS, 44, 45, 46],
  interrupt: [TIME_NS, 47, 48],
  gapAhead: [49],
  index: [TIME_NS, 55, 56, MSR_WRITE, 57],
  apicvInhibit: [TIME_NS, 58, 59, 60, true],
  threadExit: [TIME_NS, 50, 51],
  threadStart: [TIME_NS, 52, 53, 54],
};

const asCalls = (table: object): Call[] => Object.entries(table).map(([name, args]) => [name, ...args]);
const QEMU = asCalls(QEMU_CALLS);
const ALL = [...asCalls(KERNEL_CALLS), ...QEMU];

/** Sends calls through a sink. Returns the calls that come out of it. */
function through(calls: readonly Call[], makeSink: (target: TraceSink) => QemuSink & { end?(): void }): Call[] {
  const passed: Call[] = [];
  const target = new Proxy({} as TraceSink, {
    get:
      (_, name: string) =>
      (...args: unknown[]) => {
        passed.push([name, ...args]);
      },
  });
  const sink = makeSink(target);
  for (const [name, ...args] of calls)
    (sink as unknown as Record<string, (...args: unknown[]) => void>)[name]?.(...args);
  sink.end?.();
  return passed;
}

const windowOf = (edges: Partial<WindowEdges> = {}) => new TimeWindow({ since: undefined, until: undefined, ...edges });
const since = (ns: number) => windowOf({ since: { ns, isRelative: false } });
const vocabulary = { reasons: new Names(), tracepoints: new Names(), qemuEvents: new Names() };

/** Without order: losses wait for the end of their gap. */
function assertSameCalls(actual: readonly Call[], expected: readonly Call[]): void {
  const sorted = (calls: readonly Call[]) => calls.map((call) => JSON.stringify(call)).sort();
  assert.deepEqual(sorted(actual), sorted(expected));
}

test('a forwarding sink passes every call on as it is', () => {
  assert.deepEqual(
    through(ALL, (target) => new ForwardingSink(target)),
    ALL,
  );
  assert.deepEqual(
    through(QEMU, (target) => new QemuForwardingSink(target)),
    QEMU,
  );
});

test('text of trace-cmd and perf: FailedCalls passes every call on, as each exit here follows an entry', () => {
  assert.deepEqual(
    through(ALL, (target) => new FailedCalls(vocabulary, target)),
    ALL,
  );
});

test('a window passes on every call inside it, and of those outside only what is no event', () => {
  const isNoEvent = ([name, first]: Call) => first !== TIME_NS || name.startsWith('thread');
  const outside = (calls: readonly Call[]) =>
    calls.filter(isNoEvent).map((call): Call => (call[0] === 'lost' ? ['lost', -1, 0] : call));
  for (const [window, expected] of [
    [() => windowOf(), (calls: readonly Call[]) => calls],
    [() => since(100), (calls: readonly Call[]) => calls],
    [() => windowOf({ until: { ns: 100, isRelative: false } }), outside],
  ] as const) {
    assertSameCalls(
      through(ALL, (target) => new KernelWindowSink(target, window())),
      expected(ALL),
    );
    assertSameCalls(
      through(QEMU, (target) => new QemuWindowSink(target, window())),
      expected(QEMU),
    );
  }
});

test("a gate passes on every call of QEMU's traces while it is open, and none of the kernel's", () => {
  const gate = (target: TraceSink) => Object.assign(new QemuGate(target), { open: true });
  assert.deepEqual(through(ALL, gate), QEMU);
});

test('a switched sink passes on every call while it is on, and no frequent events while it is off', () => {
  const frequent = new Set(['vmExit', 'vmEntry', 'portIo', 'mmio', 'fastMmio', 'index', 'interrupt']);
  const [, , , name] = KERNEL_CALLS.tracepoint;
  const isRare = ([call]: Call) => !frequent.has(call);
  assert.deepEqual(
    through(ALL, (target) => new SwitchedSink(target, true)),
    ALL,
  );
  assert.deepEqual(
    through(ALL, (target) => new SwitchedSink(target, false, new Set([name]))),
    ALL.filter(isRare),
  );
  assert.deepEqual(
    through(ALL, (target) => new SwitchedSink(target, false)),
    ALL.filter((call) => isRare(call) && call[0] !== 'tracepoint'),
  );
});
