troth-assembly 1
; image 9851cee3b9795432f4a8f99f3046beb8460337fb2c7f29f981136715ef9d28d3
source "fault-speculation.troth"
entry main

; protocol 10beb4faec95ae552289bd3941090b07ba0e92be255d50875e1ba8418bea714f
protocol P(A, B)
  type A
    0: B ! one() -> 1
    1: B ! two() -> 2
    2: end
  type B
    0: A ? one() -> 1
    1: A ? two() -> 2
    2: end

program a(s: P.A) registers 3
  @6   fork L5
  @7   send r0 B!one()
  @8   send r0 B!two()
  @9   join
       jump L7
L5:
       set r1 = "nothing rolls this back"
       op r2 = fail(r1)
L7:
  @13  close r0
       halt

program b(s: P.B) registers 1
  @16  recv r0 A?one()
  @17  recv r0 A?two()
  @18  close r0
       halt

program main() registers 3
    open P(r0, r1) with capacity = 1
    spawn r2 = a(r0)
    spawn r2 = b(r1)
    halt
