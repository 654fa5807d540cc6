import { isAlias, LineCounter, parseDocument, visit } from 'yaml';
import { unknown } from '../../system/did-you-mean.js';
import { AgentError } from '../../system/errors.js';

type Section = Readonly<Record<string, unknown>>;

/** All scalars as they are written: `0x10` as a password's name is no number. No warnings of the library's own on stderr. */
const YAML_OPTIONS = { schema: 'failsafe', prettyErrors: false, logLevel: 'error' } as const;

/** Values of the file by type, and a list of what is wrong with them. */
export class SectionReader {
  readonly root: unknown;
  readonly #path: string;
  readonly #problems: string[] = [];

  constructor(path: string, text: string) {
    this.#path = path;
    const lines = new LineCounter();
    const document = parseDocument(text, { ...YAML_OPTIONS, lineCounter: lines });
    for (const { pos, message } of document.errors)
      this.problem(`line ${lines.linePos(pos[0]).line}: ${message.split('\n')[0]}`);
    visit(document, (_key, node) => {
      if (isAlias(node)) this.problem('aliases (*name) are not understood here');
    });
    this.end();
    this.root = document.toJS();
  }

  problem(text: string): void {
    this.#problems.push(`${this.#path}: ${text}`);
  }

  /** @throws AgentError where there was a problem */
  end(): void {
    if (this.#problems.length > 0) throw new AgentError(this.#problems.join('\n'));
  }

  /** Only `known` keys; undefined: any. */
  section(name: string, value: unknown, known?: readonly string[]): Section {
    if (value === undefined || value === null || value === '') return {};
    if (!isSection(value)) {
      this.problem(`${name === '' ? 'the file' : name}: expected "key: value" lines`);
      return {};
    }
    for (const key of Object.keys(value))
      if (known?.includes(key) === false)
        this.problem(`${name === '' ? '' : `${name}: `}${unknown('key', key, known)}`);
    return value;
  }

  /** '' where it is not given. */
  string(name: string, value: unknown): string {
    if (value === undefined || value === null) return '';
    if (typeof value === 'string') return value;
    this.problem(`${name}: expected text`);
    return '';
  }

  strings(name: string, value: unknown): string[] {
    if (value === undefined || value === null || value === '') return [];
    if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value;
    this.problem(`${name}: expected a list`);
    return [];
  }

  boolean(name: string, value: unknown, preset: boolean): boolean {
    const text = this.string(name, value) || String(preset);
    return this.oneOf(name, text, ['true', 'false'], 'true') === 'true';
  }

  /** Where it is none of them: a problem, and `otherwise`, for what else is to be checked. */
  oneOf<T extends string>(name: string, value: string, choices: readonly T[], otherwise: T): T {
    const choice = choices.find((candidate) => candidate === value);
    if (choice === undefined) this.problem(`${name}: expected ${choices.join(', ')}`);
    return choice ?? otherwise;
  }
}

function isSection(value: unknown): value is Section {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
