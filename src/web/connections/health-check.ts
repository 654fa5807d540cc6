export const HEALTHY_PATHS: readonly string[] = ['/-/healthy', '/healthz'];
export const READY_PATHS: readonly string[] = ['/-/ready', '/readyz'];

const STARTS: ReadonlySet<string> = new Set(
  [...HEALTHY_PATHS, ...READY_PATHS].flatMap((path) => [`GET ${path} `, `HEAD ${path} `]),
);
const MAX_START = Math.max(...[...STARTS].map((start) => start.length));

/** True if the bytes begin with a request for health or readiness, which costs little to answer. */
export function isHealthCheck(bytes: Buffer): boolean {
  const text = bytes.toString('latin1', 0, MAX_START);
  return STARTS.has(text.slice(0, text.indexOf(' ', text.indexOf(' ') + 1) + 1));
}
