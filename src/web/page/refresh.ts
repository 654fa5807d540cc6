/// <reference lib="dom" />
import { morph } from './morph.js';

const REFRESH_MS = 5000;

/**
 * Shows the page as the server has it now, again and again, while it is visible. The server alone writes HTML, and
 * escapes it; this only carries it over.
 * @param ids the elements that change
 * @param prepare called with the new page before it is shown
 */
export function refreshForEver(ids: readonly string[], prepare: (page: Document) => void = () => {}): void {
  const refresh = async () => {
    if (document.visibilityState === 'visible') await showLatest(ids, prepare);
    setTimeout(refresh, REFRESH_MS);
  };
  setTimeout(refresh, REFRESH_MS);
}

async function showLatest(ids: readonly string[], prepare: (page: Document) => void): Promise<void> {
  try {
    const response = await fetch(location.pathname + location.search);
    if (!response.ok) return showState(response.status === 404 ? 'This VM is gone' : `Status ${response.status}`);
    const page = new DOMParser().parseFromString(await response.text(), 'text/html');
    prepare(page);
    for (const id of ids) {
      const [own, wanted] = [document.getElementById(id), page.getElementById(id)];
      if (own !== null && wanted !== null) morph(own, wanted);
    }
  } catch {
    showState('The agent does not answer');
  }
}

function showState(text: string): void {
  const state = document.getElementById('state');
  if (state !== null) state.textContent = `${text}: these figures are old.`;
}

/** The answer of a path of the agent's API; undefined if there is none. */
export async function read<Answer>(path: string): Promise<Answer | undefined> {
  try {
    const response = await fetch(path);
    return response.ok ? ((await response.json()) as Answer) : undefined;
  } catch {
    return undefined;
  }
}
