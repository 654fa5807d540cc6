import { unknownName } from '../../system/did-you-mean.js';
import { AgentError } from '../../system/errors.js';
import { parseYaml, yamlLibrary } from '../../system/yaml.js';

type Section = Readonly<Record<string, unknown>>;

/** Reads typed values from a YAML file and collects all problems, so that one error can list them. */
export class YamlReader {
  readonly root: unknown;
  readonly #path: string;
  readonly #problems: string[] = [];

  constructor(path: string, text: string) {
    this.#path = path;
    const { isAlias, LineCounter, visit } = yamlLibrary();
    const lines = new LineCounter();
    const document = parseYaml(path, text, lines);
    for (const { pos, message } of document.errors)
      this.addProblem(`line ${lines.linePos(pos[0]).line}: ${message.split('\n')[0]}`);
    visit(document, (_key, node) => {
      if (isAlias(node)) this.addProblem('aliases (*name) are not supported');
    });
    this.throwProblems();
    this.root = document.toJS();
  }

  addProblem(text: string): void {
    this.#problems.push(`${this.#path}: ${text}`);
  }

  /** @throws AgentError that lists the problems, if there are any */
  throwProblems(): void {
    if (this.#problems.length > 0) throw new AgentError(this.#problems.join('\n'));
  }

  /** The mapping `value`; {} if it is absent. Keys that are not `known` are problems; undefined: any key is allowed. */
  section(name: string, value: unknown, known?: readonly string[]): Section {
    if (value === undefined || value === null || value === '') return {};
    if (!isSection(value)) {
      this.addProblem(`${name === '' ? 'the file' : name}: expected "key: value" lines`);
      return {};
    }
    for (const key of Object.keys(value))
      if (known?.includes(key) === false)
        this.addProblem(`${name === '' ? '' : `${name}: `}${unknownName('key', key, known)}`);
    return value;
  }

  /** '' if the value is absent. */
  string(name: string, value: unknown): string {
    if (value === undefined || value === null) return '';
    if (typeof value === 'string') return value;
    this.addProblem(`${name}: expected text`);
    return '';
  }

  strings(name: string, value: unknown): string[] {
    if (value === undefined || value === null || value === '') return [];
    if (Array.isArray(value) && value.every((each) => typeof each === 'string')) return value;
    this.addProblem(`${name}: expected a list`);
    return [];
  }

  boolean(name: string, value: unknown, defaultValue: boolean): boolean {
    const text = this.string(name, value) || String(defaultValue);
    return this.oneOf(name, text, ['true', 'false'], 'true') === 'true';
  }

  /**
   * `value` if it is one of the choices. Otherwise a problem, and `fallback`, so that the rest of the file can still be
   * checked.
   */
  oneOf<T extends string>(name: string, value: string, choices: readonly T[], fallback: T): T {
    const choice = choices.find((candidate) => candidate === value);
    if (choice === undefined) this.addProblem(`${name}: expected ${choices.join(', ')}`);
    return choice ?? fallback;
  }
}

function isSection(value: unknown): value is Section {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
