/** Paths in the executable of files that the packager makes. */

/** The list of all other paths, as JSON. */
export const PATHS = 'paths.json';
export const LICENCES = 'licences.txt';
export const SOURCE_MAP = 'main.js.map';
