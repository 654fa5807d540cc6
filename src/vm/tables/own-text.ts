/**
 * The same facts in strings of their own. A part of a string keeps the whole of it in memory in V8: the name of a VM,
 * which the history keeps for a quarter of an hour, kept a command line of up to 256 KB.
 */
export function withOwnTexts<T extends object>(facts: T): T {
  return Object.fromEntries(Object.entries(facts).map(([key, fact]) => [key, own(fact)])) as T;
}

function own(fact: unknown): unknown {
  return typeof fact === 'string' ? Buffer.from(fact).toString() : fact;
}
