troth-assembly 1
; image f14540845aa6f29b2b55f48d1153d9eaec837ad2d8177adb3abb009456713556
source "life-cancelled-by-a-role.troth"
entry main

; protocol d10cd33c93be57c7fee69b5131322135d5fe9ba96534e8918b4ff85cee13b23e
protocol P(A, B)
  type A
    0: B ! m() -> 1
    1: end
  type B
    0: A ? m() -> 1
    1: end

program a(s: P.A) registers 2
  @5  set r1 = "not today"
      cancel r0 r1
      halt

program b(s: P.B) registers 1
  @8  recv r0 A?m()
  @9  close r0
      halt

program main() registers 3
    open P(r0, r1)
    spawn r2 = a(r0)
    spawn r2 = b(r1)
    halt
