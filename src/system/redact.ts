/** Hides secrets in texts for logs and messages: passwords and queries of URLs, and values that were registered. */

const HIDDEN = '***';
/** Shorter values occur in ordinary words. */
const MIN_SECRET_LENGTH = 4;
/** Values of headers, as the environment gives them. */
const secrets = new Set<string>();

/** Has {@link redact} hide this value from now on. */
export function addSecret(value: string): void {
  if (value.length >= MIN_SECRET_LENGTH) secrets.add(value);
}

export function redact(text: string): string {
  let result = text;
  for (const secret of secrets) result = result.replaceAll(secret, HIDDEN);
  return result.includes('://') ? result.replace(/[^\s"']+/g, redactUrl) : result;
}

/** `http://user:password@host/path?token=1` becomes `http://***@host/path?***`. The time is linear in the length. */
function redactUrl(word: string): string {
  const scheme = word.indexOf('://');
  if (scheme < 0) return word;
  const start = scheme + '://'.length;
  // The last @, because a password may contain one.
  const at = word.lastIndexOf('@');
  const host = at < start ? start : at;
  const query = word.indexOf('?', host);
  const credentials = at < start ? '' : HIDDEN;
  const rest = query < 0 ? word.slice(host) : `${word.slice(host, query)}?${HIDDEN}`;
  return `${word.slice(0, start)}${credentials}${rest}`;
}

/** Hides what stands before the last @ of a text that was to be a URL. */
export function redactCredentials(text: string): string {
  const at = text.lastIndexOf('@');
  return at < 0 ? text : `${HIDDEN}${text.slice(at)}`;
}
