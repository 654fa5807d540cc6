/** What tests have started and not ended: a test that fails in the middle must not leave anything running. */
const running = new Set<() => Promise<void>>();

/** Returns what to call once it has ended by itself. */
export function endLater(end: () => Promise<void>): () => void {
  running.add(end);
  return () => void running.delete(end);
}

/** For `afterEach`. */
export async function endAll(): Promise<void> {
  for (const end of [...running]) await end();
  running.clear();
}
