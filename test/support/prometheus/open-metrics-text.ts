/**
 * A strict parser of OpenMetrics, written from the specification (1.0.0) and not from any library:
 *
 *   # TYPE name type, # UNIT name unit, # HELP name text     in any order, before the samples of the family, once each;
 *                                                            \\, \n and \" are the only escapes in text
 *   name{label="value"} number                               one space; no blank line; no other comment
 *   # EOF                                                    the last line
 *
 * A sample of a counter is named after its family, with _total; those of a histogram end in _bucket, _sum and _count.
 * The lines of a family stand together.
 */
export interface OpenMetricsFamily {
  readonly name: string;
  type?: string;
  unit?: string;
  help?: string;
  readonly samples: { readonly name: string; readonly labels: ReadonlyMap<string, string>; readonly value: number }[];
}

const SUFFIXES: Record<string, readonly string[]> = {
  counter: ['_total', '_created'],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count', '_created'],
  unknown: [''],
};
const SAMPLE =
  /^([a-zA-Z_:][\w:]*)(?:\{((?:[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\n"])*"(?:,(?=[a-z_A-Z])|(?=\})))+)\})? (\S+)$/;
const NUMBER = /^(?:[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|NaN|[+-]Inf)$/;

/** @throws if the text breaks a rule of the specification */
export function parseOpenMetrics(text: string): Map<string, OpenMetricsFamily> {
  const families = new Map<string, OpenMetricsFamily>();
  const series = new Set<string>();
  let current: OpenMetricsFamily | undefined;
  if (!text.endsWith('\n# EOF\n')) throw new Error('the text does not end with # EOF');
  for (const line of text.slice(0, -'# EOF\n'.length - 1).split('\n')) {
    const [, kind, name = '', rest = ''] = /^# (TYPE|UNIT|HELP) ([a-zA-Z_:][\w:]*) (.*)$/.exec(line) ?? [];
    if (kind !== undefined) {
      if (current?.name !== name) {
        if (families.has(name)) throw new Error(`the lines of ${name} do not stand together`);
        current = { name, samples: [] };
        families.set(name, current);
      }
      describe(current, kind, rest);
      continue;
    }
    const [, sample = '', inner = '', word = ''] = SAMPLE.exec(line) ?? [];
    if (sample === '' || !NUMBER.test(word)) throw new Error(`not a sample: ${line}`);
    const labels = new Map(
      [...inner.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key = '', value = '']) => [key, unescaped(value)]),
    );
    if (current === undefined || !belongs(current, sample))
      throw new Error(`${sample} does not belong to the family before it`);
    const key = JSON.stringify([sample, [...labels].sort()]);
    if (series.has(key)) throw new Error(`the series occurs twice: ${line}`);
    series.add(key);
    const value = word.endsWith('Inf') ? Number(`${word.slice(0, -3)}Infinity`) : Number(word);
    check(current, sample, labels, value);
    current.samples.push({ name: sample, labels, value });
  }
  return families;
}

function describe(family: OpenMetricsFamily, kind: string, rest: string): void {
  const key = kind.toLowerCase() as 'type' | 'unit' | 'help';
  if (family[key] !== undefined || family.samples.length > 0)
    throw new Error(`${kind} of ${family.name} occurs twice or after its samples`);
  if (kind === 'UNIT' && !family.name.endsWith(`_${rest}`))
    throw new Error(`${family.name} does not end in its unit ${rest}`);
  if (kind === 'TYPE' && SUFFIXES[rest] === undefined) throw new Error(`unknown type ${rest} of ${family.name}`);
  if (kind === 'HELP' && /(?:^|[^\\])(?:\\\\)*"/.test(rest))
    throw new Error(`a quote that is not escaped in HELP: ${rest}`);
  family[key] = kind === 'HELP' ? unescaped(rest) : rest;
}

function belongs({ name, type = 'unknown' }: OpenMetricsFamily, sample: string): boolean {
  return (SUFFIXES[type] ?? []).some((suffix) => name + suffix === sample);
}

function check(
  { name, type }: OpenMetricsFamily,
  sample: string,
  labels: ReadonlyMap<string, string>,
  value: number,
): void {
  if (type === 'counter' && !(value >= 0)) throw new Error(`${name}: a counter with the value ${value}`);
  if (sample !== `${name}_bucket`) return;
  const le = labels.get('le') ?? '';
  // The specification wants a float, written as Go writes it.
  if (!/^(?:\+Inf|\d+\.\d+(?:e[+-]\d\d+)?|\d(?:\.\d+)?e[+-]\d\d+)$/.test(le)) throw new Error(`${name}: le="${le}"`);
}

function unescaped(text: string): string {
  return text.replace(/\\(.)/gs, (_, char: string) => (char === 'n' ? '\n' : char));
}
