import { BUCKET_SECONDS, type DurationSummary } from '../../count/counters/duration-histogram.js';
import type { LedgerTotals } from '../../count/ledger-totals.js';
import { OTHER } from '../../trace/names.js';

/** Figures of one VM. Text columns are labels, all other columns are figures. */
export interface VmRow {
  /** Label of the VM, '' for threads of no known VM. */
  readonly vm: string;
}

/** The parts of an array that callers may use. A table with very many rows makes each row when it is read. */
export interface Rows<Row> extends Iterable<Row> {
  readonly length: number;
  map<T>(toValue: (row: Row) => T): readonly T[];
  filter(keep: (row: Row) => boolean): readonly Row[];
  /** The same rows, if they are kept as columns. */
  readonly inColumns?: RowsInColumns<Row>;
}

/**
 * Rows that are kept as columns, and that make one series each. What is asked here needs no object for each row, or not
 * for all of them: a hundred thousand objects take 10 ms.
 */
export interface RowsInColumns<Row> {
  /** Label of the VM -> number of its rows. */
  sizes(): ReadonlyMap<string, number>;
  /** The rows of some VMs. */
  ofVms(isChosen: (vm: string) => boolean): Iterable<Row>;
  /** Some rows of each VM, among them one of all that are summed into the same `other` row. */
  ofEachOther(): Iterable<Row>;
  /** All rows of some VMs; of the other VMs, the rows that are to be kept. */
  keep(isWhole: (vm: string) => boolean, isKept: (row: Row) => boolean): Rows<Row>;
  followedBy(rows: readonly Row[]): Rows<Row>;
  /** The same rows with each label replaced. */
  relabelled(replace: (label: string) => string): Rows<Row>;
}

/** The columns of a row that hold text, `vm` excepted. */
export type TextColumn<Row> = Exclude<
  { [Column in keyof Row & string]-?: NonNullable<Row[Column]> extends string ? Column : never }[keyof Row & string],
  'vm'
>;

export interface Label {
  /** Name in Prometheus. */
  readonly name: string;
  /** Value in a row that sums other rows; undefined if such a row keeps the value of the rows that it sums. */
  readonly inOther: string | undefined;
}

/** A label that an `other` row keeps: there is one `other` row for each of its values. */
export function kept(name: string): Label & { readonly inOther: undefined } {
  return { name, inOther: undefined };
}

/** A label that is `other` in an `other` row. */
export function merged(name: string): Label {
  return { name, inOther: OTHER };
}

/** A label that is empty in an `other` row. */
export function cleared(name: string): Label {
  return { name, inOther: '' };
}

/**
 * The label that a column of this type may have. A column with a closed set of values has no value `other`, so its
 * label can only be kept. A text column may not be optional: a value that is not known is ''.
 */
type LabelFor<Value> = undefined extends Value ? never : string extends Value ? Label : ReturnType<typeof kept>;

export interface MetricDescription {
  readonly name: string;
  readonly help: string;
  /** Name and unit over OTLP. A collector that converts them to Prometheus yields `name` again. */
  readonly otel: { readonly name: string; readonly unit: string };
}

/** A point of a histogram: cumulative counts up to each of the metric's bounds. */
export type HistogramValue = Pick<DurationSummary, 'count' | 'sumSeconds' | 'buckets'> &
  // Finer counts, where there are some
  Partial<Pick<DurationSummary, 'halfOctaves'>>;

/**
 * A metric with one series for each row, or, with `split`, one for each row and value of a label that is not a column.
 */
export type RowMetric<Row> = MetricDescription & {
  /** The columns whose labels the metric has after `vm`; default: all. */
  readonly columns?: readonly TextColumn<Row>[];
} & (
    | { readonly type: 'counter' | 'gauge'; readonly value: (row: Row) => number }
    | { readonly type: 'counter' | 'gauge'; readonly split: SplitLabel<Row> }
    | {
        readonly type: 'histogram';
        /** Upper edges of the buckets; default: {@link BUCKET_SECONDS}. */
        readonly bounds?: readonly number[];
        readonly value: (row: Row) => HistogramValue;
      }
  );

export interface SplitLabel<Row> {
  readonly label: string;
  /** Value of the label -> value of the series; undefined if the row has no such series. */
  readonly values: Readonly<Record<string, (row: Row) => number | undefined>>;
}

export interface RowTableOptions<Row extends VmRow, Input> {
  /** Makes the rows from what was counted. */
  readonly rows: (input: Input) => Rows<Row>;
  /**
   * The label of each text column, in the order in which metrics have them. The first label of every metric is `vm`.
   */
  readonly labels: { readonly [Column in TextColumn<Row>]: LabelFor<Row[Column]> };
  /** Returns a row with the labels of `a` and the figures of both. */
  readonly add: (a: Row, b: Row) => Row;
  /** True for the few rows that a VM has however many series it may have. */
  readonly isUnlimited?: (row: Row) => boolean;
  readonly metrics: readonly RowMetric<Row>[];
}

