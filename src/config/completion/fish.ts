/** The completion script for fish 3 or later. */
import {
  DEFAULT_COMMAND,
  GENERAL_OPTIONS,
  isBare,
  SHELL_COMMANDS,
  type ShellOption,
  type Values,
} from './shell-options.js';

export function fishCompletion(): string {
  return `# fish completion for kvm-exit-exporter, written by: kvm-exit-exporter completion fish
function __kvm_exit_exporter_command
    set -l words (commandline -opc)
    if set -q words[2]; and not string match -q -- '-*' $words[2]
        test $words[2] = $argv[1]
    else
        test ${DEFAULT_COMMAND} = $argv[1]
    end
end
complete -c kvm-exit-exporter -f
${SHELL_COMMANDS.map(({ name, help }) => [
  `complete -c kvm-exit-exporter -n __fish_use_subcommand -a ${name} -d ${quoted(help)}`,
]).join('\n')}
${SHELL_COMMANDS.flatMap(({ name, options, operands }) => {
  const start = `complete -c kvm-exit-exporter -n '__kvm_exit_exporter_command ${name}'`;
  const rest = operands === undefined ? [] : [`${start} ${argument(operands)}`];
  return [...[...options, ...GENERAL_OPTIONS].flatMap(flags).map((flag) => `${start} ${flag}`), ...rest];
}).join('\n')}
`;
}

/** Arguments of fish's `complete` for an option. */
function flags(option: ShellOption): string[] {
  const { flag, short, help, values } = option;
  const named = `${short === undefined ? '' : `-s ${short} `}-l ${flag} -d ${quoted(help)}`;
  if (isBare(option)) return [named];
  if (option.isToggle) return [named, `-l no-${flag} -d ${quoted(`Not: --${flag}`)}`];
  return [`${named} -r ${argument(values)}`];
}

function argument(values: Values): string {
  if (values === 'file') return '-F';
  if (values === 'directory') return "-a '(__fish_complete_directories)'";
  return values === undefined ? '-f' : `-f -a ${quoted(values.join(' '))}`;
}

function quoted(text: string): string {
  return `'${text.replace(/['\\]/g, '\\$&')}'`;
}
