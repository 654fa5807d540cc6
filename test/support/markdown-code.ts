/** Finds blocks of code on Markdown pages, and the PromQL in them. */
import { inlineCodeOf, type Page } from './markdown.js';

export interface CodeBlock {
  readonly page: string;
  /** As after the three backticks; '' for indented code. */
  readonly language: string;
  readonly text: string;
}

/** Blocks between three backticks, and blocks that are indented by four columns or more, also in lists. */
export function codeBlocksOf({ path, text }: Page): CodeBlock[] {
  const fenced = [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = '', code = '']) => ({
    page: path,
    language,
    text: code,
  }));
  const indented = [
    ...text.replaceAll(/^```[\s\S]*?^```$/gm, 'code').matchAll(/^(?:(?: {4}.*|[ \t]*)\n)*(?: {4}.*)(?=\n|$)/gm),
  ];
  return [...fenced, ...indented.map(([code]) => ({ page: path, language: '', text: withoutIndent(code) }))];
}

function withoutIndent(code: string): string {
  const lines = code.split('\n').filter((line, index) => index > 0 || line.trim() !== '');
  const indents = lines.filter((line) => line.trim() !== '').map((line) => line.length - line.trimStart().length);
  return `${lines.map((line) => line.slice(Math.min(...indents))).join('\n')}\n`;
}

const START =
  /^(?:(?:sum|topk|rate|increase|changes|histogram_quantile|count)\b[ (]|(?:kvm|qemu|vm|up)(?:[_:][\w:]*)?(?:\{\w+[=!]| [=!<>]=? ))/;
/** What a line of an exposition, and an abridged selector, end with. */
const NO_QUERY = /\} +[\d.e+]+$|\.\.\.|…|\(\)/;
const CONTINUES = /^(?: |[-+*/<>)]|(?:and|or|unless|on|group_left)\b)/;
const IS_OPEN = /(?:[-+*/=<>]|\b(?:on|by|group_left|group_right) \([^)]*\))$/;

/** PromQL of a page: each expression that stands in a block of code or between backticks. */
export function queriesOf(page: Page): string[] {
  const inline = inlineCodeOf(page).filter((code) => /[({]/.test(code) || / [=!<>]=? /.test(code));
  return [...codeBlocksOf(page).flatMap(({ text }) => expressionsIn(text)), ...inline].filter(
    (code) => START.test(code) && !NO_QUERY.test(code),
  );
}

/** An expression ends where its parentheses are closed, and the next line does not go on. */
function expressionsIn(text: string): string[] {
  const found: string[] = [];
  let expression = '';
  for (const line of text.split('\n').filter((line) => !line.startsWith('#'))) {
    if (expression !== '' && !CONTINUES.test(line) && !IS_OPEN.test(expression) && isClosed(expression)) {
      found.push(expression);
      expression = '';
    }
    expression += expression === '' ? line : `\n${line}`;
  }
  return [...found, expression].map((each) => each.trim()).filter((each) => each !== '');
}

function isClosed(expression: string): boolean {
  const outsideOfStrings = expression.replace(/"(?:[^"\\]|\\.)*"/g, '');
  return (outsideOfStrings.match(/[({[]/g) ?? []).length === (outsideOfStrings.match(/[)}\]]/g) ?? []).length;
}
