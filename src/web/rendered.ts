/** Returns `render(read())` as bytes, which are the same until `read` returns another value. */
export function rendered<T>(read: () => T, render: (value: T) => string): () => Buffer {
  let latest: { readonly value: T; readonly bytes: Buffer } | undefined;
  return () => {
    const value = read();
    if (latest?.value !== value) latest = { value, bytes: Buffer.from(render(value)) };
    return latest.bytes;
  };
}
