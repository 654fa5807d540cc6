/** Returns `render(...read())` as bytes, which are the same until `read` returns another value. */
export function rendered<const Values extends readonly unknown[]>(
  read: () => Values,
  render: (...values: Values) => string,
): () => Buffer {
  let latest: { readonly values: Values; readonly bytes: Buffer } | undefined;
  return () => {
    const values = read();
    if (latest === undefined || values.some((value, index) => value !== latest?.values[index]))
      latest = { values, bytes: Buffer.from(render(...values)) };
    return latest.bytes;
  };
}
