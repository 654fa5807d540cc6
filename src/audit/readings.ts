/**
 * KVM's statistics as a recording holds them: a line of JSON for each VM and moment. `vm` is the name of the VM's
 * folder in debugfs: the thread that created the VM, and its file descriptor.
 *
 *   {"statistics":"start","vm":"178-15","values":{"exits":4171,"io_exits":3359, ...}}
 */

/**
 * The moments: before and after tracing was started, before and after it was stopped. Reading the statistics of all VMs
 * takes time, so KVM counted something between the two moments of each pair.
 */
const MOMENTS = ['start', 'started', 'stopping', 'end'] as const;

export type Moment = (typeof MOMENTS)[number];

export interface Reading {
  readonly when: Moment;
  /** Name of the VM's folder. */
  readonly folder: string;
  readonly values: ReadonlyMap<string, number>;
}

const MAX_READINGS = 1 << 16;
const MAX_VALUES = 1024;
const FOLDER = /^\d{1,10}-\d{1,10}$/;

/** Reads the lines of `notes` that hold statistics. */
export function parseReadings(notes: string): Reading[] {
  const readings: Reading[] = [];
  for (const line of notes.split('\n')) {
    if (readings.length === MAX_READINGS) break;
    const reading = line.startsWith('{"statistics"') ? parseLine(line) : undefined;
    if (reading !== undefined) readings.push(reading);
  }
  return readings;
}

/** The thread that created the VM. */
export function creatorOf({ folder }: Reading): number {
  return Number.parseInt(folder, 10);
}

function parseLine(line: string): Reading | undefined {
  let parsed: unknown;
  try {
    parsed = JSON.parse(line);
  } catch {
    return undefined;
  }
  const { statistics, vm, values } = parsed as Readonly<Record<string, unknown>>;
  const when = MOMENTS.find((moment) => moment === statistics);
  if (when === undefined || typeof vm !== 'string' || !FOLDER.test(vm)) return undefined;
  if (typeof values !== 'object' || values === null) return undefined;
  const numbers = Object.entries(values).filter((entry): entry is [string, number] => isCount(entry[1]));
  return { when, folder: vm, values: new Map(numbers.slice(0, MAX_VALUES)) };
}

function isCount(value: unknown): boolean {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}
