/** The files that `npm run package` wrote, if they hold the code as it is now. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from '../../packaging/executable/bundle.js';
import { OUTPUT } from '../../packaging/paths.js';
import { HOST } from '../../packaging/targets.js';
import { skipUnless } from './requirements.js';

export interface Built {
  readonly path: string;
  readonly options: { readonly skip: string | false };
}

/** The executable for this machine. */
export async function freshExecutable(): Promise<Built> {
  const path = join(OUTPUT, `kvm-exit-exporter-linux-${HOST}`);
  return { path, options: skipUnless('executable', existsSync(path) && (await isFresh())) };
}

/** True if the code that was packed last is the code that would be packed now. */
async function isFresh(): Promise<boolean> {
  const packed = join(OUTPUT, 'parts/main.js');
  return existsSync(packed) && readFileSync(packed, 'utf8') === (await bundle()).code;
}
