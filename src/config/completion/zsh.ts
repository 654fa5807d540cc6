/** The completion script for zsh: a file `_kvm-exit-exporter` in `$fpath`, or sourced after `compinit`. */
import {
  DEFAULT_COMMAND,
  GENERAL_OPTIONS,
  isBare,
  SHELL_COMMANDS,
  type ShellOption,
  type Values,
} from './shell-options.js';

export function zshCompletion(): string {
  return `#compdef kvm-exit-exporter
# zsh completion for kvm-exit-exporter, written by: kvm-exit-exporter completion zsh
_kvm_exit_exporter() {
  local command=${DEFAULT_COMMAND}
  if (( CURRENT == 2 )) && [[ $words[2] != -* ]]; then
    local -a commands
    commands=(
${SHELL_COMMANDS.map(({ name, help }) => `      ${quoted(`${name}:${help}`)}`).join('\n')}
    )
    _describe command commands
    return
  fi
  if [[ $words[2] != -* ]]; then
    command=$words[2]
    shift words
    (( CURRENT-- ))
  fi
  case $command in
${SHELL_COMMANDS.map(({ name, options, operands }) => {
  const all = [...options, ...GENERAL_OPTIONS].flatMap(specifications);
  const rest = operands === undefined ? [] : [quoted(`*: :${action(operands)}`)];
  return `    ${name})\n      _arguments -S \\\n${[...all, ...rest].map((line) => `        ${line}`).join(' \\\n')}\n      ;;`;
}).join('\n')}
  esac
}
if [[ $funcstack[1] == _kvm-exit-exporter ]]; then
  _kvm_exit_exporter "$@"
else
  compdef _kvm_exit_exporter kvm-exit-exporter
fi
`;
}

/** Arguments of zsh's `_arguments` for an option. */
function specifications(option: ShellOption): string[] {
  const { flag, short, help, placeholder, values, isMultiple } = option;
  const text = `[${help.replace(/[[\]:\\]/g, '\\$&')}]`;
  if (isBare(option)) return [quoted(`(- *)--${flag}${text}`)];
  if (option.isToggle)
    return [quoted(`(--no-${flag})--${flag}${text}`), quoted(`(--${flag})--no-${flag}[Not: --${flag}]`)];
  const value = `:${placeholder.replace(/[:\\]/g, '\\$&')}:${action(values)}`;
  const once = isMultiple ? '*' : '';
  const long = quoted(`${once}--${flag}=${text}${value}`);
  return short === undefined ? [long] : [quoted(`-${short}${text}${value}`), long];
}

function action(values: Values): string {
  if (values === 'file') return '_files';
  if (values === 'directory') return '_files -/';
  return values === undefined ? ' ' : `(${values.join(' ')})`;
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
