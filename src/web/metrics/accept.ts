/**
 * Content negotiation (RFC 9110, section 12.5), as far as two text formats and gzip need it.
 *
 *   Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*\/*;q=0.1
 */
import { OPENMETRICS, PROMETHEUS_TEXT, type TextFormat } from '../../expose/text-format.js';

interface Range {
  readonly name: string;
  readonly parameters: ReadonlyMap<string, string>;
  readonly q: number;
}

/** OpenMetrics where it is wanted more than text; else text, also where neither is wanted: a scrape is better than an error. */
export function formatFor(accept: string | undefined): TextFormat {
  const ranges = rangesOf(accept ?? '');
  const openMetrics = quality(ranges, 'application/openmetrics-text', '1.0.0');
  return openMetrics > quality(ranges, 'text/plain', '0.0.4') ? OPENMETRICS : PROMETHEUS_TEXT;
}

export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  const ranges = rangesOf(acceptEncoding ?? '');
  const of = (name: string) => ranges.find((range) => range.name === name)?.q;
  const gzip = of('gzip') ?? of('x-gzip') ?? of('*') ?? 0;
  return gzip > 0 && gzip >= (of('identity') ?? 0);
}

/** Of the most specific range that fits. */
function quality(ranges: readonly Range[], type: string, version: string): number {
  const fitting = ranges.flatMap(({ name, parameters, q }) => {
    const wanted = parameters.get('version');
    if (wanted !== undefined && wanted !== version) return [];
    if (name === type) return [{ q, weight: wanted === undefined ? 2 : 3 }];
    if (name === `${type.split('/')[0]}/*`) return [{ q, weight: 1 }];
    return name === '*/*' ? [{ q, weight: 0 }] : [];
  });
  return fitting.sort((a, b) => b.weight - a.weight || b.q - a.q)[0]?.q ?? 0;
}

function rangesOf(header: string): Range[] {
  return header.split(',').flatMap((item) => {
    const [name = '', ...rest] = item.split(';').map((part) => part.trim().toLowerCase());
    if (name === '') return [];
    const parameters = new Map(rest.map((part): [string, string] => parameter(part)));
    const q = parameters.get('q') ?? '1';
    // What has no valid weight is not understood, and so not taken.
    return [{ name, parameters, q: /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(q) ? Number(q) : 0 }];
  });
}

function parameter(part: string): [string, string] {
  const [key = '', ...value] = part.split('=');
  return [
    key.trim(),
    value
      .join('=')
      .trim()
      .replace(/^"(.*)"$/, '$1'),
  ];
}
