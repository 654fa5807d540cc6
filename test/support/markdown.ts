/** The repository's pages, as far as tests look into them. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { ROOT } from './paths.js';

const NOT_OURS = /^(node_modules|build|\.git|test\/fixtures)(\/|$)/;

export interface Page {
  /** Relative to the repository. */
  readonly path: string;
  readonly text: string;
}

export interface Link {
  readonly from: string;
  /** Relative to the repository; the page itself where only an anchor is given. */
  readonly path: string;
  readonly anchor: string | undefined;
}

export function pages(): Page[] {
  return readdirSync(ROOT, { recursive: true, encoding: 'utf8' })
    .filter((path) => path.endsWith('.md') && !NOT_OURS.test(path))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}

/** To files of this repository. Code and links to elsewhere are left out. */
export function linksOf({ path, text }: Page): Link[] {
  const prose = text.replaceAll(/^```[\s\S]*?^```$|^ {4}.*$|`[^`\n]*`/gm, (code) =>
    code.startsWith('`') && !code.startsWith('```') ? 'code' : '',
  );
  return [...prose.matchAll(/\]\(([^)\s]+)\)/g)]
    .map(([, target = '']) => target)
    .filter((target) => !/^[a-z]+:/.test(target))
    .map((target) => {
      const [file = '', anchor] = target.split('#');
      return { from: path, path: file === '' ? path : normalize(join(dirname(path), file)).replace(/\/$/, ''), anchor };
    });
}

/** As GitHub makes them of headings. */
export function anchorsOf({ text }: Page): string[] {
  const headings = text.replaceAll(/^```[\s\S]*?^```$/gm, '').matchAll(/^#+ +(.*)$/gm);
  return [...headings].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  );
}

/** Lines of indented code, those that end with a backslash joined with the next one. */
export function codeLinesOf({ text }: Page): string[] {
  const lines = text.replaceAll(/\\\n\s*/g, ' ').split('\n');
  return lines.filter((line) => line.startsWith('    ')).map((line) => line.trim());
}

/** `code` in prose and tables. */
export function inlineCodeOf({ text }: Page): string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
}
