/**
 * Characters that act on a terminal or hide in a text: controls, C1 controls, marks of direction, invisible marks, and
 * separators of lines. Names of VMs and files may contain them.
 */
const UNSAFE = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu;

/** One line of text with such characters replaced. */
export function printable(text: string, replacement = '\u{fffd}'): string {
  return text.replace(UNSAFE, replacement);
}

/** Text between JSON's quotes with such characters escaped, so that the value stays the same. */
export function escapeInJson(json: string): string {
  return json.replace(UNSAFE, (char) =>
    Array.from({ length: char.length }, (_, i) => `\\u${char.charCodeAt(i).toString(16).padStart(4, '0')}`).join(''),
  );
}
