/** The Debian of EXPORTER_DEBIAN_ROOT, which .ci/run makes, with a script of test/packaging that systemd runs in it. */
import { execFileSync, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { NAME, OUTPUT, VERSION } from '../../packaging/paths.js';
import { HOST, TARGETS } from '../../packaging/targets.js';
import { ROOT } from './paths.js';

/** Empty if the variable is not set. */
export const { EXPORTER_DEBIAN_ROOT: DEBIAN = '' } = process.env;
/** The package that `npm run package` made for this machine. */
export const DEB = join(OUTPUT, `${NAME}_${VERSION}_${TARGETS[HOST].deb}.deb`);

export const hasInDebian = (path: string): boolean => DEBIAN !== '' && existsSync(join(DEBIAN, path));

/**
 * Mounts the Debian at the returned path, with a layer above it that takes all changes. At its end, systemd's start
 * runs /test/SCRIPT. The caller unmounts it.
 * @param folder an empty one, which takes the layer
 */
export function mountWithScript(folder: string, script: string, environment: readonly string[] = []): string {
  const [changes = '', work = '', root = ''] = ['changes', 'work', 'root'].map((name) => {
    mkdirSync(join(folder, name));
    return join(folder, name);
  });
  mkdirSync(join(changes, 'test'));
  copyFileSync(join(ROOT, 'test/packaging', script), join(changes, 'test', script));
  const units = join(changes, 'etc/systemd/system');
  mkdirSync(join(units, 'multi-user.target.wants'), { recursive: true });
  const lines = environment.map((variable) => `Environment=${variable}\n`).join('');
  const service = `[Service]\nType=oneshot\n${lines}ExecStart=/bin/bash /test/${script}\n`;
  writeFileSync(join(units, 'test.service'), `[Unit]\nAfter=multi-user.target\n${service}`);
  symlinkSync('../test.service', join(units, 'multi-user.target.wants/test.service'));
  const layers = `lowerdir=${DEBIAN},upperdir=${changes},workdir=${work}`;
  execFileSync('mount', ['-t', 'overlay', 'overlay', '-o', layers, root]);
  return root;
}

/**
 * Boots what {@link mountWithScript} mounted, under systemd, until its script has ended, and unmounts it.
 * @returns what the script wrote to /test/steps, by the name of the step, and all messages
 */
export function runToEnd(root: string, logs: readonly string[]): { steps: ReadonlyMap<string, string>; log: string } {
  const { stdout, stderr } = spawnSync(
    'systemd-nspawn',
    [
      '--quiet',
      '--register=no',
      '--keep-unit',
      '--private-network',
      `--directory=${root}`,
      '--bind=/sys/kernel/tracing:/tracefs',
      '--console=pipe',
      '--boot',
    ],
    { encoding: 'utf8', timeout: 300_000, killSignal: 'SIGKILL', stdio: ['ignore', 'pipe', 'pipe'] },
  );
  const read = (name: string) => {
    const path = join(root, 'test', name);
    return existsSync(path) ? readFileSync(path, 'utf8') : '';
  };
  const entries = read('steps').split(/^(?=[a-z][^\t\n]*\t)/m);
  const steps = new Map(
    entries.map((entry) => {
      const [name = '', value = ''] = entry.split('\t');
      return [name, value.trimEnd()] as const;
    }),
  );
  const log = [...logs.map(read), stdout.slice(-4000), stderr].join('\n');
  execFileSync('umount', [root]);
  return { steps, log };
}
