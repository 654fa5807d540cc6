/**
 * The .rpm under a real systemd: systemd-nspawn boots the Debian of EXPORTER_DEBIAN_ROOT, in which this machine's rpm
 * installs, upgrades and erases it. No system of Fedora's family takes part.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, before, test } from 'node:test';
import { NAME, OUTPUT, VERSION } from '../../packaging/paths.js';
import { HOST, TARGETS } from '../../packaging/targets.js';
import { hasInDebian, mountWithScript, runToEnd } from '../support/debian-root.js';
import { freshExecutable } from '../support/packages.js';
import { allOf, needs, skipUnless } from '../support/requirements.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'rpm-'));
after(() => rmSync(FOLDER, { recursive: true }));

const { rpm: MACHINE } = TARGETS[HOST];
const RPM = join(OUTPUT, `${NAME}-${VERSION}-1.${MACHINE}.rpm`);
const { options: fresh } = await freshExecutable();
const NEEDED = allOf(
  fresh,
  needs('root', 'systemd-nspawn', 'tracefs'),
  skipUnless('debian-root', hasInDebian('usr/lib/systemd/systemd')),
  skipUnless('rpm', existsSync(RPM)),
);

/** The package as it might have been before: an earlier version, whose configuration has another comment. */
function olderPackage(to: string): void {
  const parts = join(OUTPUT, `parts/rpm-${MACHINE}`);
  const tree = join(FOLDER, 'old');
  cpSync(join(parts, 'tree'), tree, { recursive: true });
  const change = (path: string, from: string, text: string) => {
    const before = readFileSync(path, 'utf8');
    assert.ok(before.includes(from), `${path}: ${from}`);
    writeFileSync(path, before.replaceAll(from, text));
  };
  const configuration = join(tree, 'etc', NAME, 'config.yml');
  writeFileSync(configuration, `# An older text.\n${readFileSync(configuration, 'utf8')}`);
  const spec = join(FOLDER, 'old.spec');
  copyFileSync(join(parts, `${NAME}.spec`), spec);
  change(spec, `Version: ${VERSION}`, 'Version: 0.0.1');
  change(spec, join(parts, 'tree'), tree);
  const macros = {
    _topdir: FOLDER,
    _rpmdir: FOLDER,
    _build_name_fmt: 'old.rpm',
    _binary_payload: 'w1.gzdio',
    __os_install_post: '%{nil}',
    debug_package: '%{nil}',
    _build_id_links: 'none',
  };
  const defined = Object.entries(macros).flatMap(([name, value]) => ['--define', `${name} ${value}`]);
  execFileSync('rpmbuild', ['-bb', '--quiet', '--target', `${MACHINE}-linux`, ...defined, spec], { stdio: 'pipe' });
  copyFileSync(join(FOLDER, 'old.rpm'), to);
}

/** This machine's rpm with its libraries and its settings. The C library is that of the Debian. */
function copyRpm(to: string): void {
  mkdirSync(join(to, 'lib'), { recursive: true });
  mkdirSync(join(to, 'db'));
  copyFileSync('/usr/bin/rpm', join(to, 'rpm'));
  cpSync('/usr/lib/rpm', join(to, 'conf'), { recursive: true });
  const libraries = execFileSync('ldd', ['/usr/bin/rpm'], { encoding: 'utf8' }).matchAll(/ => (\/\S+)/g);
  for (const [, path = ''] of libraries)
    if (!/\/libc\.so/.test(path)) copyFileSync(path, join(to, 'lib', basename(path)));
}

let steps: ReadonlyMap<string, string> = new Map();
let log = '';

before(() => {
  if (NEEDED.skip !== false) return;
  const root = mountWithScript(FOLDER, 'rpm.sh', [`INSTANCE=rpm-test-${process.pid}`]);
  const shared = join(root, 'test');
  olderPackage(join(shared, 'old.rpm'));
  copyFileSync(RPM, join(shared, 'new.rpm'));
  copyRpm(join(shared, 'rpm'));
  ({ steps, log } = runToEnd(root, ['rpm.log', 'journal']));
});

const WANTED: readonly (readonly [step: string, value: string | RegExp])[] = [
  ['install of an older version', '0'],
  ['state', 'active enabled'],
  ['metrics', '1'],
  ['instance', /^rpm-test-\d+$/],
  ['upgrade', '0'],
  ['state after upgrade', 'active'],
  ['another process after upgrade', 'yes'],
  // What the user changed.
  ['configuration after upgrade', 'level: debug'],
  ['new configuration beside it', 'level: info'],
  ['erase', '0'],
  ['state after erase', 'inactive'],
  ['instance after erase', ''],
  // As rpm does it for every package: a changed configuration stays, under another name.
  [
    'files after erase',
    ['', '/config.yml.rpmnew', '/config.yml.rpmsave'].map((name) => `> /etc/${NAME}${name}`).join('\n'),
  ],
  ['second install', '0'],
  ['state after second install', 'active'],
  ['second erase', '0'],
  ['files after second erase', ''],
];

for (const [step, value] of WANTED)
  test(`rpm: ${step}`, NEEDED, () => {
    const seen = steps.get(step);
    if (typeof value === 'string') assert.equal(seen, value, log);
    else assert.match(seen ?? '', value, log);
  });
