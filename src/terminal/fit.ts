import stringWidth from 'string-width';
import { printable } from '../system/printable.js';

/** Longest text that is measured: a grapheme can have any number of combining marks. */
const MAX_LENGTH = 500;
const graphemes = new Intl.Segmenter('en', { granularity: 'grapheme' });

/**
 * The text in exactly this many columns of a terminal: cut with `…`, or filled with spaces. What acts on a terminal is
 * replaced. Characters of East Asian scripts and emoji take two columns.
 */
export function fit(text: string, columns: number, align: 'left' | 'right' = 'left'): string {
  if (columns <= 0) return '';
  const clean = printable(text.slice(0, MAX_LENGTH));
  const width = widthOf(clean);
  const missing = ' '.repeat(Math.max(0, columns - width));
  if (width <= columns) return align === 'left' ? clean + missing : missing + clean;
  let cut = '';
  let used = 0;
  for (const { segment } of graphemes.segment(clean)) {
    const more = widthOf(segment);
    if (used + more > columns - 1) break;
    cut += segment;
    used += more;
  }
  return `${cut}…${' '.repeat(columns - 1 - used)}`;
}

/** The text in lines of at most this many columns, broken between words. */
export function wrap(text: string, columns: number, indent = ''): string[] {
  const lines: string[] = [];
  let line = '';
  for (const word of printable(text).split(' ')) {
    if (line !== '' && widthOf(`${indent}${line} ${word}`) > columns) {
      lines.push(indent + line);
      line = word;
    } else line = line === '' ? word : `${line} ${word}`;
  }
  return [...lines, indent + line];
}

export function widthOf(text: string): number {
  return /^[ -~]*$/.test(text) ? text.length : stringWidth(text);
}
