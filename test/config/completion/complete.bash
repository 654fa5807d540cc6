# usage: bash complete.bash SCRIPT LINE: prints what the script offers at the end of LINE.
source "$1"
# Works only while readline completes.
compopt() { :; }
COMP_LINE=$2 COMP_POINT=${#2}
_kvm_exit_exporter
[[ ${#COMPREPLY[@]} -eq 0 ]] || printf '%s\n' "${COMPREPLY[@]}"
