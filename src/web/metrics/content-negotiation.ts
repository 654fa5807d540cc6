/**
 * Chooses format and compression by the request's headers (RFC 9110, section 12.5), as far as two text formats and gzip
 * need it:
 *
 *   Accept: application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,
 *           text/plain;version=0.0.4;q=0.5,*\/*;q=0.1
 */
import { OPENMETRICS, PROMETHEUS_TEXT, type TextFormat } from '../../expose/text-format.js';

interface MediaRange {
  readonly name: string;
  readonly parameters: ReadonlyMap<string, string>;
  /** Weight from 0 (not accepted) to 1. */
  readonly q: number;
}

/**
 * OpenMetrics if the client prefers it to text, else text. Text also if the client accepts neither: that is better than
 * an error.
 */
export function negotiateFormat(accept: string | undefined): TextFormat {
  const ranges = parseRanges(accept ?? '');
  const openMetrics = weightOf(ranges, 'application/openmetrics-text', '1.0.0');
  return openMetrics > weightOf(ranges, 'text/plain', '0.0.4') ? OPENMETRICS : PROMETHEUS_TEXT;
}

export function acceptsGzip(acceptEncoding: string | undefined): boolean {
  const ranges = parseRanges(acceptEncoding ?? '');
  const weight = (name: string) => ranges.find((range) => range.name === name)?.q;
  const gzip = weight('gzip') ?? weight('x-gzip') ?? weight('*') ?? 0;
  return gzip > 0 && gzip >= (weight('identity') ?? 0);
}

/** The weight of the most specific range that matches the media type. */
function weightOf(ranges: readonly MediaRange[], type: string, version: string): number {
  const matching = ranges.flatMap(({ name, parameters, q }) => {
    const wanted = parameters.get('version');
    if (wanted !== undefined && wanted !== version) return [];
    if (name === type) return [{ q, specificity: wanted === undefined ? 2 : 3 }];
    if (name === `${type.split('/')[0]}/*`) return [{ q, specificity: 1 }];
    return name === '*/*' ? [{ q, specificity: 0 }] : [];
  });
  return matching.sort((a, b) => b.specificity - a.specificity || b.q - a.q)[0]?.q ?? 0;
}

function parseRanges(header: string): MediaRange[] {
  return header.split(',').flatMap((item) => {
    const [name = '', ...rest] = item.split(';').map((part) => part.trim().toLowerCase());
    if (name === '') return [];
    const parameters = new Map(rest.map((part): [string, string] => parseParameter(part)));
    const q = parameters.get('q') ?? '1';
    // A range with an invalid weight counts as not accepted.
    return [{ name, parameters, q: /^(?:0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$/.test(q) ? Number(q) : 0 }];
  });
}

function parseParameter(part: string): [string, string] {
  const [key = '', ...value] = part.split('=');
  return [
    key.trim(),
    value
      .join('=')
      .trim()
      .replace(/^"(.*)"$/, '$1'),
  ];
}
