import { createHash } from 'node:crypto';
import { STYLE } from './style.js';

export interface PageOptions {
  readonly version: string;
  readonly telemetryPath: string;
  /** Text shown at the top of every page. */
  readonly notice: string | undefined;
  /** Address of a file for browsers: see {@link Assets}. */
  readonly href: (asset: string) => string;
}

export interface PageContent {
  /** Text. */
  readonly title: string;
  /** HTML: additional elements of the head. */
  readonly head?: string;
  /** HTML. */
  readonly body: string;
  /** Names of assets. */
  readonly styles?: readonly string[];
  readonly scripts?: readonly string[];
}

/**
 * Header value that lets only the style of all pages and the assets of this server in, and only requests to this
 * server. The style is named by its hash, so that a page is the same for all clients.
 */
export const CONTENT_SECURITY_POLICY = [
  "default-src 'none'",
  `style-src 'self' 'sha256-${createHash('sha256').update(STYLE).digest('base64')}'`,
  "script-src 'self'",
  "connect-src 'self'",
  "img-src 'self'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** Escapes text from outside, such as names of VMs, for element content and attribute values. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** A complete document: the frame that all pages share. */
export function htmlPage(
  { version, notice, href }: PageOptions,
  { title, head = '', body, styles = [], scripts = [] }: PageContent,
): string {
  const links = styles.map((name) => `<link rel="stylesheet" href="${href(name)}">`);
  // A module runs after the scripts before it, and after the document.
  const elements = scripts.map((name) =>
    name === 'uplot.js'
      ? `<script defer src="${href(name)}"></script>`
      : `<script type="module" src="${href(name)}"></script>`,
  );
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escapeHtml(title)}</title>
<link rel="icon" href="${href('icon.svg')}">
<style>${STYLE}</style>
${[head, ...links, ...elements].join('\n')}
</head>
<body>
<main>
<h1>${escapeHtml(title)}</h1>
${notice === undefined ? '' : `<p class="notice">${escapeHtml(notice)}</p>`}
${body}
</main>
<footer>kvm-exit-exporter, version ${escapeHtml(version)}</footer>
</body>
</html>
`;
}
