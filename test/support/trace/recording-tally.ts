/** Counts what `report` decodes of a file, by the names in it. */
import { FormatSearch } from '../../../src/source/recording/formats/recognise.js';
import type { RecordingFormat } from '../../../src/source/recording/formats/recording-format.js';
import { Names } from '../../../src/trace/names.js';
import { NoOpSink, type Vocabulary } from '../../../src/trace/sink.js';

export type Counts = Record<string, number>;

/** Counts what the public traces' answers say, by the names in the recording. */
export class Tally extends NoOpSink {
  readonly kvm: Counts = {};
  readonly qemu: Counts = {};
  readonly qemuEvents: Counts = {};
  readonly threads = new Set<string>();
  malformedLines = 0;

  constructor(private readonly vocabulary: Vocabulary) {
    super();
  }

  override thread(tid: number, _tgid: number, comm: string): void {
    this.threads.add(`${comm}-${tid}`);
  }

  override vmExit(_time: number, _cpu: number, _tid: number, _vcpu: number, reason: number): void {
    this.#add(this.kvm, this.vocabulary.reasons.text(reason));
  }

  override userspaceExit(_time: number, _cpu: number, _tid: number, reason: number): void {
    this.#add(this.qemu, this.vocabulary.reasons.text(reason));
  }

  override qemuRunExit(_time: number, _id: number, _cpu: number, reason: number): void {
    this.#add(this.qemu, this.vocabulary.reasons.text(reason));
  }

  override qemuEvent(_time: number, _id: number, event: number): void {
    this.#add(this.qemuEvents, this.vocabulary.qemuEvents.text(event));
  }

  override malformed(): void {
    this.malformedLines++;
  }

  #add(counts: Counts, name: string): void {
    counts[name] = (counts[name] ?? 0) + 1;
  }
}

/** What `report` decodes of a file with this content, which comes in chunks of 64 KiB. */
export function tallyOf(content: Buffer): Tally {
  const vocabulary = { reasons: new Names(), tracepoints: new Names(), qemuEvents: new Names() };
  const search = new FormatSearch('made-up.txt');
  const chunks = Array.from({ length: Math.ceil(content.length / 65536) }, (_, index) =>
    content.subarray(index * 65536, (index + 1) * 65536),
  );
  let format: ReturnType<FormatSearch['end']> | undefined;
  for (const chunk of chunks) format ??= search.push(chunk);
  format ??= search.end();
  const tally = new Tally(vocabulary);
  const sinks = { kernel: () => tally, qemu: () => tally };
  const reader = (format as RecordingFormat).createReader('made-up.txt', sinks, { vocabulary, tracefs: undefined });
  for (const chunk of chunks) reader.push(chunk);
  reader.end('whole');
  return tally;
}
