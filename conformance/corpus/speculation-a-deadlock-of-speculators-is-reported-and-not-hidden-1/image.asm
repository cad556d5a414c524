troth-assembly 1
; image 5e3a7878a1f7c47c09acb132459fb98ae51ef0c284b59f8573c92dbcdaad8c0c
entry main

; protocol d888bddaa3805adb5e25954cef83637c14df6670e6451a54aaa9ee9b2302851c
protocol Both(A, B)
  type A
    0: B ! a(f0: int) -> 1
    1: B ? b(f0: int) -> 2
    2: end
  type B
    0: A ? a(f0: int) -> 1
    1: A ! b(f0: int) -> 2
    2: end

program main() registers 8
    open Both(r0, r1)
    spawn r2 = a(r0)
    spawn r3 = b(r1)
    halt

program a(f0: Both.A) registers 8
L0:
    set r1 = 1
    fork L0
    send r0 B!a(r1)
    recv r0 B?b(r1)
    join
    halt

program b(f0: Both.B) registers 8
    recv r0 A?a(r1)
    send r0 A!b(r1)
    halt
