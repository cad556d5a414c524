troth-assembly 1
; image 2ac38bdb329316513e57d5b24c8750e9b950d7480cf563bf2669ef368644472c
entry main

; protocol 0ad0e7ce8727bb16cc2cb200b6386082aee32d962bf49660e3e117e74259cf23
protocol One(X, Y)
  type X
    0: Y ! m(f0: int) -> 1
    1: end
  type Y
    0: X ? m(f0: int) -> 1
    1: end

; protocol 542d84f85e6ec463d47035fc327c4faee8615461d0a1f0735c685fcd9eb36a15
protocol Back(X, Y)
  type X
    0: Y ? n(f0: int) -> 1
    1: end
  type Y
    0: X ! n(f0: int) -> 1
    1: end

program main() registers 8
    open One(r0, r1) with linger_ns = 7
    open Back(r2, r3)
    spawn r4 = x(r0, r2)
    spawn r4 = y(r1, r3)
    halt

program x(f0: One.X, f1: Back.X) registers 8
    recv r1 Y?n(r2)
    send r0 Y!m(r2)
    halt

program y(f0: One.Y, f1: Back.Y) registers 8
    recv r0 X?m(r2)
    send r1 X!n(r2)
    halt
