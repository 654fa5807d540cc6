import { listProgramFolder, readProgramFile } from '../system/program/program-files.js';
import { htmlPage, type PageOptions } from './html-page.js';

const WEB_SITE = 'https://github.com/kvm-exit-exporter/kvm-exit-exporter/blob/main';

/** Path on the web server -> folder of the program. */
const SHELVES = { '/runbooks': 'deploy/runbooks', '/advice': 'docs/advice' } as const;
/** The page at the path of the folder itself. A folder without such a file gets a list of its pages. */
const INDEX = 'README';

export type Shelf = keyof typeof SHELVES;

export const SHELF_NAMES = Object.keys(SHELVES) as readonly Shelf[];

/**
 * The runbooks and the pages of the advice that came with the program, as HTML: `/runbooks/KvmFatalExit`,
 * `/advice/hpet`. So the links of an alert work without any web site, and match the version that runs.
 */
export class Manual {
  readonly #options: PageOptions;
  /** Pages that were asked for, by path. There are no more than files. */
  readonly #pages = new Map<string, Buffer>();

  constructor(options: PageOptions) {
    this.#options = options;
  }

  /** Undefined if there is no such page. */
  async page(shelf: Shelf, name: string): Promise<Buffer | undefined> {
    const path = `${shelf}/${name}`;
    const known = this.#pages.get(path);
    if (known !== undefined) return known;
    const folder = SHELVES[shelf];
    // A name from outside is only compared, never part of a path.
    const files = listProgramFolder(folder);
    const file = files.find((each) => each === `${name}.md`);
    if (file === undefined && name !== INDEX) return undefined;
    const text = file === undefined ? listOf(folder, files) : readProgramFile(`${folder}/${file}`).toString('utf8');
    const page = Buffer.from(await this.#render(shelf, text));
    this.#pages.set(path, page);
    return page;
  }

  /** The list of all pages of a shelf. */
  async index(shelf: Shelf): Promise<Buffer | undefined> {
    return await this.page(shelf, INDEX);
  }

  async #render(shelf: Shelf, text: string): Promise<string> {
    const [, title = '', markdown = ''] = /^# ([^\n]*)\n([\s\S]*)$/.exec(text) ?? [];
    // Loaded when needed: most agents are never asked for a page.
    const { marked } = await import('marked');
    const linked = markdown.replace(/\]\(([^)\s:]+)\)/g, (_, target: string) => `](${addressOf(shelf, target)})`);
    const body = `<p><a href="/">Back to the VMs</a></p>\n${marked.parse(linked, { async: false })}`;
    return htmlPage(this.#options, { title, body });
  }
}

/** A page with links to all files of a folder. */
function listOf(folder: string, files: readonly string[]): string {
  const links = files.map((file) => `- [${file.replace(/\.md$/, '')}](${file})`);
  const name = folder.slice(folder.lastIndexOf('/') + 1);
  return `# ${name.slice(0, 1).toUpperCase()}${name.slice(1)}\n\n${links.sort().join('\n')}\n`;
}

/** The address of a link in a page: of a page beside it here, of anything else on the web site. */
function addressOf(shelf: Shelf, target: string): string {
  const { pathname, hash } = new URL(target, `file:///${SHELVES[shelf]}/`);
  const path = pathname.slice(1);
  for (const [address, folder] of Object.entries(SHELVES))
    if (path.startsWith(`${folder}/`)) return `${address}${path.slice(folder.length).replace(/\.md$/, '')}${hash}`;
  return `${WEB_SITE}/${path}${hash}`;
}
