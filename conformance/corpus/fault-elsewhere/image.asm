troth-assembly 1
; image 377770abab9910adbca70759e91652e12418e969f1fcec0cc5237c69b2818f60
source "fault-elsewhere.troth"
entry main

; protocol d10cd33c93be57c7fee69b5131322135d5fe9ba96534e8918b4ff85cee13b23e
protocol P(A, B)
  type A
    0: B ! m() -> 1
    1: end
  type B
    0: A ? m() -> 1
    1: end

program main() registers 2
    open P(r0, r1)
    send r0 B!m()
    recv r1 A?m()
    close r0
    close r1
    halt