/** `+Inf`, sum and count, beside the buckets. */
const MORE_OF_HISTOGRAM = 3;

/**
 * One kind of row: how its rows are made, which labels they have, how rows add up, and the metrics made from them.
 *
 * The rest is derived. Label values are cleaned, rows compared and `other` rows emptied by the same list of labels, and
 * the compiler asks for a label for every text column, so none can be forgotten.
 */
export class RowTable<Row extends VmRow, Input = LedgerTotals> {
  readonly rows: (input: Input) => Rows<Row>;
  readonly metrics: readonly RowMetric<Row>[];
  readonly add: (a: Row, b: Row) => Row;
  readonly isUnlimited: (row: Row) => boolean;
  /** All text columns, `vm` first: together they identify a row. */
  readonly columns: readonly (keyof Row & string)[];
  /** Series that each row makes, whatever its values. */
  readonly #fixedSeries: number;
  /** The values of split metrics: each makes a series where it is known. */
  readonly #splitValues: readonly ((row: Row) => number | undefined)[];
  /** The columns that keep their text in an `other` row. */
  readonly #keptColumns: readonly TextColumn<Row>[];
  readonly #labels: { readonly [Column in TextColumn<Row>]: Label };
  readonly #labelsOfOther: Partial<Row>;

  constructor({ rows, labels, add, isUnlimited = () => false, metrics }: RowTableOptions<Row, Input>) {
    this.rows = rows;
    this.metrics = metrics;
    this.add = add;
    this.isUnlimited = isUnlimited;
    this.#splitValues = metrics.flatMap((metric) => ('split' in metric ? Object.values(metric.split.values) : []));
    this.#fixedSeries = metrics.reduce((sum, metric) => sum + fixedSeriesOf(metric), 0);
    this.#labels = labels;
    // The keys are those of the type: a text column without a label, or a label without a column, does not compile.
    const columns = Object.keys(labels) as TextColumn<Row>[];
    this.columns = ['vm', ...columns];
    const changed = columns.filter((column) => this.#labels[column].inOther !== undefined);
    this.#keptColumns = columns.filter((column) => !changed.includes(column));
    this.#labelsOfOther = Object.fromEntries(
      changed.map((column) => [column, this.#labels[column].inOther]),
    ) as Partial<Row>;
  }

  /** Identifies a row among the rows of its table. */
  keyOf(row: Row): string {
    let key = '';
    for (const column of this.columns) key += `${row[column]}\0`;
    return key;
  }

  /** The row with the labels of the `other` row that it is summed into. */
  asOther(row: Row, vm: string): Row {
    return { ...row, ...this.#labelsOfOther, vm };
  }

  /** Identifies the `other` row that a row is summed into, among those of one VM. */
  otherKeyOf(row: Row): string {
    let key = '';
    for (const column of this.#keptColumns) key += `${row[column]}\0`;
    return key;
  }

  /** A figure that decreases only when the counters behind the row restart; undefined if the table has no counters. */
  counted(row: Row): number | undefined {
    let sum: number | undefined;
    for (const metric of this.metrics)
      if (metric.type !== 'gauge') for (const value of valuesOf(metric, row)) sum = (sum ?? 0) + value;
    return sum;
  }

  /** Series of /metrics that a row makes. */
  seriesOf(row: Row): number {
    let series = this.#fixedSeries;
    for (const toValue of this.#splitValues) if (toValue(row) !== undefined) series++;
    return series;
  }

  columnsOf({ columns }: RowMetric<Row>): readonly (keyof Row & string)[] {
    return columns === undefined ? this.columns : ['vm', ...columns];
  }

  labelNamesOf(metric: RowMetric<Row>): string[] {
    const columns = metric.columns ?? (this.columns.slice(1) as TextColumn<Row>[]);
    const names = columns.map((column) => this.#labels[column].name);
    return ['vm', ...names, ...('split' in metric ? [metric.split.label] : [])];
  }
}

function fixedSeriesOf<Row>(metric: RowMetric<Row>): number {
  if ('split' in metric) return 0;
  return metric.type === 'histogram' ? boundsOf(metric).length + MORE_OF_HISTOGRAM : 1;
}

/** Upper edges of the buckets of a histogram. */
export function boundsOf({ bounds = BUCKET_SECONDS }: { readonly bounds?: readonly number[] }): readonly number[] {
  return bounds;
}

function valuesOf<Row>(metric: RowMetric<Row>, row: Row): number[] {
  if ('split' in metric) return Object.values(metric.split.values).map((value) => value(row) ?? 0);
  return [metric.type === 'histogram' ? metric.value(row).count : metric.value(row)];
}

/** Adds up rows whose only figure is a count. */
export function addCounts<Row extends { readonly count: number }>(a: Row, b: Row): Row {
  return { ...a, count: a.count + b.count };
}
