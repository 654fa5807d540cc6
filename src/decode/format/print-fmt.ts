/**
 * The tables in an event's `print fmt` that give names to numbers.
 *
 *   print fmt: "vcpu %u reason %s%s%s ...", REC->vcpu_id,
 *     (REC->isa == 1) ? __print_symbolic(REC->exit_reason & 0xffff, { 0, "EXCEPTION_NMI" }, ...)
 *                     : __print_symbolic(REC->exit_reason, { 0x000, "read_cr0" }, { 0x040 + 0, "DE excp" }, ...
 *                                        { -1, "invalid_guest_state" }),
 *     (REC->isa == 1) ? __print_flags(REC->exit_reason & ~0xffff, " ", { 0x80000000, "FAILED_VMENTRY" }) : "", ...
 *   kvm_userspace_exit: __print_symbolic(REC->reason, { 2, "KVM_EXIT_" "IO" }, ...)
 *
 * The text is C code, the preprocessor's output of TP_printk (arch/x86/kvm/trace.h, include/trace/events/kvm.h,
 * arch/arm64/kvm/trace_arm.h). Only these two macros are read. Keys can be sums, shifts, negative, in brackets, and
 * have suffixes: `((0x24UL))`. Names can hold blanks and consist of several literals in a row. A key that is not a
 * constant, such as an enum that the kernel did not resolve, is left out. Not used: all other macros, the format
 * string, the arguments.
 */

/** Number -> name. */
export type Labels = ReadonlyMap<number, string>;

export interface LabelTable {
  readonly macro: 'symbolic' | 'flags';
  /** The first argument: `REC->exit_reason & 0xffff`. */
  readonly expression: string;
  /** The text in front of the macro, which can end with a condition: `(REC->isa == 1) ? `. */
  readonly before: string;
  /** Negative keys are stored as the unsigned 32 bits that a record holds. */
  readonly labels: Labels;
}

const MACRO = /__print_(symbolic|flags)\s{0,4}\(/;
/** Enough characters for a condition on one field. */
const BEFORE_LENGTH = 40;
const MAX_NAME_LENGTH = 120;

/** All tables of a `print fmt`, in the order of the text. */
export function parseLabelTables(printFmt: string): LabelTable[] {
  const tables: LabelTable[] = [];
  const macro = new RegExp(MACRO, 'g');
  for (let match = macro.exec(printFmt); match !== null; match = macro.exec(printFmt)) {
    const scanner = new Scanner(printFmt, macro.lastIndex);
    const expression = scanner.expression();
    const labels = new Map<number, string>();
    for (;;) {
      const entry = scanner.nextEntry();
      if (entry === undefined) break;
      const key = constant(entry.key);
      // The kernel uses the first match, so a repeated key keeps its first name.
      if (key !== undefined && !labels.has(key)) labels.set(key, entry.name);
    }
    const before = printFmt.slice(Math.max(0, match.index - BEFORE_LENGTH), match.index);
    tables.push({ macro: match[1] === 'flags' ? 'flags' : 'symbolic', expression, before, labels });
    // Continues behind the macro, so that a text of unclosed macros is read once only.
    macro.lastIndex = scanner.at;
  }
  return tables;
}

/** The names of a field's values, empty if the `print fmt` has none. */
export function fieldLabels(printFmt: string, field: string): Labels {
  const table = parseLabelTables(printFmt).find(
    ({ macro, expression }) => macro === 'symbolic' && mentions(expression, field),
  );
  return table?.labels ?? new Map();
}

/** True if a macro's argument is about this field. */
export function mentions(expression: string, field: string): boolean {
  return new RegExp(`->\\s*${field}\\b`).test(expression);
}

/** Reads the arguments of one macro. Every step advances or ends, so any text is read in one pass. */
class Scanner {
  readonly #text: string;
  #at: number;

  constructor(text: string, at: number) {
    this.#text = text;
    this.#at = at;
  }

  get at(): number {
    return this.#at;
  }

  /** The text up to the first comma that is not inside brackets. */
  expression(): string {
    const start = this.#at;
    let depth = 0;
    for (; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at];
      if (char === '(') depth++;
      else if (char === ')' && depth-- === 0) break;
      else if (char === ',' && depth === 0) break;
    }
    return this.#text.slice(start, this.#at).trim();
  }

  /** The next `{ key, "name" }` of this macro, undefined at its end. The delimiter of `__print_flags` is skipped. */
  nextEntry(): { readonly key: string; readonly name: string } | undefined {
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined || char === ')') return undefined;
      if (char === '"') this.#literal();
      else if (char === '{') break;
      else this.#at++;
    }
    const comma = this.#text.indexOf(',', this.#at);
    if (comma < 0) return undefined;
    const key = this.#text.slice(this.#at + 1, comma);
    this.#at = comma + 1;
    let name = '';
    for (;;) {
      const char = this.#text[this.#at];
      if (char === undefined) return undefined;
      if (char === '"') name += this.#literal();
      else this.#at++;
      if (char === '}') return { key, name: name.slice(0, MAX_NAME_LENGTH) };
    }
  }

  /** The content of a string literal. Begins at the opening quote and ends behind the closing one. */
  #literal(): string {
    let content = '';
    for (this.#at++; this.#at < this.#text.length; this.#at++) {
      const char = this.#text[this.#at];
      if (char === '"') break;
      if (char === '\\') this.#at++;
      content += this.#text[this.#at] ?? '';
    }
    this.#at++;
    return content;
  }
}

const KEY_TOKEN = /\s*(0x[0-9a-fA-F]+|\d+)[uUlL]*|\s*(<<|[-+|()])/y;
const MAX_KEY_LENGTH = 64;

/**
 * The value of a key: `0x040 + 3`, `-1`, `((0x24UL))`, `(1 << 31) | 2`. Terms joined by + - | << are evaluated from the
 * left, which is enough for the keys of kernels. Undefined for anything else.
 */
function constant(text: string): number | undefined {
  if (text.length > MAX_KEY_LENGTH) return undefined;
  const tokens: string[] = [];
  KEY_TOKEN.lastIndex = 0;
  const trimmed = text.trim();
  while (KEY_TOKEN.lastIndex < trimmed.length) {
    const match = KEY_TOKEN.exec(trimmed);
    if (match === null) return undefined;
    tokens.push(match[1] ?? match[2] ?? '');
  }
  const value = sum(tokens);
  if (value === undefined || tokens.length > 0) return undefined;
  return Number(value < 0n ? BigInt.asUintN(32, value) : value);
}

/** Consumes tokens up to a closing bracket. {@link MAX_KEY_LENGTH} bounds the depth. */
function sum(tokens: string[]): bigint | undefined {
  let value = term(tokens);
  while (value !== undefined && tokens.length > 0 && tokens[0] !== ')') {
    const operator = tokens.shift();
    const right = term(tokens);
    if (right === undefined) return undefined;
    if (operator === '+') value += right;
    else if (operator === '-') value -= right;
    else if (operator === '|') value |= right;
    else if (operator === '<<' && right >= 0n && right < 64n) value <<= right;
    else return undefined;
  }
  return value;
}

function term(tokens: string[]): bigint | undefined {
  const token = tokens.shift();
  if (token === undefined) return undefined;
  if (token === '(') {
    const value = sum(tokens);
    return tokens.shift() === ')' ? value : undefined;
  }
  if (token === '-') {
    const value = term(tokens);
    return value === undefined ? undefined : -value;
  }
  return /^\d/.test(token) ? BigInt(token) : undefined;
}
