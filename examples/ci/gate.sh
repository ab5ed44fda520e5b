#!/bin/sh
# A pre-release gate: sweep a model, and fail on what no accepted report has yet.
#
#   gate.sh MODEL [option or seed of `holdfast sweep`]...
#
# Settings, as variables of the environment:
#   OUT        holdfast-run        directory of the run; what CI shows is written into it
#   BASELINES  holdfast-baselines  folder of accepted reports (*.json); without any, all is new
#   HOLDFAST   holdfast            the command; words are split: "python -m fuzzer"
#
# Exits with 0: holds, or brittle in ways that were all accepted. 1: something new, or not pinned
# down. 3: no verdict within the budget. 4: answers that cannot be judged. 2: a mistake in the call.
set -u

HOLDFAST=${HOLDFAST:-holdfast}
OUT=${OUT:-holdfast-run}
BASELINES=${BASELINES:-holdfast-baselines}

if [ $# -eq 0 ]; then
  echo "usage: gate.sh MODEL [option or seed of holdfast sweep]..." >&2
  exit 2
fi
model=$1
shift

# A search that stops at its first finding stops at a known one: a gate spends its budget.
$HOLDFAST sweep --model "$model" --stop budget --out "$OUT" "$@"
code=$?
case $code in
  0 | 1 | 3 | 4) ;;
  *) exit "$code" ;; # no verdict: a mistake, or interrupted
esac

set --
for file in "$BASELINES"/*.json; do
  if [ -f "$file" ]; then
    set -- "$@" --baseline "$file"
  fi
done
if [ $# -eq 0 ]; then
  echo "No accepted report in $BASELINES: every finding is new." >&2
fi

# Each exits as the gate does, which is told once, at the end; 2 is a file that was not written.
for format in markdown junit sarif json; do
  case $format in
    markdown) name=summary.md ;;
    junit) name=junit.xml ;;
    sarif) name=holdfast.sarif ;;
    json) name=gate.json ;;
  esac
  $HOLDFAST report "$OUT" "$@" --format "$format" --out "$OUT/$name"
  if [ $? -eq 2 ]; then
    exit 2
  fi
done
exec $HOLDFAST report "$OUT" "$@"
