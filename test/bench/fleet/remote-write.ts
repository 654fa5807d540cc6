/**
 * Prometheus' remote write, version 1: a protobuf message, in snappy's block format without compression.
 *
 *   WriteRequest { repeated TimeSeries timeseries = 1 }
 *   TimeSeries { repeated Label labels = 1; repeated Sample samples = 2 }
 *   Label { string name = 1; string value = 2 }
 *   Sample { double value = 1; int64 timestamp = 2 }
 */
import type { Labels } from './host-tables.js';

/** A request holds about so many bytes. */
const REQUEST_BYTES = 2_000_000;
/** Requests under way at the same time. */
const CONCURRENCY = 4;
/** Tag, length, tag, double, tag, and a time of 6 bytes. */
const SAMPLE_BYTES = 18;
const TIME_BYTES = 6;

export interface WrittenSeries {
  /** The labels as {@link encodedLabels} writes them. */
  readonly labels: Buffer;
  valueAt(seconds: number): number;
}

/** The labels of a series, in the order of their names. */
export function encodedLabels(name: string, labels: Labels): Buffer {
  const all = Object.entries({ ...labels, __name__: name }).filter(([, value]) => value !== '');
  const sorted = all.sort(([a], [b]) => (a < b ? -1 : 1));
  return Buffer.concat(
    sorted.map((label) => field(1, Buffer.concat(label.map((text, index) => field(index + 1, text))))),
  );
}

function field(number: number, content: Buffer | string): Buffer {
  const bytes = Buffer.from(content as string);
  return Buffer.concat([Buffer.from([(number << 3) | 2]), varint(bytes.length), bytes]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) | 0x80);
  return Buffer.from([...bytes, rest]);
}

/** Writes a sample of each series at each of these times, in seconds after 1970. Returns the number of samples. */
export async function remoteWrite(
  url: string,
  series: Iterable<WrittenSeries>,
  times: readonly number[],
): Promise<number> {
  const encodedTimes = times.map((seconds) => varint(seconds * 1000));
  const underWay = new Set<Promise<void>>();
  let pieces: Buffer[] = [];
  let bytes = 0;
  let samples = 0;
  const send = async () => {
    if (underWay.size >= CONCURRENCY) await Promise.race(underWay);
    const request = post(`${url}/api/v1/write`, snappy(Buffer.concat(pieces))).finally(() => underWay.delete(request));
    underWay.add(request);
    pieces = [];
    bytes = 0;
  };
  for (const one of series) {
    const piece = timeSeries(one, times, encodedTimes);
    pieces.push(piece);
    bytes += piece.length;
    samples += times.length;
    if (bytes >= REQUEST_BYTES) await send();
  }
  if (bytes > 0) await send();
  await Promise.all(underWay);
  return samples;
}

function timeSeries({ labels, valueAt }: WrittenSeries, times: readonly number[], encodedTimes: readonly Buffer[]) {
  const samples = Buffer.allocUnsafe(times.length * SAMPLE_BYTES);
  let at = 0;
  for (let index = 0; index < times.length; index++) {
    samples[at] = (2 << 3) | 2;
    samples[at + 1] = SAMPLE_BYTES - 2;
    samples[at + 2] = (1 << 3) | 1;
    samples.writeDoubleLE(valueAt(times[index] ?? 0), at + 3);
    samples[at + 11] = 2 << 3;
    const time = encodedTimes[index];
    if (time?.length !== TIME_BYTES) throw new Error('a time outside of this century');
    samples.set(time, at + 12);
    at += SAMPLE_BYTES;
  }
  return Buffer.concat([Buffer.from([(1 << 3) | 2]), varint(labels.length + samples.length), labels, samples]);
}

/** One literal, with a length of three bytes. */
function snappy(message: Buffer): Buffer {
  const last = message.length - 1;
  const tag = Buffer.from([62 << 2, last & 0xff, (last >> 8) & 0xff, last >> 16]);
  return Buffer.concat([varint(message.length), tag, message]);
}

async function post(url: string, body: Buffer): Promise<void> {
  const response = await fetch(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/x-protobuf',
      'content-encoding': 'snappy',
      'x-prometheus-remote-write-version': '0.1.0',
    },
    body: new Uint8Array(body),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`remote write: status ${response.status}: ${text.slice(0, 500)}`);
}
