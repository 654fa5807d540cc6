import { CATALOGUE } from '../snapshot/catalogue.js';
import { escapeHtml, htmlPage, type PageOptions } from './html-page.js';

/** The page /docs: type, labels and meaning of every metric. */
export function docsPage(options: PageOptions): string {
  const rows = CATALOGUE.map(
    ({ name, type, labels, help }) =>
      `<tr><th scope="row"><code>${name}</code></th><td class="text">${type}</td><td class="text">${labels.join(', ')}</td><td class="text">${escapeHtml(help)}</td></tr>`,
  );
  const body = `<p><a href="/">Back to the VMs</a></p>
<table class="cards"><thead><tr><th scope="col">Metric</th><th scope="col" class="text">Type</th><th scope="col" class="text">Labels</th><th scope="col" class="text">Meaning</th></tr></thead>
<tbody>${rows.join('\n')}</tbody></table>`;
  return htmlPage(options, { title: 'kvm-exit-exporter: metrics', body });
}
