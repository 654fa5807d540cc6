/** Whether a soak's figures are flat: its last third against the second. The first is for warming up. */
import { median, type Row } from './observe.js';

export interface Verdict {
  readonly what: string;
  readonly holds: boolean;
  readonly figures: string;
}

interface Rule {
  readonly what: string;
  readonly of: (row: Row) => number;
  /** Of a third's rows. */
  readonly sum: (values: readonly number[]) => number;
  /** How much more, or less, than in the second third is still flat: that share, or so much, whichever is more. */
  readonly share: number;
  readonly atLeast: number;
  /** Less is fine. */
  readonly onlyGrowth?: boolean;
  readonly show: (value: number) => string;
}

const MB = 1e6;
const inMegabytes = (bytes: number) => `${(bytes / MB).toFixed(1)} MB`;
const least = (values: readonly number[]) => Math.min(...values);

/** V8 compiles and lets a heap grow in its first minutes. */
const SETTLED_SECONDS = 600;
/** Three semi-spaces of 16 MiB, which V8 lets go and takes back at its pleasure. */
const YOUNG_GENERATION = 48 << 20;

function rulesFor(seconds: number): readonly Rule[] {
  const settled = seconds >= SETTLED_SECONDS;
  const memory = settled ? 0.05 : 0.25;
  return [
    {
      what: 'resident memory',
      of: ({ residentBytes }) => residentBytes,
      sum: median,
      share: memory,
      atLeast: settled ? 4 * MB : YOUNG_GENERATION,
      onlyGrowth: true,
      show: inMegabytes,
    },
    {
      what: 'heap after a full collection',
      of: ({ heapBytes }) => heapBytes,
      sum: least,
      share: memory,
      atLeast: MB,
      onlyGrowth: true,
      show: inMegabytes,
    },
    // A VM that is running now has a log and, for a moment, a QMP connection.
    { what: 'open handles', of: ({ handles }) => handles, sum: median, share: 0, atLeast: 4, show: String },
    { what: 'series', of: ({ series }) => series, sum: median, share: 0.1, atLeast: 100, show: String },
  ];
}

export function judge(rows: readonly Row[]): Verdict[] {
  const third = Math.floor(rows.length / 3);
  if (third === 0) throw new Error(`${rows.length} rows: too few to compare thirds of them`);
  const [before, after] = [rows.slice(-2 * third, -third), rows.slice(-third)];
  return rulesFor(rows.at(-1)?.seconds ?? 0).map(({ what, of, sum, share, atLeast, onlyGrowth = false, show }) => {
    const [was, is] = [sum(before.map(of)), sum(after.map(of))];
    const allowed = Math.max(was * share, atLeast);
    const change = onlyGrowth ? is - was : Math.abs(is - was);
    const tolerance = `${onlyGrowth ? 'at most ' : '± '}${show(allowed)}${onlyGrowth ? ' more' : ''}`;
    // NaN does not hold.
    return { what, holds: change <= allowed, figures: `${show(was)}, then ${show(is)} (${tolerance})` };
  });
}
