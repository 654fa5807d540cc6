/**
 * Decodes an OTLP metrics request, by the definitions in opentelemetry-proto 1.5 (collector/metrics/v1, metrics/v1,
 * resource/v1, common/v1) and the protobuf encoding. It shares no code with the exporter that it checks.
 */
export interface OtlpPoint {
  readonly attributes: Record<string, string>;
  readonly startNs: bigint;
  readonly timeNs: bigint;
  /** Value of a gauge or sum; NaN for a histogram. */
  readonly value: number;
  readonly isInt: boolean;
  /** Number of observations of a histogram; 0 for a gauge or sum. The same holds for the next three. */
  readonly count: number;
  readonly sum: number;
  readonly bucketCounts: readonly number[];
  readonly bounds: readonly number[];
  /** Exponential buckets; undefined for all other points. */
  readonly exponential?: { readonly scale: number; readonly offset: number; readonly counts: readonly number[] };
}

export interface OtlpMetric {
  readonly name: string;
  readonly description: string;
  readonly unit: string;
  readonly kind: 'gauge' | 'sum' | 'histogram' | 'exponential';
  /** 1: delta, 2: cumulative, 0: a gauge, which has none. */
  readonly temporality: number;
  readonly monotonic: boolean;
  readonly points: readonly OtlpPoint[];
}

export interface OtlpRequest {
  readonly resource: Record<string, string>;
  readonly schemaUrl: string;
  readonly scope: { readonly name: string; readonly version: string };
  readonly metrics: readonly OtlpMetric[];
}

export function decodeOtlp(bytes: Buffer): OtlpRequest {
  const resourceMetrics = one(fields(bytes), 1);
  const scopeMetrics = one(resourceMetrics, 2);
  const scope = one(scopeMetrics, 1);
  return {
    resource: attributes(one(resourceMetrics, 1), 1),
    // opentelemetry/proto/metrics/v1/metrics.proto: ResourceMetrics.schema_url
    schemaUrl: text(resourceMetrics, 3),
    scope: { name: text(scope, 1), version: text(scope, 2) },
    metrics: all(scopeMetrics, 2).map(metric),
  };
}

const KINDS = [
  [5, 'gauge'],
  [7, 'sum'],
  [9, 'histogram'],
  [10, 'exponential'],
] as const;

function metric(message: Field[]): OtlpMetric {
  const found = KINDS.find(([number]) => message.some((field) => field.number === number));
  if (found === undefined) throw new Error(`metric of an unknown kind: ${text(message, 1)}`);
  const [number, kind] = found;
  const data = one(message, number);
  return {
    name: text(message, 1),
    description: text(message, 2),
    unit: text(message, 3),
    kind,
    temporality: kind === 'gauge' ? 0 : Number(last(data, 2)?.value ?? 0n),
    monotonic: kind === 'sum' && last(data, 3)?.value === 1n,
    points: all(data, 1).map(POINTS[kind]),
  };
}

const POINTS: Record<OtlpMetric['kind'], (message: Field[]) => OtlpPoint> = {
  gauge: numberPoint,
  sum: numberPoint,
  histogram: histogramPoint,
  exponential: exponentialPoint,
};

/** The fields that both kinds of histograms have under the same numbers. */
function distribution(message: Field[]) {
  return {
    startNs: fixed64(last(message, 2)),
    timeNs: fixed64(last(message, 3)),
    value: Number.NaN,
    isInt: false,
    count: Number(fixed64(last(message, 4))),
    sum: double(last(message, 5)),
  };
}

/** ExponentialHistogramDataPoint: the buckets of positive values are in field 8. */
function exponentialPoint(message: Field[]): OtlpPoint {
  const positive = one(message, 8);
  return {
    attributes: attributes(message, 1),
    ...distribution(message),
    bucketCounts: [],
    bounds: [],
    exponential: {
      scale: zigzag(last(message, 6)),
      offset: zigzag(last(positive, 1)),
      counts: varints(positive, 2),
    },
  };
}

/** A field of type sint32. */
function zigzag(field: Field | undefined): number {
  const value = field?.value ?? 0n;
  return Number((value >> 1n) ^ -(value & 1n));
}

