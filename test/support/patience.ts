/**
 * How much longer than usual a test waits for what must come: an emulated host is ten times slower. What a test checks
 * does not depend on it.
 */
export const PATIENCE = Number(process.env.TEST_PATIENCE ?? 1);

/** How long a test waits for what must come. Only a program that hangs takes as long, even on a busy machine. */
export const HANG_MS = PATIENCE * 60_000;
