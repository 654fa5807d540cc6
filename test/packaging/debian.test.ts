/**
 * The .deb under a real systemd: systemd-nspawn boots a Debian without Node.js, with an overlay for what changes.
 * EXPORTER_DEBIAN_ROOT names its folder, which .ci/run makes with mmdebstrap.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { VERSION } from '../../packaging/paths.js';
import { DEB, hasInDebian, mountWithScript, runToEnd } from '../support/debian-root.js';
import { freshExecutable } from '../support/packages.js';
import { allOf, needs, skipUnless } from '../support/requirements.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'debian-'));
after(() => rmSync(FOLDER, { recursive: true }));

const { options: fresh } = await freshExecutable();
const NEEDED = allOf(
  fresh,
  needs('root', 'systemd-nspawn', 'tracefs'),
  skipUnless('debian-root', hasInDebian('usr/lib/systemd/systemd')),
  skipUnless('deb', existsSync(DEB)),
);

/** The package as it might have been before: an earlier version, whose configuration has another comment. */
function olderPackage(to: string): void {
  const tree = join(FOLDER, 'old');
  execFileSync('dpkg-deb', ['-R', DEB, tree]);
  const change = (path: string, from: string | RegExp, text: string) => {
    const before = readFileSync(join(tree, path), 'utf8');
    assert.notEqual(before.replace(from, text), before);
    writeFileSync(join(tree, path), before.replace(from, text));
  };
  change('DEBIAN/control', `Version: ${VERSION}`, 'Version: 0.0.1');
  change('etc/kvm-exit-exporter/config.yml', /^# /, '# An older text. ');
  execFileSync('dpkg-deb', ['--root-owner-group', '-Zgzip', '-z1', '-b', tree, to]);
}

let steps: ReadonlyMap<string, string> = new Map();
let log = '';

before(() => {
  if (NEEDED.skip !== false) return;
  const root = mountWithScript(FOLDER, 'debian.sh', [`INSTANCE=debian-test-${process.pid}`]);
  const shared = join(root, 'test');
  olderPackage(join(shared, 'old.deb'));
  copyFileSync(DEB, join(shared, 'new.deb'));
  ({ steps, log } = runToEnd(root, ['apt.log', 'journal']));
});

const WANTED: readonly (readonly [step: string, value: string | RegExp])[] = [
  ['install of an older version', '0'],
  ['state', 'active enabled'],
  ['metrics', '1'],
  ['healthcheck', '0'],
  ['instance', /^debian-test-\d+$/],
  ['user and capabilities', 'Uid: 0 0 0 0 CapEff: 0000000000000000'],
  ['completion', 'complete -F _kvm_exit_exporter kvm-exit-exporter'],
  ['reload', 'msg="configuration reloaded" changed=log.level'],
  ['the same process after reload', 'yes'],
  ['upgrade', '0'],
  ['state after upgrade', 'active'],
  ['another process after upgrade', 'yes'],
  // What the user changed.
  ['configuration after upgrade', 'level: debug'],
  ['metrics after upgrade', '1'],
  ['configuration after remove', 'level: debug'],
  ['program after remove', ''],
  ['instance after remove', ''],
  ['files after purge', ''],
];

for (const [step, value] of WANTED)
  test(`Debian: ${step}`, NEEDED, (t) => {
    const seen = steps.get(step);
    if (step === 'upgrade') t.diagnostic(`it took ${steps.get('milliseconds of the upgrade')} ms`);
    if (typeof value === 'string') assert.equal(seen, value, log);
    else assert.match(seen ?? '', value, log);
  });

test('Debian: systemd-analyze rates the exposure at 2 or less', NEEDED, () => {
  const exposure = Number(steps.get('exposure') || Number.NaN);
  assert.ok(exposure <= 2, `${exposure}\n${log}`);
});
