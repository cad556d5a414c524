troth-assembly 1
; image 812028561fd2c5583ce3696a15c2bce9521dbb724af04703072c8aeafb0bd1ce
entry main

; protocol e22fcbe67b26970131b94ea32dfffc60933d85dde980c82eb2f40fb97bed1f3b
protocol Talk(A, B, C)
  type A
    0: B ! item(f0: int) -> 0
     | last() -> 1
    1: B ? ack() -> 2
    2: end
  type B
    0: A ? item(f0: int) -> 0
     | last() -> 1
    1: A ! ack() -> 2
    2: C ? hi() -> 3
    3: end
  type C
    0: B ! hi() -> 1
    1: end

; protocol 0ad0e7ce8727bb16cc2cb200b6386082aee32d962bf49660e3e117e74259cf23
protocol One(X, Y)
  type X
    0: Y ! m(f0: int) -> 1
    1: end
  type Y
    0: X ? m(f0: int) -> 1
    1: end

; protocol 8a009753f47af16e275618cd8977bbf75914286ed0745932cb6c4d655ee5113e
protocol Carry(X, Y)
  type X
    0: Y ! take(f0: Talk.A) -> 1
    1: end
  type Y
    0: X ? take(f0: Talk.A) -> 1
    1: end

effect slow() -> int

program main() registers 8
    open Talk(r0, r1, r2) with capacity = 2, linger_ns = 80
    open One(r3, r4)
    spawn r7 = a(r0)
    spawn r7 = b(r1)
    spawn r7 = c(r2)
    spawn r7 = x(r3)
    spawn r7 = y(r4)
    halt

program a(f0: Talk.A) registers 8
    set r1 = 5
    select r0 B!item(r1)
    select r0 B!item(r1)
    select r0 B!item(r1)
    select r0 B!item(r1)
    set r6 = "still there"
    op r7 = fail(r6)

program b(f0: Talk.B) registers 8
    yield
    yield
    yield
    set r3 = "enough"
    cancel r0 r3
    halt

program c(f0: Talk.C) registers 8
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    send r0 B!hi()
    close r0
    halt

program x(f0: One.X) registers 8
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    yield
    set r1 = 5
    send r0 Y!m(r1)
    halt

program y(f0: One.Y) registers 8
    recv r0 X?m(r1)
    halt
