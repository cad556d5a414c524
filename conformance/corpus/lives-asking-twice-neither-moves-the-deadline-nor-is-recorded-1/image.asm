troth-assembly 1
; image a1531aadfef5a03c1ab519b3fdc3e573f2409a4581ad05d874c460f62e7f0c9d
entry main

; protocol 0ad0e7ce8727bb16cc2cb200b6386082aee32d962bf49660e3e117e74259cf23
protocol One(X, Y)
  type X
    0: Y ! m(f0: int) -> 1
    1: end
  type Y
    0: X ? m(f0: int) -> 1
    1: end

program main() registers 8
    open One(r0, r1) with linger_ns = 100
    spawn r2 = x(r0)
    spawn r3 = y(r1)
    halt

program x(f0: One.X) registers 8
    yield
    yield
    yield
    yield
    yield
    set r1 = 5
    send r0 Y!m(r1)
    close r0
    halt

program y(f0: One.Y) registers 8
    recv r0 X?m(r1)
    close r0
    halt
