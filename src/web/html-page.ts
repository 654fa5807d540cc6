import { createHash } from 'node:crypto';

export interface PageOptions {
  readonly version: string;
  readonly telemetryPath: string;
  /** Text shown at the top of every page. */
  readonly notice: string | undefined;
}

export interface PageContent {
  readonly title: string;
  /** Additional elements of the head. */
  readonly head?: string;
  readonly body: string;
  readonly script?: string;
}

/**
 * Header value that lets only the style of all pages and `script` run, and only requests to this server. They are named
 * by their hashes, so that a page is the same for all clients.
 */
export function contentSecurityPolicy(script: string): string {
  return [
    "default-src 'none'",
    `style-src ${hashOf(STYLE)}`,
    `script-src ${script === '' ? "'none'" : hashOf(script)}`,
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join('; ');
}

function hashOf(text: string): string {
  return `'sha256-${createHash('sha256').update(text).digest('base64')}'`;
}

/** Escapes text from outside, such as names of VMs, for element content and attribute values. */
export function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (char) => `&#${char.charCodeAt(0)};`);
}

/** A complete document: the frame that all pages share. `title`, `head` and `body` are HTML. */
export function htmlPage(
  { version, notice }: PageOptions,
  { title, head = '', body, script = '' }: PageContent,
): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
${head}
<style>${STYLE}</style>
</head>
<body>
<h1>${title}</h1>
${notice === undefined ? '' : `<p class="notice">${escapeHtml(notice)}</p>`}
${body}
${script === '' ? '' : `<script>${script}</script>`}
<footer>version ${escapeHtml(version)}</footer>
</body>
</html>
`;
}

const STYLE = `
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 64rem; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
caption { text-align: left; font-weight: bold }
th, td { padding: .25rem .75rem .25rem 0; text-align: right; border-bottom: 1px solid #8886 }
th, td { font-variant-numeric: tabular-nums; vertical-align: top }
th:first-child, td.text, td.text ~ td { text-align: left }
tbody th { font-weight: normal; overflow-wrap: anywhere }
.notice { border-left: 4px solid #e0a800; background: #e0a80022; padding: .5rem 1rem }
footer { opacity: .7; font-size: .85rem }
`;
