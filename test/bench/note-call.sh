#!/bin/sh
# Notes that it was called, and by which name, in the file `calls` beside itself; then it is the program of that name, which
# comes later on the PATH.
folder=$(dirname "$0") name=$(basename "$0")
echo "$name" >>"$folder/calls"
PATH=${PATH#"$folder":} exec "$name" "$@"
