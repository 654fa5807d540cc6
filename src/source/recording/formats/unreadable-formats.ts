import type { OtherText, UnreadableFormat } from './recording-format.js';

const UNPACK = 'which Node.js cannot unpack; unpack it first';

export const UNREADABLE_FORMATS: readonly UnreadableFormat[] = [
  { magic: '2ELIFREP', advice: 'a perf.data of a big-endian host; give the text that `perf script` prints' },
  { magic: 'PERFFILE', advice: 'a perf.data of a perf before 3.5; give the text that `perf script` prints' },
  { magic: '\xc1\x1f\xfc\xc1', advice: 'a trace of LTTng (CTF); record with trace-cmd or perf' },
  { magic: '\xfd7zXZ\0', advice: `packed with xz, ${UNPACK}: xz -dk` },
  { magic: 'BZh', advice: 'packed with bzip2; unpack it first: bzip2 -dk' },
  { magic: '\x04\x22\x4d\x18', advice: `packed with lz4, ${UNPACK}: lz4 -dk` },
  { magic: '\x02\x21\x4c\x18', advice: `packed with lz4, ${UNPACK}: lz4 -dk` },
  { magic: '\x89LZO', advice: `packed with lzop, ${UNPACK}: lzop -d` },
  { magic: 'LZIP', advice: `packed with lzip, ${UNPACK}: lzip -dk` },
  { magic: '\x5d\0\0', advice: `packed with lzma, ${UNPACK}: xz -dk` },
  { magic: '\x1f\x9d', advice: `packed with compress, ${UNPACK}: uncompress` },
  { magic: '\xff\x06\0\0sNaPpY', advice: `packed with snappy, ${UNPACK}` },
  { magic: '7z\xbc\xaf\x27\x1c', advice: 'a 7-Zip archive; unpack it first' },
  { magic: 'Rar!', advice: 'a rar archive; unpack it first' },
  { magic: 'PK\x03\x04', advice: 'a zip archive; unpack it first' },
  { magic: 'ustar', at: 257, advice: 'a tar archive; unpack it first: tar -xf' },
  { magic: '\x7fELF', advice: 'a program, not a recording' },
  { magic: '%PDF', advice: 'a PDF document; give the text in it' },
  { magic: '\x89PNG', advice: 'a picture; give the text that it shows' },
  { magic: '\xff\xfe\0\0', advice: 'text in UTF-32; convert it first: iconv -f UTF-32 -t UTF-8' },
  { magic: '\0\0\xfe\xff', advice: 'text in UTF-32; convert it first: iconv -f UTF-32 -t UTF-8' },
  { magic: 'SQLite format 3', advice: 'a database, not a recording' },
];

const RECORD = 'record the events: `perf record -a -e "kvm:*"` and `perf script`, or kvm-exit-exporter record';

/** Compared with the beginning of a text in which no event was found. */
export const OTHER_TEXTS: readonly OtherText[] = [
  {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they show that binary records follow the heading
    pattern: /^# tracer: [\s\S]*[\0-\x08]/,
    advice:
      'recorded with the trace option bin, which leaves out the names of events; record it again after `echo nobin > trace_options`',
  },
  {
    pattern:
      /Performance counter stats for|^# +time +counts|seconds time elapsed|^ *[\d.,]+[,;]+(?:[^,;]*[,;])?kvm:kvm_\w+/m,
    advice: `counts of perf stat, without reasons; ${RECORD}`,
  },
  {
    pattern: /Analyze events for|VM-EXIT\s+Samples|(?:Event name|(?:IO Port|MMIO) Access)\s+Samples|Total Samples:\d/,
    advice:
      'a table of perf kvm stat; give the events that it was made from: `perf script -i perf.data.guest > events.txt`',
  },
  {
    pattern: /^# (?:Samples: .* of events?|Overhead\b|Event count \(approx|Total Lost Samples)|Trace output *$/m,
    advice: 'a table of perf report; give the events that it was made from: `perf script > events.txt`',
  },
  {
    pattern: /^ *\d+\.\d+ .* \w+:\w+\(.*\) *$/m,
    advice: 'printed by perf trace, which leaves out fields that are 0; record with perf record and give `perf script`',
  },
  {
    pattern: /kvm statistics - |^ *Event +Total +%Total|^ *(?:kvm_\w+(?:\(\w+\))? +)+kvm_\w+(?:\(\w+\))? *$/m,
    advice: `a table of kvm_stat; ${RECORD}`,
  },
  { pattern: /KVM_EXIT_REASON\s+STAT|Display kvm exit reasons/, advice: `a table of bcc's kvmexit; ${RECORD}` },
  { pattern: /^Attach(?:ing|ed) \d+ probe|^@\w*\[.*\]: \d+ *$/m, advice: `printed by bpftrace; ${RECORD}` },
  {
    pattern: /\(\+\?\.\?+\)|\{ cpu_id = \d+ \}/,
    advice: `printed by babeltrace from a trace of LTTng; ${RECORD}`,
  },
  { pattern: /reason: count sum\(us\)|^(?:WARNING|ERROR): .*stap\b/m, advice: `printed by SystemTap; ${RECORD}` },
  {
    pattern: /^# event histogram|^# trigger info: hist:/m,
    advice: `a histogram of the kernel (hist trigger), which has sums of all VMs; ${RECORD}`,
  },
  { pattern: /ioctl\(\d+, KVM_\w+/, advice: `printed by strace; ${RECORD}` },
  {
    pattern: /^# tracer: (?!nop\b)\w+/m,
    advice: 'text of a function tracer, without events of KVM; `echo nop > current_tracer`, and enable events/kvm',
  },
  {
    pattern: /^(?:entries|overrun|commit overrun): \d+$/m,
    advice: `statistics of a ring buffer, without events; ${RECORD}`,
  },
  {
    pattern: /^ *(?:vcpu \d+ )?reason \S.* rip 0x/m,
    advice: 'the text of events without their names; keep `event` in the columns of perf script -F',
  },
  {
    pattern: /^[ >|]*\d+ kvm_\w+: /m,
    advice: `counts of equal lines, as \`uniq -c\` prints them; give the trace itself, or ${RECORD}`,
  },
  {
    pattern: /starting up libvirt version/,
    advice: "libvirt's log of a VM, without trace events; start QEMU with -trace kvm_run_exit",
  },
  {
    pattern: /^ *kvm_(?:exit|entry|userspace_exit|pio|mmio|msr|cpuid)\b[ \t:=]+\d+ *$/m,
    advice: `counts of events, without reasons; ${RECORD}`,
  },
  {
    pattern: /^PERF_RECORD_SAMPLE\(|: PERF_RECORD_\w+\(|"linux-perf-json-version"/m,
    advice: 'a dump of a perf.data; give perf.data itself, or the text that `perf script` prints',
  },
  {
    pattern: /VMEXIT +\[ exitcode|^\]? *\d+\.\d+ [-x|]+ d\d+v\d+ /m,
    advice: 'a trace of Xen; only KVM has the events that are counted here',
  },
  { pattern: /^# (?:HELP|TYPE) \w+ |^kvm_\w+_total(?:\{.*\})? \d/m, advice: 'metrics, not a recording' },
  { pattern: /VM exits went on to QEMU/, advice: 'the output of report, not a recording' },
];
