troth-assembly 1
; image 5417cee2b02effd6bc6e6115ef058c7cc8274a4755aa03edb4486c67c9af0ee3
source "operators-growth-bytes.troth"
entry main

program main() registers 3
  @2  set r0 = b"0123456789"
L1:
  @4  set r1 = b"0"
      op r0 = add(r0, r1)
  @5  op r1 = len(r0)
      op r2 = print(r1)
      jump L1
