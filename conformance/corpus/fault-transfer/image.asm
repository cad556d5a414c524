troth-assembly 1
; image 137d419e8985454c392e2cf929e67f7d33294307c0fe30dd935ea66d34a75c11
source "fault-transfer.troth"
entry main

; protocol d10cd33c93be57c7fee69b5131322135d5fe9ba96534e8918b4ff85cee13b23e
protocol P(A, B)
  type A
    0: B ! m() -> 1
    1: end
  type B
    0: A ? m() -> 1
    1: end

program both(x: P.A, y: P.B) registers 2
  @5  send r0 B!m()
  @6  recv r1 A?m()
  @7  close r0
  @8  close r1
      halt

program main() registers 3
    open P(r0, r1)
    spawn r2 = both(r0, r1)
    halt
