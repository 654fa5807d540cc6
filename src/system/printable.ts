import { redact } from './redact.js';

/**
 * Characters that act on a terminal or hide in a text: controls, C1 controls, marks of direction, invisible marks,
 * separators of lines, and halves of surrogate pairs. Names of VMs, files and events may contain them.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const UNSAFE_IN_LINES = /(?!\n)[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu;
const REPLACEMENT = '\u{fffd}';

/** One line of text with such characters replaced. */
export function printable(text: string, replacement = REPLACEMENT): string {
  return text.replace(UNSAFE, replacement);
}

/** The same for several lines. Clean what comes from outside with {@link printable} first: it could add a line. */
export function printableLines(text: string): string {
  return text.replace(UNSAFE_IN_LINES, REPLACEMENT);
}

/** JSON with such characters escaped, so that its values stay the same. */
export function escapeInJson(json: string): string {
  return json.replace(UNSAFE_IN_LINES, (char) =>
    Array.from({ length: char.length }, (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''),
  );
}

/** Writes text to standard output, which may be a terminal. */
export function print(text: string): void {
  process.stdout.write(printableLines(text));
}

/** Writes a message to standard error, with the program's name before each of its lines. */
export function printMessage(message: string): void {
  for (const line of message.split('\n')) process.stderr.write(`kvm-exit-exporter: ${printable(redact(line))}\n`);
}
