/** The files that the packages install, besides the executable, and where. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { COMPLETIONS } from '../../src/config/completion/completion.js';
import { NAME, ROOT } from '../paths.js';

export interface InstalledFile {
  /** Absolute path on the host. */
  readonly path: string;
  readonly mode: number;
  readonly content: string | Buffer;
  /** A file that the user changes: an upgrade keeps the changes. */
  readonly isConfiguration?: true;
}

/** What a package tells about the executable in it. */
export interface Documents {
  readonly licences: string;
  readonly sbom: string;
}

export const UNIT = `${NAME}.service`;
export const CONFIGURATION = `/etc/${NAME}`;
/** The unit reads it; the packages do not install it. */
export const ENVIRONMENT_FILE = `/etc/default/${NAME}`;
/** The agent removes it when it ends. One that was killed leaves it. */
export const TRACING_INSTANCE = `/sys/kernel/tracing/instances/${NAME}`;

/** @param zshFolder folder of completions below /usr/share/zsh, which differs among distributions */
export function installedFiles(zshFolder: string): readonly InstalledFile[] {
  return [
    { path: `/usr/lib/systemd/system/${UNIT}`, mode: 0o644, content: unit() },
    {
      path: `${CONFIGURATION}/config.yml`,
      mode: 0o640,
      content: readFileSync(join(ROOT, 'deploy/systemd/config.yml')),
      isConfiguration: true,
    },
    {
      path: `/usr/share/man/man1/${NAME}.1.gz`,
      mode: 0o644,
      content: packed(readFileSync(join(ROOT, `docs/${NAME}.1`))),
    },
    completion('bash', `/usr/share/bash-completion/completions/${NAME}`),
    completion('zsh', `/usr/share/zsh/${zshFolder}/_${NAME}`),
    completion('fish', `/usr/share/fish/vendor_completions.d/${NAME}.fish`),
  ];
}

function completion(shell: string, path: string): InstalledFile {
  return { path, mode: 0o644, content: COMPLETIONS[shell]?.() ?? '' };
}

/** The unit of deploy/systemd, which starts a program in /usr/local. */
function unit(): string {
  const text = readFileSync(join(ROOT, 'deploy/systemd', UNIT), 'utf8');
  return text.replace(/^#[^\n]*\n/, '').replace(`/usr/local/bin/${NAME}`, `/usr/bin/${NAME}`);
}

/** As gzip -9n does: without name and time. */
export function packed(content: string | Buffer): Buffer {
  return gzipSync(content, { level: 9 });
}
