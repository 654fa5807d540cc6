/// <reference lib="dom" />

export interface LegendEntry {
  readonly name: string;
  readonly text: string;
  readonly colour: string;
  readonly isShown: boolean;
}

/** Names and values of the series of a chart, as buttons that hide and show them. */
export class Legend {
  readonly #time: HTMLElement;
  readonly #list: HTMLElement;
  readonly #toggle: (name: string) => void;
  readonly #buttons = new Map<string, HTMLButtonElement>();

  constructor(parent: HTMLElement, toggle: (name: string) => void) {
    this.#time = parent.appendChild(document.createElement('p'));
    this.#time.className = 'legend-time';
    this.#list = parent.appendChild(document.createElement('div'));
    this.#list.className = 'legend';
    this.#toggle = toggle;
  }

  show(time: string, entries: readonly LegendEntry[]): void {
    this.#time.textContent = time === '' ? '' : `at ${time}`;
    const names = new Set(entries.map(({ name }) => name));
    for (const [name, button] of this.#buttons)
      if (!names.has(name)) {
        button.remove();
        this.#buttons.delete(name);
      }
    for (const { name, text, colour, isShown } of entries) {
      const button = this.#buttons.get(name) ?? this.#add(name);
      const [swatch, label] = button.children as unknown as [HTMLElement, HTMLElement];
      // By the object model, which the policy of the page allows, unlike an attribute.
      swatch.style.backgroundColor = colour;
      label.textContent = `${name}: ${text}`;
      button.setAttribute('aria-pressed', String(isShown));
    }
  }

  #add(name: string): HTMLButtonElement {
    const button = this.#list.appendChild(document.createElement('button'));
    button.type = 'button';
    button.append(document.createElement('i'), document.createElement('span'));
    button.addEventListener('click', () => this.#toggle(name));
    this.#buttons.set(name, button);
    return button;
  }
}
