/** Matches one character of a name, or any number of them. */
type Token = '*' | ((char: string) => boolean);

/**
 * Returns a function that tells whether a shell pattern matches all of a name: `*`, `?`, `[a-z]` and `[!a-z]`.
 *
 * It takes at most as many steps as the pattern has characters, times those of the name. A regular expression can take
 * the length of the name to the power of the number of stars, and names come from users of the host.
 */
export function namePattern(pattern: string): (name: string) => boolean {
  const tokens = tokensOf(pattern);
  return (name) => matches(tokens, name);
}

function tokensOf(pattern: string): Token[] {
  const tokens: Token[] = [];
  for (const [token, not, set] of pattern.matchAll(/\[(!?)([^\]]+)\]|[\s\S]/g)) {
    if (set !== undefined) {
      const isInSet = setOf(set);
      tokens.push(not === '!' ? (char) => !isInSet(char) : isInSet);
    } else if (token === '*') tokens.push('*');
    else if (token === '?') tokens.push(() => true);
    else tokens.push((char) => char === token);
  }
  return tokens;
}

/** The characters of `a-z_`. */
function setOf(set: string): (char: string) => boolean {
  const ranges = [...set.matchAll(/([\s\S])-([\s\S])|[\s\S]/g)].map(([one, first = one, last = one]) => ({
    first,
    last,
  }));
  return (char) => ranges.some(({ first, last }) => first <= char && char <= last);
}

/** If the text behind a star does not match, the star takes one more character. Only the latest star needs to. */
function matches(tokens: readonly Token[], name: string): boolean {
  let token = 0;
  let at = 0;
  /** Position behind the latest star, and where the text behind it begins; -1 before the first star. */
  let afterStar = -1;
  let starEnd = 0;
  while (at < name.length) {
    const wanted = tokens[token];
    if (wanted === '*') {
      afterStar = ++token;
      starEnd = at;
    } else if (wanted?.(name[at] as string) === true) {
      token++;
      at++;
    } else if (afterStar < 0) return false;
    else {
      token = afterStar;
      at = ++starEnd;
    }
  }
  while (tokens[token] === '*') token++;
  return token === tokens.length;
}
