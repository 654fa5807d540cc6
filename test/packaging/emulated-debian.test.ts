/**
 * The .deb on a whole Debian of its own: QEMU emulates a machine with AMD SVM, so Debian's kernel in it has KVM. There
 * the package is installed, systemd starts its service, and a VM runs whose exits are known.
 *
 * EXPORTER_DEBIAN_ROOT is the folder of that Debian, with a kernel; see .ci/run.
 */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { HOST } from '../../packaging/targets.js';
import { DEB, DEBIAN, hasInDebian, mountWithScript } from '../support/debian-root.js';
import { GUEST_EXIT_STATUS, guestFirmware } from '../support/guest/firmware.js';
import { freshExecutable } from '../support/packages.js';
import { Samples } from '../support/prometheus/samples.js';
import { allOf, needs, skipUnless } from '../support/requirements.js';

const PORT_WRITES = 5000;
const MINUTES = 10;
const FOLDER = mkdtempSync(join(tmpdir(), 'emulated-debian-'));
after(() => rmSync(FOLDER, { recursive: true }));

const bootFile = (prefix: string) => {
  const name = readdirSync(join(DEBIAN, 'boot')).find((file) => file.startsWith(prefix));
  return name === undefined ? undefined : join(DEBIAN, 'boot', name);
};
const hasKernel = () => hasInDebian('boot') && bootFile('vmlinuz-') !== undefined;

const { options: fresh } = await freshExecutable();
const NEEDED = allOf(
  fresh,
  needs('root', 'qemu'),
  skipUnless('debian-root', hasKernel()),
  skipUnless('deb', existsSync(DEB)),
  { skip: HOST === 'x64' ? false : 'QEMU emulates SVM for x86 only' },
);

/** QEMU of this machine, with its libraries: the Debian has none, and its release is that of this machine. */
function copyQemu(to: string): void {
  mkdirSync(to);
  const qemu = execFileSync('sh', ['-c', 'command -v qemu-system-x86_64'], { encoding: 'utf8' }).trim();
  copyFileSync(qemu, join(to, basename(qemu)));
  const libraries = execFileSync('ldd', [qemu], { encoding: 'utf8' }).matchAll(/=> (\/\S+)/g);
  for (const [, path = ''] of libraries) copyFileSync(path, join(to, basename(path)));
  copyFileSync('/usr/share/qemu/kvmvapic.bin', join(to, 'kvmvapic.bin'));
}

/** A disk with the Debian, and in it /test and the service that runs the script. */
function makeDisk(): string {
  const root = mountWithScript(FOLDER, 'emulated-debian.sh');
  const disk = join(FOLDER, 'disk');
  try {
    copyFileSync(DEB, join(root, 'test/package.deb'));
    writeFileSync(join(root, 'test/guest.rom'), guestFirmware({ steps: [{ out: 0x80, times: PORT_WRITES }] }));
    copyQemu(join(root, 'test/qemu'));
    execFileSync('mke2fs', ['-q', '-t', 'ext4', '-d', root, disk, '2G']);
  } finally {
    execFileSync('umount', [root]);
  }
  return disk;
}

/** Boots the disk, and returns what its script wrote. */
function boot(disk: string): { output: string; console: string } {
  const [output, console] = [join(FOLDER, 'output'), join(FOLDER, 'console')];
  const { stderr } = spawnSync(
    'qemu-system-x86_64',
    [
      ...['-nodefaults', '-no-user-config', '-display', 'none', '-no-reboot', '-machine', 'q35', '-m', '2048'],
      ...['-accel', 'tcg', '-cpu', 'EPYC,+svm,+npt,+nrip-save', '-smp', '1'],
      ...['-kernel', bootFile('vmlinuz-') ?? '', '-initrd', bootFile('initrd.img-') ?? ''],
      ...['-append', 'root=/dev/vda rw console=ttyS0 quiet panic=-1 mitigations=off nokaslr tsc=reliable'],
      ...['-drive', `file=${disk},format=raw,if=virtio,cache=unsafe`],
      ...['-serial', `file:${console}`, '-serial', `file:${output}`],
    ],
    { encoding: 'utf8', timeout: MINUTES * 60_000, killSignal: 'SIGKILL', stdio: ['ignore', 'ignore', 'pipe'] },
  );
  const read = (path: string) => (existsSync(path) ? readFileSync(path, 'utf8').replaceAll('\r', '') : '');
  return { output: read(output), console: `${read(console).slice(-4000)}\n${stderr}` };
}

test('on a Debian with KVM, the installed service counts both layers of a VM exactly', NEEDED, (t) => {
  const startMs = performance.now();
  const { output, console } = boot(makeDisk());
  t.diagnostic(`${Math.round((performance.now() - startMs) / 1000)} s`);
  for (const [line] of output.matchAll(/^[\d.]+ s: \w+$/gm)) t.diagnostic(line);
  assert.match(output, new RegExp(`^QEMU: ${GUEST_EXIT_STATUS}$`, 'm'), `${output}\n${console}`);
  assert.match(output, /^state: active$/m, output);
  const samples = new Samples(/^METRICS\n(.*)^END$/ms.exec(output)?.[1] ?? '');
  // Each write, and the one that ends QEMU.
  const count = (layer: string, reason: string) => samples.sum('kvm_exits_total', { vm: 'exact', layer, reason });
  assert.equal(count('qemu', 'KVM_EXIT_IO'), PORT_WRITES + 1, output);
  assert.equal(count('kvm', 'io'), PORT_WRITES + 1, output);
  assert.match(output, /^instances after stop: $/m, output);
  // There was one as a killed agent leaves it.
  assert.match(output, /^instances after purge: $/m, output);
});
