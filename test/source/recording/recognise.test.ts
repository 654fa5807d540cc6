import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FormatSearch } from '../../../src/source/recording/formats/recognise.js';
import { AgentError } from '../../../src/system/errors.js';
import { cpuMs } from '../../support/cpu-ms.js';
import { readFixture } from '../../support/fixtures.js';

/** The name of the format, or the message about a file that cannot be read. */
function recognise(bytes: Uint8Array, chunk = 65536): string {
  try {
    const search = new FormatSearch('x');
    for (let at = 0; at < bytes.length; at += chunk) {
      const format = search.push(bytes.subarray(at, at + chunk));
      if (format !== undefined) return format.name;
    }
    return search.end().name;
  } catch (error) {
    if (!(error instanceof AgentError)) throw error;
    return error.message;
  }
}

const FTRACE = /^ftrace text/;
const LOG = /^a log of QEMU/;
const SIMPLE = /^a simple trace of QEMU$/;
const UNKNOWN = /^x: unknown format/;

const EVENT = '  CPU 0/KVM-82557 [000] d..1. 5.000001: kvm_exit: vcpu 0 reason io rip 0x1 info1 0x0\n';
const RUN_EXIT = '9@1.500000:kvm_run_exit cpu_index 0, reason 2\n';

const TEXTS: [text: string, format: RegExp][] = [
  ['hello\nworld\n', UNKNOWN],
  ['\n\n', UNKNOWN],
  ['{"a_b": 1}\n', UNKNOWN],
  ['# a\n# b\n', UNKNOWN],
  [EVENT, FTRACE],
  [EVENT.trimEnd(), FTRACE],
  ['# tracer: nop\n#\n', FTRACE],
  ['# tracer: nop\nprose\n', UNKNOWN],
  ['CPU:1 [LOST 1472 EVENTS]\n', FTRACE],
  ['  CPU 0/KVM-82557 [000] ..... 5.000001: tracing_mark_write: kvm_run_exit cpu_index 0, reason 2\n', FTRACE],
  ['kvm_entry: vcpu 0\n', FTRACE],
  ['kvm_exit: see below\n', UNKNOWN],
  ['qemu-system-x86_64: kvm_init_vcpu: kvm_arch_init_vcpu failed (0): Invalid argument\n', UNKNOWN],
  [`kvm_init_vcpu: failed\n${RUN_EXIT}`, LOG],
  [RUN_EXIT, LOG],
  [`one\ntwo\nthree\n${RUN_EXIT}`, LOG],
  ['one\ntwo\nthree\nkvm_run_exit cpu_index 0, reason 2', LOG],
  ['Nov 25 19:00:01 host1 qemu[15268]: kvm_run_exit cpu_index 0, reason 2\n', LOG],
  ['virtio_notify a\n', LOG],
  ['one\ntwo\nthree\nvirtio_notify a\n', UNKNOWN],
  ['2026-11-23 00:55:58.000+0000: starting up libvirt version: 9.0.0\nLC_ALL=C \\\n', /libvirt's log of a VM/],
  ['kvm_run_exit 12.345 pid=4242 cpu_index=0x0 reason=0x2\n', /simpletrace\.py/],
];

for (const [text, format] of TEXTS) {
  test(`"${text.slice(0, 60).replaceAll('\n', '|')}" is recognised`, () => {
    assert.match(recognise(Buffer.from(text)), format);
    assert.match(recognise(Buffer.from(text), 7), format);
  });
}

test('a simple trace is recognised by its first bytes', () => {
  const bytes = readFixture('exact/e6-internal-error/trace-simple');
  assert.match(recognise(bytes), SIMPLE);
  assert.match(recognise(bytes, 1), SIMPLE);
});

const RECORDINGS: [path: string, format: RegExp][] = [
  ['svm/two-vms-6.12/trace_pipe.txt', FTRACE],
  ['perf/perf-script.txt', FTRACE],
  ['text-variants/trace.opt-latency-format.txt', FTRACE],
  ['text-variants/trace.opt-verbose.txt', FTRACE],
  ['text-forms/perf-event.txt', FTRACE],
  ['text-forms/trace-cmd-l-R.txt', FTRACE],
  ['qemu-log/b1-plain/log.txt', LOG],
  ['qemu-log/b6-mixed-lines/log.txt', LOG],
  ['virtio/tcg-linux-iothread/log.txt', LOG],
];

for (const [path, format] of RECORDINGS)
  test(`${path} is recognised`, () => {
    assert.match(recognise(readFixture(path)), format);
  });

const HEADS: [name: string, line: (number: number) => string][] = [
  ['trace-cmd prints for CPUs without events', (number) => `CPU ${number} is empty\n`],
  ['perf script --header prints for CPUs', (number) => `# CPU ${number}: Core ID ${number}, Die ID 0, Socket ID 0\n`],
  ['people write', (number) => `This is line ${number} of a long report: nothing to see here, 12.5: not even here.\n`],
  ['of register dumps', (number) => `EAX=${number} EBX=00000000 ECX=00000000 EDX=00000000\n`],
];

for (const [name, line] of HEADS)
  for (const [event, format] of [
    [EVENT, FTRACE],
    [RUN_EXIT, LOG],
  ] as const)
    test(`an event behind 50,000 lines that ${name} is found, in bounded memory: ${format}`, () => {
      const head = Buffer.from(Array.from({ length: 50_000 }, (_, number) => line(number)).join(''));
      assert.match(recognise(Buffer.concat([head, Buffer.from(event)])), format);
    });

test('a file without an event is not searched for ever', () => {
  const search = new FormatSearch('x');
  const chunk = Buffer.from('no event in this line\n'.repeat(50_000));
  assert.throws(() => {
    for (let megabytes = 0; megabytes < 100; megabytes++) search.push(chunk);
  }, /x: unknown format/);
});

// As these tools print them; perf 6.1, bcc, bpftrace 0.17, Linux' tools/kvm/kvm_stat, babeltrace 2.
const OTHER_TOOLS: [text: string, advice: RegExp][] = [
  [" Performance counter stats for 'system wide':\n\n      1,880 kvm:kvm_entry\n", /perf stat/],
  ['\n Leistungsdaten:\n\n        1.234.567      kvm:kvm_exit\n\n       1,002 seconds time elapsed\n', /perf stat/],
  ['1880,,kvm:kvm_entry,100,100.00,,\n', /perf stat/],
  ['#           time             counts unit events\n     1.001     12      kvm:kvm_exit\n', /perf stat/],
  ['\nAnalyze events for all VMs, all VCPUs:\n\n  VM-EXIT    Samples  Samples%     Time%\n', /perf kvm stat/],
  [
    '      IO Port Access    Samples  Samples%     Time%    Min Time\n\n     0x402:POUT         3    1%\n',
    /perf kvm stat/,
  ],
  [
    "# To display the perf.data header info, please use --header\n#\n# Samples: 1M of event 'kvm:kvm_exit'\n    99.77%  reason KVM_EXIT_IO (2)\n",
    /perf report/,
  ],
  ['   210.028 CPU 0/KVM/184 kvm:kvm_userspace_exit(errno: 4294967292)\n', /perf trace/],
  ['kvm statistics - summary\n\n Event                Total %Total CurAvg/s\n kvm_exit  12 1.0 3\n', /kvm_stat/],
  ['kvm_entry          kvm_exit           kvm_userspace_exit\n   1202   1203     44\n', /kvm_stat/],
  ['TGID     PID      KVM_EXIT_REASON                     STAT\n1 2 EXIT_REASON_HLT 3\n', /kvmexit/],
  ['Attaching 1 probe...\n^C\n\n@[48]: 120\n', /bpftrace/],
  ['kvm_exit 1200\nkvm_entry 1201\nkvm_userspace_exit 12\n', /counts of events/],
  [
    '13100363123 0x1a8 [0x68]: PERF_RECORD_SAMPLE(IP, 0x1): 150/159: 0xffffffffc0 period: 1 addr: 0\n',
    /a dump of a perf\.data/,
  ],
  ['CPU0  2912893843 (+    1234)  VMEXIT      [ exitcode = 0x0000000c, rIP  = 0x00000000c0101234 ]\n', /Xen/],
  [']  0.000127 -x- d1v0 vmexit exit_reason IO_INSTRUCTION eip fff0\n', /Xen/],
  ['\xff\xfe\0\0a\0\0\0b\0\0\0', /UTF-32.*iconv/],
  ['[10:14:22.1] (+?.?????????) host kvm_userspace_exit: { cpu_id = 2 }, { reason = 2, errno = 0 }\n', /babeltrace/],
  ['reason: count sum(us) min(us) avg(us) max(us)\n0: 55 123 0 2 12\n', /SystemTap/],
  ['# event histogram\n#\n{ exit_reason:         12 } hitcount:         40\n', /hist trigger/],
  ['15268 ioctl(20, KVM_RUN, 0)               = 0\n', /strace/],
  ['# tracer: function\n#\n  CPU 0/KVM-7 [000] d..1. 5.1: vmx_vcpu_run <-vcpu_enter_guest\n', /function tracer/],
  ['entries: 100\noverrun: 0\ncommit overrun: 0\nbytes: 5200\n', /statistics of a ring buffer/],
  ['vcpu 0 reason npf rip 0x10 info1 0x0000000100000006 info2 0x0\n', /event. in the columns/],
  ['# HELP kvm_exits_total VM exits\n# TYPE kvm_exits_total counter\n', /metrics/],
  ['\x04\x22\x4d\x18abc', /lz4 -dk/],
  ['\xfd7zXZ\0abc', /xz -dk/],
  ['BZh91AY', /bzip2 -dk/],
  ['7z\xbc\xaf\x27\x1c', /7-Zip/],
  [`base.txt${'\0'.repeat(249)}ustar  \0`, /tar -xf/],
  ['2ELIFREP', /perf\.data/],
];

for (const [text, advice] of OTHER_TOOLS)
  test(`"${text.trim().slice(0, 50).replaceAll('\n', '|')}": the message names the tool`, () => {
    assert.match(recognise(Buffer.from(text, 'latin1')), advice);
  });

test('text that is like that of other tools takes no longer than other text', () => {
  for (const piece of ['1,', ' ', '\n', 'kvm_a ', '1.1 a b:c(', '# ', '@[', '0.1 ', 'vcpu 1 reason a ']) {
    const text = Buffer.from(piece.repeat(2_000_000 / piece.length));
    assert.ok(cpuMs(() => void recognise(text)) < 3000, JSON.stringify(piece));
  }
});
