import type { Rows, TextColumn } from '../../snapshot/tables/row-table.js';
import { type RowOf, TABLES, type TableName } from '../../snapshot/tables.js';

/** Tables that say nothing about a recording. */
type LiveOnly =
  | 'advice'
  | 'vmStarts'
  | 'statTotals'
  | 'statSeconds'
  | 'statCurrent'
  | 'statDurations'
  | 'audits'
  | 'samplingErrors'
  | 'focusedVms';

export type ReportTable = Exclude<TableName, LiveOnly>;

/** The columns of a row that hold no text. */
type Figure<Name extends ReportTable> = Exclude<keyof RowOf<Name> & string, 'vm' | TextColumn<RowOf<Name>>>;

/** Tables that have other figures than `count`. */
type WithFigures = { [Name in ReportTable]: Figure<Name> extends 'count' ? never : Name }[ReportTable];

/**
 * The figures of each table, except where `count` is the only one, in the order that they have in JSON and CSV; false
 * for a figure that neither has. The compiler asks for each. Labels need no entry: all of them are in JSON and CSV.
 */
const FIGURES = {
  apicvInhibits: { count: true, isOn: true },
  vcpuTimes: {
    guestSeconds: true,
    kvmSeconds: true,
    qemuSeconds: true,
    readySeconds: true,
    idleSeconds: true,
    unknownSeconds: true,
  },
  durations: {
    count: true,
    sumSeconds: true,
    minSeconds: true,
    maxSeconds: true,
    p50Seconds: true,
    p99Seconds: true,
    buckets: true,
    halfOctaves: false,
  },
  io: { count: true, qemuSeconds: false },
  vms: { vcpus: true, startSeconds: true, series: false },
} as const satisfies { readonly [Name in WithFigures]: { readonly [Column in Figure<Name>]-?: boolean } };

const COUNT_ONLY = { count: true };

/** `startSeconds` -> `start_seconds`, which is also the name of a label in Prometheus. */
type NameOf<Column extends string> = Column extends `${infer First}${infer Rest}`
  ? `${First extends Lowercase<First> ? First : `_${Lowercase<First>}`}${NameOf<Rest>}`
  : '';

type Hidden<Name> = Name extends keyof typeof FIGURES
  ? {
      [Column in keyof (typeof FIGURES)[Name]]: (typeof FIGURES)[Name][Column] extends false ? Column : never;
    }[keyof (typeof FIGURES)[Name]]
  : never;

/** A row as JSON has it; null for a figure that is not known. docs/report.schema.json describes all of them. */
export type JsonRow<Name extends ReportTable> = {
  readonly [Column in Exclude<keyof RowOf<Name> & string, Hidden<Name>> as NameOf<Column>]-?: OrNull<
    RowOf<Name>[Column]
  >;
};

type OrNull<Value> = Exclude<Value, undefined> | (undefined extends Value ? null : never);

/** The columns of a table, and their names. */
export function columnsOf<Name extends ReportTable>(name: Name): readonly (readonly [keyof RowOf<Name>, string])[] {
  const figures = Object.entries(name in FIGURES ? FIGURES[name as keyof typeof FIGURES] : COUNT_ONLY);
  const columns = [...TABLES[name].columns, ...figures.flatMap(([column, isShown]) => (isShown ? [column] : []))];
  return columns.map((column) => [column as keyof RowOf<Name>, nameOf(column)]);
}

export function jsonRows<Name extends ReportTable>(
  name: Name,
  rows: Pick<Rows<RowOf<Name>>, 'map'>,
): readonly JsonRow<Name>[] {
  const columns = columnsOf(name);
  return rows.map((row) => {
    const values = columns.map(([column, key]) => [key, Number.isNaN(row[column]) ? null : (row[column] ?? null)]);
    // TypeScript cannot follow the names of columns through Object.fromEntries().
    return Object.fromEntries(values) as unknown as JsonRow<Name>;
  });
}

function nameOf(column: string): string {
  return column.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
