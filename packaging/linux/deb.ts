/** The .deb: for Debian, Ubuntu and Proxmox VE. dpkg-deb builds it, without root. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Executable } from '../executable/executable.js';
import { DESCRIPTION, NAME, OUTPUT, ROOT, SOURCE_DATE_EPOCH, VERSION } from '../paths.js';
import { run } from '../run.js';
import {
  CONFIGURATION,
  type Documents,
  ENVIRONMENT_FILE,
  type InstalledFile,
  installedFiles,
  packed,
  TRACING_INSTANCE,
  UNIT,
} from './installed-files.js';
import { writeTree } from './write-tree.js';

const MAINTAINER = 'The kvm-exit-exporter authors <maintainers@kvm-exit-exporter.invalid>';
/** Node.js needs this version of the C library or a later one; kill reloads the service. */
const DEPENDS = 'libc6 (>= 2.28), procps';

/** Packs 116 MB to 36 MB in ten seconds; with -z6 to 32 MB in a minute. */
const COMPRESSION = ['-Zxz', '-z0'];

export function buildDeb({ target, path }: Executable, { licences, sbom }: Documents): string {
  const tree = join(OUTPUT, 'parts', `deb-${target.deb}`);
  const files: readonly InstalledFile[] = [
    { path: `/usr/bin/${NAME}`, mode: 0o755, content: readFileSync(path) },
    ...installedFiles('vendor-completions'),
    { path: `/usr/share/doc/${NAME}/sbom.cdx.json`, mode: 0o644, content: sbom },
    { path: `/usr/share/doc/${NAME}/copyright`, mode: 0o644, content: copyright(licences) },
    { path: `/usr/share/doc/${NAME}/changelog.gz`, mode: 0o644, content: packed(CHANGELOG) },
    {
      path: `/usr/share/doc/${NAME}/CHANGELOG.md.gz`,
      mode: 0o644,
      content: packed(readFileSync(join(ROOT, 'CHANGELOG.md'))),
    },
    { path: `/usr/share/lintian/overrides/${NAME}`, mode: 0o644, content: LINTIAN_OVERRIDES },
  ];
  const script = (name: string, content: string): InstalledFile => ({ path: `/DEBIAN/${name}`, mode: 0o755, content });
  const control = (name: string, content: string): InstalledFile => ({ ...script(name, content), mode: 0o644 });
  writeTree(tree, [
    ...files,
    control('control', controlFile(target.deb, files)),
    control(
      'md5sums',
      files
        .filter(({ isConfiguration }) => isConfiguration !== true)
        .map(md5Line)
        .join(''),
    ),
    control('conffiles', files.flatMap((file) => (file.isConfiguration === true ? [`${file.path}\n`] : [])).join('')),
    script('postinst', POSTINST),
    script('prerm', PRERM),
    script('postrm', POSTRM),
  ]);
  const output = join(OUTPUT, `${NAME}_${VERSION}_${target.deb}.deb`);
  // One thread: xz writes other bytes with several.
  const options = ['--root-owner-group', ...COMPRESSION, '--threads-max=1'];
  run('dpkg-deb', [...options, '--build', tree, output], { env: { SOURCE_DATE_EPOCH } });
  return output;
}

function controlFile(architecture: string, files: readonly InstalledFile[]): string {
  const bytes = files.reduce((sum, { content }) => sum + Buffer.byteLength(content), 0);
  return `Package: ${NAME}
Version: ${VERSION}
Architecture: ${architecture}
Maintainer: ${MAINTAINER}
Installed-Size: ${Math.ceil(bytes / 1024)}
Depends: ${DEPENDS}
Section: admin
Priority: optional
Homepage: https://github.com/kvm-exit-exporter/kvm-exit-exporter
Description: count the VM exits of KVM guests, for Prometheus
 ${DESCRIPTION.replace(/^(.{0,70}) /, '$1\n ')}.
 .
 One program with everything in it. It needs no Node.js.
`;
}

function md5Line({ path, content }: InstalledFile): string {
  return `${createHash('md5').update(content).digest('hex')}  ${path.slice(1)}\n`;
}

function copyright(licences: string): string {
  return `This package was made from https://github.com/kvm-exit-exporter/kvm-exit-exporter.
Copyright: the kvm-exit-exporter authors. Licence: Apache-2.0, which is in
/usr/share/common-licenses/Apache-2.0.

The executable contains other software. The licences of all of it:

${licences}`;
}

/** What Debian's tools read. The changes themselves are in CHANGELOG.md. */
const CHANGELOG = `${NAME} (${VERSION}) unstable; urgency=medium

  * CHANGELOG.md has what changed.

 -- ${MAINTAINER}  ${new Date(Number(SOURCE_DATE_EPOCH) * 1000).toUTCString().replace('GMT', '+0000')}
`;

const LINTIAN_OVERRIDES = `# Node.js brings its own copies of libraries, in versions that it was tested with.
${NAME}: embedded-library *
# Node.js' own binary, as its project publishes it.
${NAME}: hardening-no-pie *
# The licences of all parts go with the program, whatever distribution it is installed on.
${NAME}: copyright-file-contains-full-apache-2-license
${NAME}: old-fsf-address-in-copyright-file
# It may name a file with passwords.
${NAME}: non-standard-file-perm 0640 != 0644 [etc/${NAME}/config.yml]
# The note that a single executable application has, and symbols that were removed before it came in.
${NAME}: binary-has-unneeded-section *
`;

/** What debhelper generates for a service that is enabled and started, in short. */
const POSTINST = `#!/bin/sh
set -e
case "$1" in configure|abort-upgrade|abort-deconfigure|abort-remove) ;; *) exit 0 ;; esac
deb-systemd-helper unmask ${UNIT} >/dev/null || true
if deb-systemd-helper --quiet was-enabled ${UNIT}; then
  deb-systemd-helper enable ${UNIT} >/dev/null || true
else
  # A service that was disabled stays disabled.
  deb-systemd-helper update-state ${UNIT} >/dev/null || true
fi
if [ -d /run/systemd/system ]; then
  systemctl --system daemon-reload >/dev/null || true
  if [ -n "$2" ]; then action=restart; else action=start; fi
  deb-systemd-invoke $action ${UNIT} >/dev/null || true
fi
`;

const PRERM = `#!/bin/sh
set -e
if [ "$1" = remove ] && [ -d /run/systemd/system ]; then
  deb-systemd-invoke stop ${UNIT} >/dev/null || true
fi
`;

const POSTRM = `#!/bin/sh
set -e
if [ "$1" = remove ] || [ "$1" = purge ]; then
  # Only an agent that was killed leaves it. It is in use if another agent has the same name.
  [ ! -d ${TRACING_INSTANCE} ] || rmdir ${TRACING_INSTANCE} 2>/dev/null || true
  [ ! -d /run/systemd/system ] || systemctl --system daemon-reload >/dev/null || true
fi
if [ "$1" = remove ] && command -v deb-systemd-helper >/dev/null; then
  deb-systemd-helper mask ${UNIT} >/dev/null || true
fi
if [ "$1" = purge ]; then
  if command -v deb-systemd-helper >/dev/null; then
    deb-systemd-helper purge ${UNIT} >/dev/null || true
    deb-systemd-helper unmask ${UNIT} >/dev/null || true
  fi
  rm -f ${ENVIRONMENT_FILE} ${CONFIGURATION}/web.yml
  # Keys and certificates that the administrator put there stay.
  [ ! -d ${CONFIGURATION} ] || rmdir --ignore-fail-on-non-empty ${CONFIGURATION}
fi
`;
