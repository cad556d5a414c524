troth-assembly 1
; image bb02ad38776af88b92ad80a54f321e1a29a3e5608011022d2838af1cd9cf369b
source "operators-growth-list.troth"
entry main

program main() registers 3
  @2  set r1 = "a"
      op r0 = list(r1)
L2:
  @4  set r2 = "b"
      op r1 = list(r2)
      op r0 = add(r0, r1)
  @5  op r1 = len(r0)
      op r2 = print(r1)
      jump L2
