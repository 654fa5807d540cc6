# usage: fish complete.fish SCRIPT LINE: prints what the script offers at the end of LINE.
source $argv[1]
for line in (complete -C $argv[2])
    # What follows the tab is the description.
    string replace -r '\\t.*' "" -- $line
end
exit 0
