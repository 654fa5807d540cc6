/** Actions that stop what tests have started, so that a test that fails halfway leaves nothing running. */
const pending = new Set<() => Promise<void>>();

/**
 * Has {@link endAll} call `end`. Returns a function that takes it off the list, for the case that it has ended by
 * itself.
 */
export function endLater(end: () => Promise<void>): () => void {
  pending.add(end);
  return () => void pending.delete(end);
}

/** Ends everything that is still running; meant for `afterEach(endAll)`. */
export async function endAll(): Promise<void> {
  for (const end of [...pending]) await end();
  pending.clear();
}
