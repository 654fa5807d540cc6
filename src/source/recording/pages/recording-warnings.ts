/** What the user should know about how a recording was made. */
export interface RecordingWarnings {
  /** One line each, with the recording's path. */
  readonly lines: readonly string[];
  /** True if one of the lines says that the end of the recording is missing. */
  readonly coverCut?: boolean;
  /** True if the last line of a text has no line end. */
  readonly isLineOpen?: boolean;
}

export const NO_WARNINGS: RecordingWarnings = { lines: [] };

const CUT =
  'ends in the middle: it is cut or damaged, or still being written; what comes before is counted; copy or record it again for the rest';
const MAYBE_CUT = 'its last line has no line end: it may be cut, or still being written';

/**
 * The lines to show to the user, one of which says if the recording is cut.
 * @param isCut true if something that could not be decoded shows that
 */
export function withCut(
  path: string,
  { lines, coverCut, isLineOpen }: RecordingWarnings,
  isCut: boolean,
): readonly string[] {
  if (coverCut === true || !(isCut || isLineOpen === true)) return lines;
  return [...lines, `${path}: ${isCut ? CUT : MAYBE_CUT}`];
}
