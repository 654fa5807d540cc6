/** The completion script for bash 4 or later. It needs neither the package bash-completion nor the program. */
import { DEFAULT_COMMAND, GENERAL_OPTIONS, isBare, SHELL_COMMANDS, type Values, wordsOf } from './shell-options.js';

export function bashCompletion(): string {
  return `# bash completion for kvm-exit-exporter, written by: kvm-exit-exporter completion bash
_kvm_exit_exporter() {
  local cur=\${COMP_LINE:0:COMP_POINT} command=${DEFAULT_COMMAND} flag='' prefix='' words='' values=''
  local -a before
  read -ra before <<<"$cur"
  # The word before the cursor, which bash itself would cut at each "=" and ":".
  cur=\${cur##*[[:space:]]}
  [[ -z $cur ]] || unset 'before[-1]'
  [[ \${#before[@]} -gt 1 && \${before[1]} != -* ]] && command=\${before[1]}
  case $command in
${SHELL_COMMANDS.map(({ name, options }) => {
  const words = [...options, ...GENERAL_OPTIONS].flatMap(wordsOf);
  return `    ${name}) words='${words.join(' ')}' ;;`;
}).join('\n')}
  esac
  if [[ $cur == --*=* ]]; then
    flag=\${cur%%=*}
    cur=\${cur#*=}
    # If "=" does not separate words, the completion replaces the flag too.
    [[ $COMP_WORDBREAKS == *=* ]] || prefix=$flag=
  elif [[ $cur != -* && \${#before[@]} -gt 1 && \${before[-1]} == -* && \${before[-1]} != *=* ]]; then
    [[ " $words " == *" \${before[-1]}= "* || \${before[-1]} != --* ]] && flag=\${before[-1]}
  fi
  if [[ -n $flag ]]; then
    case "$command $flag" in
${optionCases()}
    esac
  elif [[ $cur == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
    [[ \${#COMPREPLY[@]} -eq 1 && \${COMPREPLY[0]} == *= ]] && compopt -o nospace
    return
  elif [[ \${#before[@]} -eq 1 ]]; then
    values='${SHELL_COMMANDS.map(({ name }) => name).join(' ')}'
  else
    case $command in
${SHELL_COMMANDS.filter(({ operands }) => operands !== undefined)
  .map(({ name, operands }) => `      ${name}) ${assignment(operands)} ;;`)
  .join('\n')}
    esac
  fi
  case $values in
    @file) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -P "$prefix" -f -- "$cur") ;;
    @directory) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -P "$prefix" -d -- "$cur") ;;
    *) mapfile -t COMPREPLY < <(compgen -P "$prefix" -W "$values" -- "$cur") ;;
  esac
}
complete -F _kvm_exit_exporter kvm-exit-exporter
`;
}

/** One line for all commands that give an option the same values. */
function optionCases(): string {
  const patterns = new Map<string, string[]>();
  for (const command of SHELL_COMMANDS)
    for (const option of command.options) {
      if (isBare(option) || option.values === undefined) continue;
      const line = assignment(option.values);
      const words = [`--${option.flag}`, ...(option.short === undefined ? [] : [`-${option.short}`])];
      patterns.set(line, [...(patterns.get(line) ?? []), ...words.map((word) => `'${command.name} ${word}'`)]);
    }
  return [...patterns].map(([line, all]) => `      ${all.join(' | ')}) ${line} ;;`).join('\n');
}

/** Names of options, commands and values have no character that means something to a shell. */
function assignment(values: Values): string {
  return `values='${typeof values === 'string' ? `@${values}` : values?.join(' ')}'`;
}
