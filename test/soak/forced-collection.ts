/**
 * Makes a program of Node.js run a full garbage collection at SIGUSR2. By itself V8 does that about once in half an
 * hour, and an agent with a heap of more than 32 MiB no more often. What is not collected looks like growth.
 */
const COLLECT_ON_SIGUSR2 = `
  import { setFlagsFromString } from 'node:v8';
  import { runInNewContext } from 'node:vm';
  setFlagsFromString('--expose-gc');
  const collect = runInNewContext('gc');
  process.on('SIGUSR2', () => collect());`;

/** Command that runs the program. A word of it has no single quote, so a shell takes it in single quotes. */
export const COLLECTING: readonly string[] = [
  'env',
  `NODE_OPTIONS=--import=data:text/javascript,${encodeURIComponent(COLLECT_ON_SIGUSR2).replaceAll("'", '%27')}`,
];
