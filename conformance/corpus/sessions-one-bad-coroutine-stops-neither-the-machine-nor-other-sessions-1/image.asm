troth-assembly 1
; image cac116cf84651c278b5f2b9283b2d555f207942a139a5096bc9adf6bbb8470c6
entry main

; protocol 0d4c3590c90a1a1d9c85b1feae5b6dc4ce27480d08f83c3260c69252fb767966
protocol One(A, B)
  type A
    0: B ! m(f0: int) -> 1
    1: end
  type B
    0: A ? m(f0: int) -> 1
    1: end

program main() registers 8
    open One(r0, r1)
    open One(r2, r3)
    spawn r4 = bad(r0)
    spawn r4 = receiver(r1)
    spawn r4 = good(r2)
    spawn r4 = receiver(r3)
    halt

program bad(f0: One.A) registers 8
    set r1 = "I give up"
    op r7 = fail(r1)

program receiver(f0: One.B) registers 8
    recv r0 A?m(r1)
    op r7 = print(r1)
    halt

program good(f0: One.A) registers 8
    yield
    yield
    yield
    yield
    yield
    set r1 = 5
    send r0 B!m(r1)
    halt
