import type { Response } from 'express';

const RETRY_AFTER_SECONDS = '1';

/** Answers with an error status and a reason as plain text. */
export function refuse(response: Response, status: number, reason: string): void {
  if (status === 429 || status === 503) response.set('Retry-After', RETRY_AFTER_SECONDS);
  response.status(status).type('text/plain').send(`${reason}\n`);
}
