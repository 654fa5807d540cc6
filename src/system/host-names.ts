import { hostname } from 'node:os';
import { tryReadText } from './files.js';

/** What {@link machineNames} reads, so that tests can give it. */
export interface HostNameFiles {
  readonly hostname: string;
  /** Content of /etc/hosts. */
  readonly hosts: string;
  /** Content of /etc/resolv.conf. */
  readonly resolv: string;
}

/**
 * Names under which this machine is reached, in lower case: its host name, with and without its domain, the names that
 * /etc/hosts gives it on the same line, and its name in each domain in which the resolver searches for short names.
 *
 * DNS is not asked: the one who answers could be the one to keep out.
 */
export function machineNames(files: HostNameFiles = readFiles()): string[] {
  const name = files.hostname.toLowerCase();
  const short = name.split('.')[0] ?? name;
  if (short === '') return [];
  const names = new Set([name, short]);
  for (const [, ...words] of linesOf(files.hosts)) {
    const lower = words.map((word) => word.toLowerCase());
    if (lower.includes(name) || lower.includes(short)) for (const word of lower) names.add(word);
  }
  for (const [keyword, ...domains] of linesOf(files.resolv))
    if (keyword === 'search' || keyword === 'domain')
      for (const domain of domains.map((each) => each.toLowerCase().replace(/^\.|\.$/g, '')))
        if (domain !== '') names.add(`${short}.${domain}`);
  return [...names];
}

function readFiles(): HostNameFiles {
  return {
    hostname: hostname(),
    hosts: tryReadText('/etc/hosts') ?? '',
    resolv: tryReadText('/etc/resolv.conf') ?? '',
  };
}

/** The words of each line, without comments. */
function linesOf(text: string): string[][] {
  return text.split('\n').map((line) => (line.split(/[#;]/)[0] ?? '').split(/\s+/).filter((word) => word !== ''));
}
