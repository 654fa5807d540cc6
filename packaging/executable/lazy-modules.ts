/** What the executable leaves to later, or leaves out, so that an agent that does nothing takes less memory. */
import { join } from 'node:path';
import type { Plugin } from 'esbuild';
import { ROOT } from '../paths.js';
import { run } from '../run.js';
import { HOST, TARGETS } from '../targets.js';
import { nodePackage } from './node-binary.js';

/** Node.js reads all of its certificates when the first of these is loaded: 3 MB. Most agents speak no TLS. */
const LATER = /^(?:node:)?(https|tls)$/;
/** Reads bodies of requests for Express. The program reads none. With its character sets, it has 0.5 MB. */
const LEFT_OUT = /^body-parser$/;
const NAMESPACE = 'loaded-later';

export const lazyModules: Plugin = {
  name: 'lazy-modules',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: LATER }, ({ path, namespace }) =>
      namespace === NAMESPACE
        ? { path, external: true }
        : { path: `node:${LATER.exec(path)?.[1]}`, namespace: NAMESPACE },
    );
    onLoad({ filter: /^/, namespace: NAMESPACE }, ({ path }) => ({ contents: loadedLater(path), resolveDir: ROOT }));
    onResolve({ filter: LEFT_OUT }, ({ path }) => ({ path, namespace: 'left-out' }));
    onLoad({ filter: /^/, namespace: 'left-out' }, () => ({ contents: 'module.exports = {};' }));
  },
};

/** A module with the names of a module of Node.js, which is loaded when one of them is used. */
function loadedLater(name: string): string {
  const print = `console.log(JSON.stringify(Object.keys(require(${JSON.stringify(name)}))))`;
  const names: readonly string[] = JSON.parse(run(join(nodePackage(TARGETS[HOST]), 'bin/node'), ['-e', print]));
  return names
    .map(
      (each) => `Object.defineProperty(exports, '${each}', {enumerable: true, get: () => require('${name}').${each}});`,
    )
    .join('\n');
}
