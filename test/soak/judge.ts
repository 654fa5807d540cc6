/**
 * Judges whether the measurements of a soak are flat: compares its last third with the second; the first third is the
 * warm-up.
 */
import { median } from '../support/median.js';
import type { Collected } from './forced-collection.js';
import type { Row } from './observe.js';

export interface Verdict {
  readonly criterion: string;
  readonly holds: boolean;
  readonly figures: string;
}

interface Rule {
  readonly criterion: string;
  readonly read: (row: Row) => number;
  /** Combines the values of the rows of a third. */
  readonly combine: (values: readonly number[]) => number;
  /** Allowed change, as a share of the value in the second third. */
  readonly allowedShare: number;
  /** Allowed change, if the share is less than this. */
  readonly allowedAtLeast: number;
  /** Only growth counts; a lower value always holds. */
  readonly onlyGrowth?: boolean;
  readonly format: (value: number) => string;
}

const MB = 1e6;
const inMegabytes = (bytes: number) => `${(bytes / MB).toFixed(1)} MB`;
const minimum = (values: readonly number[]) => Math.min(...values);

/**
 * Length of a soak from which on the limits are strict. In its first minutes V8 compiles code and lets the heap grow.
 */
const STRICT_FROM_SECONDS = 600;
/** V8's young generation: three semi-spaces of 16 MiB, which V8 releases and allocates again at any time. */
const YOUNG_GENERATION_BYTES = 48 << 20;

/** Allowed growth of memory. */
function memoryShareFor(seconds: number): number {
  return seconds >= STRICT_FROM_SECONDS ? 0.05 : 0.25;
}

function rulesFor(seconds: number): readonly Rule[] {
  const isStrict = seconds >= STRICT_FROM_SECONDS;
  const memoryShare = memoryShareFor(seconds);
  const residentMemory = (criterion: string, read: Rule['read']): Rule => ({
    criterion,
    read,
    combine: median,
    allowedShare: memoryShare,
    allowedAtLeast: isStrict ? 4 * MB : YOUNG_GENERATION_BYTES,
    onlyGrowth: true,
    format: inMegabytes,
  });
  return [
    residentMemory('resident memory', ({ residentBytes }) => residentBytes),
    residentMemory('resident memory of the agent that samples', (row) => row.samplingResidentBytes),
    residentMemory('resident memory of `top`', ({ topResidentBytes }) => topResidentBytes),
    {
      criterion: 'heap after a full garbage collection',
      read: ({ heapBytes }) => heapBytes,
      combine: minimum,
      allowedShare: memoryShare,
      allowedAtLeast: MB,
      onlyGrowth: true,
      format: inMegabytes,
    },
    {
      criterion: 'open file descriptors',
      read: ({ fileDescriptors }) => fileDescriptors,
      combine: median,
      allowedShare: 0,
      // A running VM has an open log and, for a moment, a QMP connection.
      allowedAtLeast: 4,
      format: String,
    },
    {
      criterion: 'series',
      read: ({ series }) => series,
      combine: median,
      allowedShare: 0.1,
      allowedAtLeast: 100,
      format: String,
    },
  ];
}

export function judge(rows: readonly Row[]): Verdict[] {
  const third = Math.floor(rows.length / 3);
  if (third === 0) throw new Error(`too few rows to compare thirds of them: ${rows.length}`);
  const [before, after] = [rows.slice(-2 * third, -third), rows.slice(-third)];
  return rulesFor(rows.at(-1)?.seconds ?? 0).map((rule) => {
    const { criterion, read, combine, allowedShare, allowedAtLeast, onlyGrowth = false, format } = rule;
    const [was, is] = [combine(before.map(read)), combine(after.map(read))];
    const allowed = Math.max(was * allowedShare, allowedAtLeast);
    const change = onlyGrowth ? is - was : Math.abs(is - was);
    const tolerance = onlyGrowth ? `at most ${format(allowed)} more` : `± ${format(allowed)}`;
    // NaN, which means that there was nothing to measure, does not hold.
    return { criterion, holds: change <= allowed, figures: `${format(was)}, then ${format(is)} (${tolerance})` };
  });
}

/** Compares the heap after the first third with that at the end, without the code that V8 has compiled meanwhile. */
export function judgeCollected(collected: readonly Collected[], seconds: number): Verdict {
  const [first, last] = [collected[0], collected.at(-1)];
  const [was, is] = [dataBytes(first), dataBytes(last)];
  const allowed = Math.max(was * memoryShareFor(seconds), MB);
  const compiled = [first, last].map((each) => inMegabytes(each?.compiledBytes ?? Number.NaN)).join(', then ');
  return {
    criterion: 'heap without compiled code, after full garbage collections',
    holds: is - was <= allowed,
    figures: `${inMegabytes(was)}, then ${inMegabytes(is)} (at most ${inMegabytes(allowed)} more); compiled code ${compiled}`,
  };
}

function dataBytes(collected: Collected | undefined): number {
  return collected === undefined ? Number.NaN : collected.heapBytes - collected.compiledBytes;
}
