/**
 * A qcow2 image without clusters: its header (docs/interop/qcow2.txt of QEMU), the refcount table, and an L1 table.
 */
export function emptyQcow2(): Buffer {
  const cluster = 65_536;
  const image = Buffer.alloc(4 * cluster);
  image.write('QFI\xfb', 0, 'latin1');
  image.writeUInt32BE(2, 4);
  image.writeUInt32BE(16, 20);
  image.writeBigUInt64BE(1n << 20n, 24);
  image.writeUInt32BE(1, 36);
  image.writeBigUInt64BE(BigInt(3 * cluster), 40);
  image.writeBigUInt64BE(BigInt(cluster), 48);
  image.writeUInt32BE(1, 56);
  image.writeBigUInt64BE(BigInt(2 * cluster), cluster);
  for (let at = 0; at < 4; at++) image.writeUInt16BE(1, 2 * cluster + 2 * at);
  return image;
}
