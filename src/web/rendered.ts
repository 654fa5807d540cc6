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

/** Names whose bytes are kept. Clients of further ones do not share theirs. */
const MAX_NAMES = 64;

/**
 * The same for each of several names.
 * @param version another value whenever the bytes may have changed
 * @param render returns undefined for a name that does not exist
 */
export function renderedByName(
  version: () => unknown,
  render: (name: string) => string | undefined,
): (name: string) => Buffer | undefined {
  let latestVersion: unknown;
  let latest = new Map<string, Buffer>();
  return (name) => {
    const current = version();
    if (current !== latestVersion) [latestVersion, latest] = [current, new Map()];
    const known = latest.get(name);
    if (known !== undefined) return known;
    const text = render(name);
    if (text === undefined) return undefined;
    const bytes = Buffer.from(text);
    if (latest.size < MAX_NAMES) latest.set(name, bytes);
    return bytes;
  };
}
