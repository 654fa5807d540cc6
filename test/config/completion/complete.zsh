# usage: zsh complete.zsh SCRIPT LINE FILE: writes to FILE what the script offers at the end of LINE. Completion works
# in interactive shells only, so one is started in a pseudo-terminal.
zmodload zsh/zpty
: >$3
export WORDS_FILE=$3
zpty shell zsh -f -i
zpty -w shell "autoload -Uz compinit && compinit -u -D; source ${(q)1}"
zpty -w shell 'compadd() {
  if [[ ${@[1,(i)(-|--)]} != *-(O|A|D)\ * ]]; then
    local -a hits
    builtin compadd -O hits "$@"
    (( ${#hits} )) && print -rl -- $hits >>$WORDS_FILE
  fi
  builtin compadd "$@"
}'
zpty -w shell 'finish() { zle -I; print DO""NE }; zle -N finish; bindkey "^I" complete-word "^G" finish; print REA""DY'
local output
while zpty -r shell output; do [[ $output == *READY* ]] && break; done
zpty -w -n shell "$2"$'\t\C-g'
while zpty -r shell output; do [[ $output == *DONE* ]] && break; done
zpty -d shell
