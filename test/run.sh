#!/bin/sh
# Sets everything up and runs every test: the checks, all tests on the installed node, then the unit tests and one real
# run on Node 26 (on Node 20 where 26 is the installed one). The README's second command; .ci/run calls it too.
#
#     test/run.sh            everything
#     test/run.sh PATTERN    only the test files whose path contains PATTERN, on the installed node
#
# At the end the single executable is built, and some of the tests run with it.
set -eu
cd "$(dirname "$0")/.."
export CI="${CI:-false}"
unset NODE_OPTIONS DOCKER DEBUG TSDOCK_VERBATIM NORAW

# The compiled files of the tests that exist: dist/ may hold others from before.
compiled() {
  find test -name "$1" | sed 's|^|dist/|; s|\.ts$|.js|' | sort
}
run_tests() {
  node=$1
  shift
  echo "== $("$node" --version): $# test files"
  "$node" dist/test/run-files.js "$@"
}

examples/setup.sh --tests
if [ $# -gt 0 ]; then
  # shellcheck disable=SC2046 # no name of a test file holds a space
  run_tests node $(compiled '*.test.ts' | grep -F -- "$1")
  exit
fi

npm run --silent check --loglevel=error
# shellcheck disable=SC2046
run_tests node $(compiled '*.test.ts')

other=26.10.0
case $(node --version) in v26.*) other=20.20.2 ;; esac
# What tests the tests, the sources or a shell script is the same on every node; the minute of fuzz is over.
# shellcheck disable=SC2046
TSDOCK_FUZZ_SECONDS=1 run_tests "$(examples/fetch-node.sh "$other")" \
  $(compiled '*.test.ts' | grep -v '\.daemon\.test\.js$' \
    | grep -vE '^dist/test/(bench|conformance|examples)/|/(architecture|readme)\.test\.js$') \
  dist/test/one-run.daemon.test.js

# The single executable in place of the compiled program, in tests that go through all of its parts: the client, a
# terminal, worker threads, recorded cases.
npm run --silent binary
export TSDOCK_PROGRAM="$PWD/dist/test/single-file/program.js"
run_tests "$(examples/fetch-node.sh 26.10.0)" dist/test/one-run.daemon.test.js dist/test/client/client.daemon.test.js \
  dist/test/client/program-name.test.js dist/test/server/terminal.daemon.test.js dist/test/server/layers.daemon.test.js \
  dist/test/conformance/tcp.daemon.test.js
