#!/bin/sh
# The main job, shown step by step: run a protocol, record it, let somebody else verify it,
# and see a tampered copy refused. Ends with 0 only if all of that happened as it must.
#
# TROTH_BIN=DIR uses DIR/troth and DIR/python3 instead of setting up .venv.
. "$(dirname -- "$0")/environment.sh"
if [ -z "${TROTH_BIN:-}" ]; then
  set_up run
  TROTH_BIN=$root/.venv/bin
fi
PATH=$TROTH_BIN:$PATH
export PATH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
mkdir "$work/operator" "$work/auditor"

say() { printf '\n# %s\n' "$*"; }

# Shows a command as a reader would type it, runs it, and insists on how it ends and on what it
# must print: expect CODE TEXT COMMAND...
expect() {
  code=$1
  text=$2
  shift 2
  printf '$ %s\n' "$*"
  status=0
  sh -c "$*" >"$work/output" 2>&1 || status=$?
  cat "$work/output"
  if [ "$status" -ne "$code" ]; then
    echo "demo: that ended with $status instead of $code" >&2
    exit 1
  fi
  if [ -n "$text" ] && ! grep -qF -- "$text" "$work/output"; then
    echo "demo: that did not say: $text" >&2
    exit 1
  fi
}

say "An operator has a protocol (two buyers split the price of a book) with its programs,
# and a Python file that answers when the seller looks up a price."
cp docs/examples/two_buyer.troth docs/examples/two_buyer_effects.py "$work/operator/"
cd "$work/operator"

say "1. Check it: nobody can speak out of turn, in any run."
expect 0 "" "troth check two_buyer.troth"

say "2. Run it, with a key for each role, and record what happens."
expect 0 "agreed" \
  "troth run two_buyer.troth --effects two_buyer_effects.py --keys keys --record book.replay"

say "3. Publish the public keys as a trust file. The private keys stay where they are."
expect 0 "Seller" "cat keys/*.pub > trust && cat trust"

say "4. An auditor gets two files: the artifact and the trust file. Nothing else."
cp book.replay trust "$work/auditor/"
cd "$work/auditor"
expect 0 "book.replay" "ls"
expect 0 "valid" "troth verify book.replay --trust trust"

say "5. Somebody rewrites history: the seller's quote of 120 becomes 20, one byte of a copy."
cat >tamper.py <<'PYTHON'
import pathlib

# A message's payload of two bytes (a list of one int, 120), and the head of its signature.
quote = b"\xc4\x02\x91\x78" + b"\xc0\xc4\x40"
artifact = pathlib.Path("book.replay").read_bytes()
offset = artifact.index(quote) + 3
forged = artifact[:offset] + bytes([20]) + artifact[offset + 1 :]
pathlib.Path("forged.replay").write_bytes(forged)
print(f"byte {offset}: {artifact[offset]} is now {forged[offset]}")
PYTHON
expect 0 "120 is now 20" "python3 tamper.py"

say "6. The forged copy is refused, and the verdict says where it broke."
expect 2 "integrity.message" "troth verify forged.replay --trust trust"

say "7. Without the trust file the artifact proves only that it agrees with itself (exit 5)."
expect 5 "" "troth verify book.replay"

say "Done: one run, one proof, one forgery refused."
