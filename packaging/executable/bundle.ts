/** The program and its packages as one CommonJS file, which is what a single executable application starts. */
import { join } from 'node:path';
import { build, type Plugin } from 'esbuild';
import { ROOT } from '../paths.js';
import { lazyModules } from './lazy-modules.js';
import { linesOnly } from './lines-only-map.js';

export interface Bundle {
  readonly code: string;
  /** From lines of the code to lines of the program's files. */
  readonly map: string;
  /** The code of the thread that checks passwords. */
  readonly worker: string;
  /** Folders of the packages in the code, below node_modules. */
  readonly packages: readonly string[];
}

/** Entry points, relative to the package. */
const MAIN = 'src/main.ts';
const WORKER = 'src/web/access/password-worker.ts';

export async function bundle(): Promise<Bundle> {
  const [main, worker] = await Promise.all([bundled(MAIN), bundled(WORKER)]);
  return {
    code: main.code,
    map: main.map,
    worker: worker.code,
    packages: [...new Set([...main.packages, ...worker.packages])].sort(),
  };
}

async function bundled(entry: string): Promise<Pick<Bundle, 'code' | 'map' | 'packages'>> {
  const { outputFiles, metafile, warnings } = await build({
    absWorkingDir: ROOT,
    entryPoints: [entry],
    bundle: true,
    write: false,
    metafile: true,
    platform: 'node',
    target: 'node24',
    format: 'cjs',
    // Less to read at the start. Names stay, for stack traces.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: 'none',
    preserveSymlinks: true,
    sourcemap: 'external',
    // Only the lines are needed: the text would be most of the map.
    sourcesContent: false,
    // Paths in comments and in the map start at the package, so that they do not depend on where it lies.
    outfile: join(ROOT, 'main.js'),
    logLevel: 'silent',
    plugins: [embeddedFiles, lazyModules],
  });
  // Among them: import.meta, which CommonJS does not have. Such a file would not be found.
  if (warnings.length > 0)
    throw new Error(warnings.map(({ text, location }) => `${location?.file}:${location?.line}: ${text}`).join('\n'));
  const text = (end: string) => outputFiles.find(({ path }) => path.endsWith(end))?.text ?? '';
  // V8 keeps a text with one other character in two bytes per character: three megabytes more for the whole program.
  const other = /.{0,40}[\u0100-\uffff].{0,40}/.exec(text('.js'))?.[0];
  if (other !== undefined) throw new Error(`write characters above U+00FF as escapes: ${other}`);
  const packages = Object.keys(metafile.inputs).flatMap(
    (path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)/.exec(path)?.[1] ?? [],
  );
  return { code: text('.js'), map: linesOnly(text('.js.map')), packages };
}

const embeddedFiles: Plugin = {
  name: 'embedded-files',
  setup({ onResolve }) {
    onResolve({ filter: /\/program-files\.js$/ }, () => ({
      path: join(ROOT, 'packaging/executable/embedded-files.ts'),
    }));
  },
};