/** Elements of a repeated field of varints, packed or not. */
function varints(message: Field[], number: number): number[] {
  return message
    .filter((field) => field.number === number)
    .flatMap(({ value, bytes }) => {
      if (bytes.length === 0) return [Number(value)];
      const found: number[] = [];
      let shift = 0n;
      let current = 0n;
      for (const byte of bytes) {
        current |= BigInt(byte & 0x7f) << shift;
        shift += 7n;
        if (byte >= 0x80) continue;
        found.push(Number(current));
        [current, shift] = [0n, 0n];
      }
      return found;
    });
}

function numberPoint(message: Field[]): OtlpPoint {
  const integer = last(message, 6);
  return {
    ...NO_HISTOGRAM,
    attributes: attributes(message, 7),
    startNs: fixed64(last(message, 2)),
    timeNs: fixed64(last(message, 3)),
    value: integer === undefined ? double(last(message, 4)) : Number(BigInt.asIntN(64, fixed64(integer))),
    isInt: integer !== undefined,
  };
}

const NO_HISTOGRAM = { count: 0, sum: 0, bucketCounts: [], bounds: [] };

function histogramPoint(message: Field[]): OtlpPoint {
  return {
    attributes: attributes(message, 9),
    ...distribution(message),
    bucketCounts: fixed64s(message, 6).map((bytes) => Number(bytes.readBigUInt64LE())),
    bounds: fixed64s(message, 7).map((bytes) => bytes.readDoubleLE()),
  };
}

interface Field {
  readonly number: number;
  /** Value of a field of wire type 0. */
  readonly value: bigint;
  /** Content of a field of any other wire type. */
  readonly bytes: Buffer;
}

const NO_BYTES = Buffer.alloc(0);

function fields(message: Buffer): Field[] {
  const found: Field[] = [];
  let at = 0;
  const varint = (): bigint => {
    let value = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = message.readUInt8(at++);
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  };
  const take = (length: number): Buffer => {
    if (at + length > message.length) throw new Error('field longer than its message');
    at += length;
    return message.subarray(at - length, at);
  };
  while (at < message.length) {
    const tag = Number(varint());
    const number = tag >>> 3;
    switch (tag & 7) {
      case 0:
        found.push({ number, value: varint(), bytes: NO_BYTES });
        break;
      case 1:
        found.push({ number, value: 0n, bytes: take(8) });
        break;
      case 2:
        found.push({ number, value: 0n, bytes: take(Number(varint())) });
        break;
      case 5:
        found.push({ number, value: 0n, bytes: take(4) });
        break;
      default:
        throw new Error(`wire type ${tag & 7} of field ${number}`);
    }
  }
  return found;
}

function all(message: Field[], number: number): Field[][] {
  return message.filter((field) => field.number === number).map(({ bytes }) => fields(bytes));
}

function one(message: Field[], number: number): Field[] {
  const found = all(message, number);
  if (found.length !== 1 || found[0] === undefined)
    throw new Error(`expected field ${number} once, found ${found.length}`);
  return found[0];
}

function last(message: Field[], number: number): Field | undefined {
  return message.findLast((field) => field.number === number);
}

function text(message: Field[], number: number): string {
  // Throws for invalid UTF-8, because a collector refuses a request that contains it.
  return UTF_8.decode(last(message, number)?.bytes ?? NO_BYTES);
}

const UTF_8 = new TextDecoder('utf-8', { fatal: true });

function fixed64(field: Field | undefined): bigint {
  return field === undefined ? 0n : field.bytes.readBigUInt64LE();
}

function double(field: Field | undefined): number {
  return field === undefined ? 0 : field.bytes.readDoubleLE();
}

/** Elements of a repeated field of eight-byte numbers, packed or not. */
function fixed64s(message: Field[], number: number): Buffer[] {
  const bytes = Buffer.concat(message.filter((field) => field.number === number).map((field) => field.bytes));
  return Array.from({ length: bytes.length / 8 }, (_, index) => bytes.subarray(8 * index, 8 * index + 8));
}

function attributes(message: Field[], number: number): Record<string, string> {
  const pairs = all(message, number).map((pair) => {
    const value = one(pair, 2);
    const integer = last(value, 3);
    return [text(pair, 1), integer === undefined ? text(value, 1) : String(BigInt.asIntN(64, integer.value))] as const;
  });
  if (new Set(pairs.map(([key]) => key)).size !== pairs.length) throw new Error('duplicate attribute');
  return Object.fromEntries(pairs);
}
