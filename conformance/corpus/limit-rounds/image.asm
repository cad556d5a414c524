troth-assembly 1
; image c5a3b02b7e56526a0887777939f09c3bfdd7dcca466c225a070a21ef850a8264
source "limit-rounds.troth"
entry main

program main() registers 0
L0:
  @3  yield
      jump L0
