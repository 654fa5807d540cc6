/** The .rpm: for Fedora, RHEL and its relatives, openSUSE. rpmbuild builds it, without root. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Executable } from '../executable/executable.js';
import { DESCRIPTION, NAME, OUTPUT, SOURCE_DATE_EPOCH, VERSION } from '../paths.js';
import { run } from '../run.js';
import { type Documents, type InstalledFile, installedFiles, TRACING_INSTANCE, UNIT } from './installed-files.js';
import { writeTree } from './write-tree.js';

/** Settings that make two builds equal, and that keep rpmbuild from changing the executable, which would break it. */
const MACROS = {
  _buildhost: 'reproducible',
  use_source_date_epoch_as_buildtime: '1',
  clamp_mtime_to_source_date_epoch: '1',
  source_date_epoch_from_changelog: '0',
  __os_install_post: '%{nil}',
  debug_package: '%{nil}',
  _build_id_links: 'none',
  // As of the .deb.
  _binary_payload: 'w0.xzdio',
} as const;

/** Folders that `rpm --erase` would leave behind, empty, if they belonged to no package. They may belong to several. */
const FOLDERS = [
  `/etc/${NAME}`,
  `/usr/share/doc/${NAME}`,
  '/usr/share/licenses',
  `/usr/share/licenses/${NAME}`,
  '/usr/share/bash-completion',
  '/usr/share/bash-completion/completions',
  '/usr/share/fish',
  '/usr/share/fish/vendor_completions.d',
  '/usr/share/zsh',
  '/usr/share/zsh/site-functions',
] as const;

const FILE_NAME = '%%{NAME}-%%{VERSION}-%%{RELEASE}.%%{ARCH}.rpm';

export function buildRpm({ target, path }: Executable, { licences, sbom }: Documents): string {
  const parts = join(OUTPUT, 'parts', `rpm-${target.rpm}`);
  const files: readonly InstalledFile[] = [
    { path: `/usr/bin/${NAME}`, mode: 0o755, content: readFileSync(path) },
    ...installedFiles('site-functions'),
    { path: `/usr/share/doc/${NAME}/sbom.cdx.json`, mode: 0o644, content: sbom },
    { path: `/usr/share/licenses/${NAME}/LICENSES`, mode: 0o644, content: licences },
  ];
  const tree = join(parts, 'tree');
  writeTree(tree, files);
  const spec = join(parts, `${NAME}.spec`);
  writeFileSync(spec, specFile(files, tree));
  const macros = {
    ...MACROS,

    _topdir: parts,
    _rpmdir: OUTPUT,
    _build_name_fmt: FILE_NAME,
  };
  const defined = Object.entries(macros).flatMap(([name, value]) => ['--define', `${name} ${value}`]);
  run('rpmbuild', ['-bb', '--target', `${target.rpm}-linux`, ...defined, spec], { env: { SOURCE_DATE_EPOCH } });
  return join(OUTPUT, `${NAME}-${VERSION}-1.${target.rpm}.rpm`);
}

function specFile(files: readonly InstalledFile[], tree: string): string {
  return `Name: ${NAME}
Version: ${VERSION}
Release: 1
Summary: Count the VM exits of KVM guests, for Prometheus
License: Apache-2.0 AND MIT AND ISC AND BSD-3-Clause
URL: https://github.com/kvm-exit-exporter/kvm-exit-exporter
# What the program needs cannot be seen in the file, which is not built here.
AutoReqProv: no
Requires: glibc >= 2.28, systemd, util-linux

%description
${DESCRIPTION}.

One program with everything in it. It needs no Node.js.

%install
cp -a ${tree}/. %{buildroot}/

%post
# A service starts when the administrator says so, or a preset.
if [ $1 -eq 1 ] && [ -d /run/systemd/system ]; then systemctl --no-reload preset ${UNIT} || :; fi

%preun
if [ $1 -eq 0 ] && [ -d /run/systemd/system ]; then systemctl --no-reload disable --now ${UNIT} || :; fi

%postun
if [ -d /run/systemd/system ]; then
  systemctl daemon-reload || :
  if [ $1 -ge 1 ]; then systemctl try-restart ${UNIT} || :; fi
fi
# Only an agent that was killed leaves it.
if [ $1 -eq 0 ] && [ -d ${TRACING_INSTANCE} ]; then rmdir ${TRACING_INSTANCE} 2>/dev/null || :; fi

%files
${FOLDERS.map((path) => `%dir %attr(0755, root, root) ${path}\n`).join('')}${files.map(fileLine).join('\n')}
`;
}

function fileLine({ path, mode, isConfiguration }: InstalledFile): string {
  const kind = isConfiguration === true ? '%config(noreplace) ' : path.includes('/licenses/') ? '%license ' : '';
  return `${kind}%attr(${mode.toString(8).padStart(4, '0')}, root, root) ${path}`;
}
