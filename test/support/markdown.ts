/** Reads the Markdown pages of the repository and finds links, headings and code in them. */
import { type Dirent, readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { ROOT } from './paths.js';

/** Folders that are not searched at all: in `build` there can be a whole Debian with links to this machine's `/run`. */
const NOT_OURS: readonly string[] = ['.git', 'build', 'node_modules'];
const FIXTURES = 'test/fixtures/';

export interface Page {
  /** Relative to the repository. */
  readonly path: string;
  readonly text: string;
}

export interface Link {
  readonly from: string;
  /** Relative to the repository. For a link with only an anchor, the path of the page itself. */
  readonly path: string;
  readonly anchor: string | undefined;
}

/** Paths of the files in a folder at the top of the repository; of a file there, its own path. */
function filesOf(entry: Dirent): string[] {
  if (!entry.isDirectory()) return [entry.name];
  const files = readdirSync(join(ROOT, entry.name), { recursive: true, encoding: 'utf8' });
  return files.map((file) => join(entry.name, file));
}

export function pages(): Page[] {
  return readdirSync(ROOT, { withFileTypes: true })
    .filter(({ name }) => !NOT_OURS.includes(name))
    .flatMap(filesOf)
    .filter((path) => path.endsWith('.md') && !path.startsWith(FIXTURES))
    .sort()
    .map((path) => ({ path, text: readFileSync(join(ROOT, path), 'utf8') }));
}

/** Links to files of this repository. Links in code and links to other hosts are left out. */
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

/** The anchors that GitHub gives to the headings of a page. */
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

/** Lines of indented code. A line that ends with a backslash is joined with the next one. */
export function codeLinesOf({ text }: Page): string[] {
  const lines = text.replaceAll(/\\\n\s*/g, ' ').split('\n');
  return lines.filter((line) => line.startsWith('    ')).map((line) => line.trim());
}

/** The text between backticks, in prose and tables. */
export function inlineCodeOf({ text }: Page): string[] {
  return [...text.matchAll(/`([^`\n]+)`/g)].map(([, code = '']) => code);
}
