/** The part of postject that is used; it comes without types. */
declare module 'postject' {
  /** Adds a note to an ELF file, in place, and sets the fuse that makes Node.js look for it. */
  export function inject(
    path: string,
    name: string,
    content: Buffer,
    options: { readonly sentinelFuse: string },
  ): Promise<void>;
}
