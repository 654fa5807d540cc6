/**
 * A strict parser of Prometheus' text format 0.0.4, written from the format's description and not from any library:
 *
 *   # HELP name text      \\ and \n are the only escapes in text
 *   # TYPE name type      before the first sample of the family; HELP and TYPE at most once each
 *   name{label="value",label="value"} number [timestamp]      \\, \" and \n are the only escapes in values
 *
 * Every line ends with \n, including the last. The lines of a family stand together. No series occurs twice.
 */
export interface MetricSample {
  readonly name: string;
  readonly labels: ReadonlyMap<string, string>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  help: string | undefined;
  type: string | undefined;
  readonly samples: MetricSample[];
}

const SUFFIXES: Record<string, readonly string[]> = {
  histogram: ['_bucket', '_sum', '_count'],
  summary: ['_sum', '_count', ''],
};

/** @throws if the text breaks a rule of the format */
export function parseMetrics(text: string): Map<string, Family> {
  const families = new Map<string, Family>();
  const series = new Set<string>();
  let current: Family | undefined;
  const open = (name: string): Family => {
    if (current?.name === name) return current;
    if (families.has(name)) throw new Error(`the lines of ${name} do not stand together`);
    current = { name, help: undefined, type: undefined, samples: [] };
    families.set(name, current);
    return current;
  };
  if (!text.endsWith('\n')) throw new Error('the last line does not end with a newline');
  for (const line of text.slice(0, -1).split('\n')) {
    if (line.trim() === '') continue;
    const comment = /^# (HELP|TYPE) ([a-zA-Z_:][a-zA-Z0-9_:]*) (.*)$/s.exec(line);
    if (comment !== null) {
      const [, kind, name = '', rest = ''] = comment;
      const family = open(name);
      if (family.samples.length > 0) throw new Error(`${kind} of ${name} after its samples`);
      if (kind === 'HELP') family.help = once(family.help, unescaped(rest, 'n\\'), line);
      else family.type = once(family.type, rest, line);
    } else if (!line.startsWith('#')) {
      const sample = parseSample(line);
      const family = current !== undefined && belongs(current, sample.name) ? current : open(sample.name);
      const key = JSON.stringify([sample.name, [...sample.labels].sort()]);
      if (series.has(key)) throw new Error(`the series occurs twice: ${line}`);
      series.add(key);
      family.samples.push(sample);
    }
  }
  return families;
}

function belongs(family: Family, name: string): boolean {
  if (family.name === name) return true;
  return (SUFFIXES[family.type ?? ''] ?? []).some((suffix) => family.name + suffix === name);
}

function once(before: string | undefined, now: string, line: string): string {
  if (before !== undefined) throw new Error(`this line occurs twice: ${line}`);
  return now;
}

function parseSample(line: string): MetricSample {
  const name = /^[a-zA-Z_:][a-zA-Z0-9_:]*/.exec(line)?.[0];
  if (name === undefined) throw new Error(`no metric name: ${line}`);
  const labels = new Map<string, string>();
  let at = name.length;
  if (line[at] === '{') at = parseLabels(line, at + 1, labels);
  const match = /^ +(\S+)(?: +-?\d+)?$/.exec(line.slice(at));
  const word = match?.[1];
  if (word === undefined) throw new Error(`no value: ${line}`);
  const value = parseGoFloat(word);
  if (value === undefined) throw new Error(`the value is not a number: ${line}`);
  return { name, labels, value };
}

/** Like Go's ParseFloat, which the format prescribes: NaN and Inf may be written in upper or lower case. */
function parseGoFloat(word: string): number | undefined {
  if (/^nan$/i.test(word)) return Number.NaN;
  if (/^[+-]?inf(?:inity)?$/i.test(word)) return word.startsWith('-') ? -Infinity : Infinity;
  return /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?$/i.test(word) ? Number(word) : undefined;
}

/** Adds the labels that begin at `start` to `labels`. Returns the position after the closing brace. */
function parseLabels(line: string, start: number, labels: Map<string, string>): number {
  let at = start;
  while (line[at] !== '}') {
    const label = /^([a-zA-Z_][a-zA-Z0-9_]*)="/.exec(line.slice(at));
    if (label?.[1] === undefined) throw new Error(`no label at ${at}: ${line}`);
    at += label[0].length;
    const from = at;
    while (line[at] !== '"') {
      if (at >= line.length) throw new Error(`a label value without a closing quote: ${line}`);
      at += line[at] === '\\' ? 2 : 1;
    }
    if (labels.has(label[1])) throw new Error(`label ${label[1]} occurs twice: ${line}`);
    labels.set(label[1], unescaped(line.slice(from, at), 'n\\"'));
    at++;
    if (line[at] === ',') at++;
    else if (line[at] !== '}') throw new Error(`expected a comma or a brace at ${at}: ${line}`);
  }
  return at + 1;
}

function unescaped(text: string, allowed: string): string {
  return text.replace(/\\(.?)/gsu, (whole, char: string) => {
    if (char === '' || !allowed.includes(char)) throw new Error(`invalid escape ${whole} in ${text}`);
    return char === 'n' ? '\n' : char;
  });
}
