/**
 * A small Linux guest: the kernel of an unpacked Debian package with its modules, and an initramfs of busybox. The
 * guest reads its disk, writes lines to its console and asks for the time, until QEMU is killed.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

export interface LinuxFiles {
  readonly kernel: string;
  readonly initramfs: string;
  readonly disk: string;
}

/** What the guest writes to its console when its work begins. */
export const LINUX_READY = 'GUEST WORKS';
/** Name of a driver that the guest loads. */
const DRIVERS = ['ata_piix', 'sd_mod', 'virtio_pci', 'virtio_blk', 'virtio_console'];
const DISK_BYTES = 4 << 20;

/** Each round reads 16 blocks, one by one, and writes a few lines to the console. */
const INIT = `#!/bin/busybox sh
export PATH=/bin
/bin/busybox --install -s /bin
mount -t proc proc /proc; mount -t sysfs sysfs /sys; mount -t devtmpfs dev /dev
for module in $(cat /modules/order); do insmod /modules/$module; done
sleep 1
disk=/dev/vda; [ -b $disk ] || disk=/dev/sda
exec >/dev/console 2>&1
echo "${LINUX_READY}: $disk, $(cat /sys/devices/system/clocksource/clocksource0/current_clocksource)"
round=0
while true; do
  round=$((round + 1))
  dd if=$disk of=/dev/null bs=4k count=16 iflag=direct skip=$((round % 32 * 16)) 2>/dev/null
  for line in 1 2 3 4; do echo "round $round, line $line of a log that is written to the console of this machine"; done
  usleep 20000
done
`;

/**
 * Writes the files of the guest to a folder.
 * @param kernelFolder has boot/vmlinuz-VERSION and lib/modules/VERSION with modules.dep
 * @param busybox a static program
 */
export function buildLinuxGuest(folder: string, kernelFolder: string, busybox: string): LinuxFiles {
  const [image = ''] = readdirSync(join(kernelFolder, 'boot')).filter((name) => name.startsWith('vmlinuz-'));
  const version = image.replace('vmlinuz-', '');
  const modules = modulesOf(kernelFolder, version);
  const folders = ['bin', 'dev', 'proc', 'sys', 'modules'].map((name) => entry(name, 0o040755, Buffer.alloc(0)));
  const files = [
    entry('bin/busybox', 0o100755, readFileSync(busybox)),
    entry('init', 0o100755, Buffer.from(INIT)),
    entry('modules/order', 0o100644, Buffer.from(modules.map((path) => `${basename(path)}\n`).join(''))),
    ...modules.map((path) => entry(`modules/${basename(path)}`, 0o100644, readFileSync(path))),
  ];
  const paths = {
    kernel: join(folder, 'vmlinux'),
    initramfs: join(folder, 'initramfs'),
    disk: join(folder, 'disk.raw'),
  };
  writeFileSync(paths.kernel, unpacked(readFileSync(join(kernelFolder, 'boot', image))));
  writeFileSync(paths.initramfs, Buffer.concat([...folders, ...files, entry('TRAILER!!!', 0, Buffer.alloc(0))]));
  writeFileSync(paths.disk, Buffer.alloc(DISK_BYTES));
  return paths;
}

/** Paths of the drivers and of what they need, in the order in which they are loaded. */
function modulesOf(kernelFolder: string, version: string): string[] {
  const lines = DRIVERS.map((driver) => {
    const { stdout } = spawnSync('modprobe', ['-D', '-d', kernelFolder, '-S', version, driver], { encoding: 'utf8' });
    return stdout;
  });
  const paths = lines.join('').matchAll(/^insmod (\S+)/gm);
  return [...new Set(Array.from(paths, ([, path = '']) => path))];
}

/** The kernel in a bzImage that is packed with xz. QEMU starts it without its decompressor, which takes long there. */
function unpacked(image: Buffer): Buffer {
  const start = image.indexOf(Buffer.from('\xfd7zXZ\0', 'latin1'));
  const { stdout } = spawnSync('xz', ['-dc', '--single-stream'], { input: image.subarray(start), maxBuffer: 1 << 28 });
  return stdout;
}

let inodes = 0;

/** A file in a cpio archive of the format `newc` (Documentation/driver-api/early-userspace/buffer-format.rst). */
function entry(name: string, mode: number, content: Buffer): Buffer {
  const fields = [++inodes, mode, 0, 0, 1, 0, content.length, 0, 0, 0, 0, name.length + 1, 0];
  const head = `070701${fields.map((field) => field.toString(16).padStart(8, '0')).join('')}${name}\0`;
  return Buffer.concat([padded(Buffer.from(head, 'latin1')), padded(content)]);
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)]);
}
