troth-assembly 1
; image 4071a641e12bdca345fe66e88abb836f7a4f693307d2191cb2f078aef9b0952f
source "fault-credits.troth"
entry main

program main() registers 0
L0:
  @3  yield
      jump L0
