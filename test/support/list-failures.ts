/**
 * A reporter of Node.js's test runner: a line for each failed test, for the end of a long log.
 *
 *   test/live/counts.test.ts: exits of two VMs: Expected values to be strictly equal: 100 !== 99
 */

import { relative } from 'node:path';
import type { TestEvent } from 'node:test/reporters';

const MAX_MESSAGE_CHARACTERS = 300;

// biome-ignore lint/style/noDefaultExport: the test runner takes a module's default export as the reporter.
export default async function* listFailures(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type, data } of events) {
    if (type !== 'test:fail') continue;
    // A test whose subtests fail has nothing to say of its own.
    const error = data.details.error as Error & { failureType?: string };
    if (error.failureType === 'subtestsFailed') continue;
    const message = ((error.cause as Error | undefined)?.message ?? error.message).replace(/\s+/g, ' ');
    yield `${relative('.', data.file ?? '')}: ${data.name}: ${message.slice(0, MAX_MESSAGE_CHARACTERS)}\n`;
  }
}
