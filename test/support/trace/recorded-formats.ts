/** The event formats of a recording, from the copy of tracefs' `events` folder in its fixture. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type EventFormats, readEventFormats } from '../../../src/decode/format/event-format.js';
import { fixture } from '../fixtures.js';

/** Formats of `test/fixtures/RECORDING/tracefs`, parsed. Fails the test if one of them cannot be parsed. */
export function readFormats(recording: string): EventFormats {
  const read = readEventFormats(headerPage(recording), formatTexts(recording).values());
  assert.ok('formats' in read, 'problem' in read ? read.problem : '');
  assert.deepEqual(read.problems, []);
  return read.formats;
}

export function headerPage(recording: string): string {
  return readFileSync(fixture(`${recording}/tracefs/events/header_page`), 'utf8');
}

/** The text of each event's format file, by the name of the event. */
export function formatTexts(recording: string): Map<string, string> {
  const texts = new Map<string, string>();
  const events = fixture(`${recording}/tracefs/events`);
  for (const system of readdirSync(events, { withFileTypes: true })) {
    if (!system.isDirectory()) continue;
    for (const event of readdirSync(join(events, system.name))) {
      texts.set(event, readFileSync(join(events, system.name, event, 'format'), 'utf8'));
    }
  }
  return texts;
}
