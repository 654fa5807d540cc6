/**
 * The agents of a fleet: one listener, with the path /N for the metrics of host N. Runs as a process of its own:
 * `agents.js TABLES.json HOSTS`. Sends its port to the process that started it.
 */
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import type { HostTables, Labels } from './host-tables.js';
import { type HostSeries, scrapedSeries, valueAt } from './hosts.js';

const [file = '', count = '1'] = process.argv.slice(2);
const tables: HostTables = JSON.parse(readFileSync(file, 'utf8'));

type Line = Omit<HostSeries, 'labels'> & { readonly prefix: string };

/** A host's series, in families. They are written once, as a scrape would otherwise take too much CPU. */
const lines = new Map<number, ReadonlyMap<string, readonly Line[]>>();

function exposition(host: number): string {
  const now = Date.now() / 1000;
  const families = lines.get(host) ?? byFamily(scrapedSeries(tables, host, Number(count)));
  lines.set(host, families);
  const text = [...families].flatMap(([family, all]) => [
    `# TYPE ${family} ${all[0]?.type}`,
    ...all.map((line) => line.prefix + valueAt(line, now)),
  ]);
  return `${text.join('\n')}\n`;
}

function byFamily(all: readonly HostSeries[]): ReadonlyMap<string, readonly Line[]> {
  const families = new Map<string, Line[]>();
  for (const { labels, ...series } of all) {
    const name = series.type === 'histogram' ? series.name.replace(/_(bucket|sum|count)$/, '') : series.name;
    const line = { ...series, prefix: `${series.name}${textOf(labels)} ` };
    const family = families.get(name);
    if (family === undefined) families.set(name, [line]);
    else family.push(line);
  }
  return families;
}

function textOf({ job: _, instance: __, ...own }: Labels): string {
  const pairs = Object.entries(own).map(([label, value]) => `${label}=${JSON.stringify(value)}`);
  return pairs.length === 0 ? '' : `{${pairs.join(',')}}`;
}

const server = createServer(async (request, response) => {
  const body = await promisify(gzip)(exposition(Number(request.url?.slice(1))), { level: 1 });
  response.writeHead(200, { 'Content-Type': 'text/plain; version=0.0.4', 'Content-Encoding': 'gzip' }).end(body);
});
server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port));
process.once('disconnect', () => process.exit());
