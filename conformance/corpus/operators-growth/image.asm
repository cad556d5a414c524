troth-assembly 1
; image 06310ca7f45244633386a93d4b63cafd437703774fc6d9166de25347808767e5
source "operators-growth.troth"
entry main

program main() registers 3
  @2  set r0 = "0123456789"
L1:
  @4  op r0 = add(r0, r0)
  @5  op r1 = len(r0)
      op r2 = print(r1)
      jump L1
