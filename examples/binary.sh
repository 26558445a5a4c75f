#!/bin/sh
# Builds dist/tsdock, one executable file that needs no node and no npm packages: `npm run binary`. The compiled program
# must be there.
set -eu
cd "$(dirname "$0")/.."
version=26.10.0
case $(node --version) in
  v26.*) node=node ;;
  *) node=$(examples/fetch-node.sh "$version") ;;
esac
exec "$node" examples/binary.js
