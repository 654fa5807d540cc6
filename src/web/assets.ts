import { createHash } from 'node:crypto';
import { listProgramFolder, readPackageFile, readProgramFile } from '../system/program/program-files.js';

export interface Asset {
  readonly type: string;
  readonly bytes: Buffer;
}

const SCRIPT = 'text/javascript; charset=utf-8';
/** Compiled from src/web/page. */
const SCRIPTS = 'build/src/web/page';
const ICON =
  '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><path d="M1 13h3V7H1zm5 0h3V3H6zm5 0h3V9h-3z" fill="#d55e00"/></svg>';

/**
 * Scripts, styles and the icon of the pages, read once: all clients share the bytes. Their address contains a hash of
 * all of them, so browsers may keep them.
 */
export class Assets {
  readonly #assets: ReadonlyMap<string, Asset>;
  readonly #version: string;

  constructor() {
    const scripts = listProgramFolder(SCRIPTS).filter((name) => name.endsWith('.js'));
    this.#assets = new Map([
      ...scripts.map((name) => [name, { type: SCRIPT, bytes: readProgramFile(`${SCRIPTS}/${name}`) }] as const),
      ['uplot.js', { type: SCRIPT, bytes: readPackageFile('uplot', 'dist/uPlot.iife.min.js') }],
      ['uplot.css', { type: 'text/css; charset=utf-8', bytes: readPackageFile('uplot', 'dist/uPlot.min.css') }],
      ['icon.svg', { type: 'image/svg+xml', bytes: Buffer.from(ICON) }],
    ]);
    const hash = createHash('sha256');
    for (const { bytes } of this.#assets.values()) hash.update(bytes);
    this.#version = hash.digest('hex').slice(0, 16);
  }

  /** Address of an asset. */
  href(name: string): string {
    return `/assets/${this.#version}/${name}`;
  }

  /** Undefined if there is no such asset. */
  find(version: string, name: string): Asset | undefined {
    return version === this.#version ? this.#assets.get(name) : undefined;
  }
}
