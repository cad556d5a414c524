troth-assembly 1
; image 27ba8ce61d7377b1b0fc0fcfde4708ebddcc96c0b960c1b17fc5bf3288d59755
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
    spawn r2 = a(r0)
    spawn r3 = b(r1)
    halt

program a(f0: One.A) registers 8
    set r3 = "enough"
    cancel r0 r3
    halt

program b(f0: One.B) registers 8
    yield
    yield
    yield
    yield
    yield
    set r3 = "too late"
    cancel r0 r3
    halt
