/** The files in build/package: what is in the packages, and that they can be built again with the same bytes. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { NAME, OUTPUT, VERSION } from '../../packaging/paths.js';
import { ALLOWED } from '../../packaging/release/licences.js';
import { HOST, TARGETS } from '../../packaging/targets.js';
import { freshExecutable } from '../support/packages.js';
import { ROOT } from '../support/paths.js';
import { allOf, needs, skipUnless } from '../support/requirements.js';

const FOLDER = mkdtempSync(join(tmpdir(), 'packages-'));
after(() => rmSync(FOLDER, { recursive: true }));

const { options: FRESH } = await freshExecutable();
const DEB = join(OUTPUT, `${NAME}_${VERSION}_${TARGETS[HOST].deb}.deb`);
const RPM = join(OUTPUT, `${NAME}-${VERSION}-1.${TARGETS[HOST].rpm}.rpm`);
const HAS_DEB = allOf(FRESH, skipUnless('deb', existsSync(DEB)));
const HAS_RPM = allOf(FRESH, skipUnless('rpm', existsSync(RPM)));

const FILES = [
  `/etc/${NAME}/config.yml`,
  `/usr/bin/${NAME}`,
  `/usr/lib/systemd/system/${NAME}.service`,
  `/usr/share/bash-completion/completions/${NAME}`,
  `/usr/share/doc/${NAME}/sbom.cdx.json`,
  `/usr/share/fish/vendor_completions.d/${NAME}.fish`,
  `/usr/share/man/man1/${NAME}.1.gz`,
];

const run = (program: string, ...args: string[]) =>
  execFileSync(program, args, { encoding: 'utf8', maxBuffer: 1 << 28 });

test('the .deb holds program, unit, configuration, man page and completions, all of root', HAS_DEB, () => {
  const rows = run('dpkg-deb', '--contents', DEB)
    .trimEnd()
    .split('\n')
    .map((line) => line.split(/\s+/));
  const files = rows.filter(([mode = '']) => mode.startsWith('-'));
  assert.deepEqual([...new Set(rows.map(([, owner]) => owner))], ['root/root']);
  const paths = files.map(([, , , , , path = '']) => path.slice(1));
  for (const path of [...FILES, `/usr/share/zsh/vendor-completions/_${NAME}`]) assert.ok(paths.includes(path), path);
  const modes = new Map(files.map(([mode, , , , , path = '']) => [path.slice(1), mode]));
  assert.equal(modes.get(`/etc/${NAME}/config.yml`), '-rw-r-----');
  assert.equal(modes.get(`/usr/bin/${NAME}`), '-rwxr-xr-x');
  assert.equal(run('dpkg-deb', '--info', DEB, 'conffiles'), `/etc/${NAME}/config.yml\n`);
  assert.match(run('dpkg-deb', '--field', DEB, 'Depends'), /^libc6 \(>= 2\.28\), procps$/m);
});

test('lintian finds no error in the .deb', allOf(HAS_DEB, needs('lintian')), () => {
  const { status, stdout } = spawnSync('lintian', ['--fail-on', 'error,warning', DEB], { encoding: 'utf8' });
  assert.deepEqual([status, stdout], [0, '']);
});

test('the .rpm holds program, unit, configuration, man page and completions', HAS_RPM, () => {
  const paths = run('rpm', '-qlp', RPM).split('\n');
  for (const path of [...FILES, `/usr/share/zsh/site-functions/_${NAME}`]) assert.ok(paths.includes(path), path);
  assert.equal(run('rpm', '-qcp', RPM), `/etc/${NAME}/config.yml\n`);
  assert.match(run('rpm', '-qp', '--requires', RPM), /^glibc >= 2\.28$/m);
  // Unpacked, the program runs: nothing has changed its bytes.
  const [program, sum] = [join(OUTPUT, `${NAME}-linux-${HOST}`), run('rpm', '-qp', '--dump', RPM)];
  assert.ok(sum.includes(createHash('sha256').update(readFileSync(program)).digest('hex')));
});

test('the unit of the packages starts the program where they install it', HAS_DEB, () => {
  run('dpkg-deb', '--extract', DEB, join(FOLDER, 'deb'));
  const unit = readFileSync(join(FOLDER, `deb/usr/lib/systemd/system/${NAME}.service`), 'utf8');
  assert.match(unit, /^ExecStart=\/usr\/bin\/kvm-exit-exporter run /m);
  assert.doesNotMatch(unit, /\/usr\/local|\/etc\/systemd/);
});

test('a package for npm has at most 2 MB', FRESH, () => {
  assert.ok(statSync(join(OUTPUT, `${NAME}-${VERSION}.tgz`)).size <= 2_000_000);
});

interface Component {
  readonly type: string;
  readonly name: string;
  readonly version: string;
  readonly purl?: string;
  readonly licenses?: readonly { readonly license: { readonly id: string } }[];
}

const bill = (): { readonly components: readonly Component[] } =>
  JSON.parse(readFileSync(join(OUTPUT, `${NAME}-${VERSION}.cdx.json`), 'utf8'));

test('the bill of materials has every package that npm installs for the program, and Node.js', FRESH, () => {
  const { components } = bill();
  const lock: { packages: Record<string, { version: string; dev?: boolean; optional?: boolean }> } = JSON.parse(
    readFileSync(join(ROOT, 'package-lock.json'), 'utf8'),
  );
  const locked = new Set(
    Object.entries(lock.packages).map(([path, { version }]) => `${path.split('node_modules/').at(-1)}@${version}`),
  );
  const packages = components.filter(({ purl }) => purl?.startsWith('pkg:npm/'));
  assert.deepEqual(
    packages.map(({ name, version }) => `${name}@${version}`).filter((each) => !locked.has(each)),
    [],
  );
  const manifest: { dependencies: Record<string, string> } = JSON.parse(
    readFileSync(join(ROOT, 'package.json'), 'utf8'),
  );
  for (const [name, version] of Object.entries(manifest.dependencies))
    assert.ok(
      packages.some((each) => each.name === name && each.version === version),
      name,
    );
  const names = components.map(({ name }) => name);
  for (const name of ['node', 'v8', 'openssl', 'zlib', 'uv']) assert.ok(names.includes(name), name);
});

test('every licence of a package lets us pass the program on', FRESH, () => {
  const licences = bill().components.flatMap(({ name, licenses }) =>
    (licenses ?? []).map(({ license }) => ({ name, id: license.id })),
  );
  assert.ok(licences.length > 50);
  assert.deepEqual(
    licences.filter(({ id }) => !ALLOWED.has(id)),
    [],
  );
});

test('sha256sum accepts SHA256SUMS', FRESH, () => {
  const { status, stderr } = spawnSync('sha256sum', ['--check', '--quiet', 'SHA256SUMS'], {
    cwd: OUTPUT,
    encoding: 'utf8',
  });
  assert.deepEqual([status, stderr], [0, '']);
});

test('a build in another folder, by another user setting, has the same bytes', allOf(HAS_DEB, HAS_RPM), () => {
  const copy = join(FOLDER, 'another', 'folder');
  mkdirSync(join(copy, 'build/package'), { recursive: true });
  const LEFT_OUT = new Set(['node_modules', 'build', '.git', 'test']);
  for (const name of readdirSync(ROOT).filter((each) => !LEFT_OUT.has(each)))
    cpSync(join(ROOT, name), join(copy, name), { recursive: true });
  symlinkSync(join(ROOT, 'node_modules'), join(copy, 'node_modules'));
  for (const name of ['src', 'packaging'])
    cpSync(join(ROOT, 'build', name), join(copy, 'build', name), { recursive: true });
  symlinkSync(join(OUTPUT, 'node'), join(copy, 'build/package/node'));
  const script = `umask 077 && exec "$0" build/packaging/build.js ${HOST}`;
  const { status, stderr } = spawnSync('sh', ['-c', script, process.execPath], {
    cwd: copy,
    encoding: 'utf8',
    env: { ...process.env, TZ: 'Asia/Tokyo', LC_ALL: 'C.UTF-8', SOURCE_DATE_EPOCH: undefined },
  });
  assert.equal(status, 0, stderr);
  const sums = (folder: string) => readFileSync(join(folder, 'SHA256SUMS'), 'utf8').trimEnd().split('\n');
  assert.deepEqual(sums(join(copy, 'build/package')), sums(OUTPUT));
});
