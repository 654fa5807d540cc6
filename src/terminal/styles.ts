/** Styles that every terminal has. Colours would have to fit its background, which is not known. */
const styled = (code: number) => (text: string) => `\u001b[${code}m${text}\u001b[0m`;

export const bold = styled(1);
export const dim = styled(2);
export const reversed = styled(7);
